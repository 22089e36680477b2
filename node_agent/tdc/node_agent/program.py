"""Where `tdc-agent` begins; nothing of it is imported before it is wanted."""

from __future__ import annotations

from tdc.shared.edge.extras import start


def tdc_agent() -> None:
    """Run the agent; ends by SystemExit."""
    start("tdc-agent", "tdc.node_agent.main", "agent")
