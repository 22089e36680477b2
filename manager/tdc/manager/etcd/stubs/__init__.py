"""Generated from proto/etcd by scripts/protos; not edited by hand."""
