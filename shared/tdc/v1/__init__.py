"""Generated from proto/tdc/v1 by scripts/protos; not edited by hand."""
