"""Where `tdc` and `tdc-manager` begin; nothing of either is imported before it is wanted."""

from __future__ import annotations

from tdc.shared.edge.extras import start


def tdc() -> None:
    """Run the operators' command line; ends by SystemExit."""
    start("tdc", "tdc.manager.cli.main", "cli")


def tdc_manager() -> None:
    """Run the manager; ends by SystemExit."""
    start("tdc-manager", "tdc.manager.main", "manager")
