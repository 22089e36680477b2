"""Says in the log, once, that no next hop takes mail, and once that it is over."""

from __future__ import annotations

import asyncio

from tdc.node_agent.ingest.hop_state import NextHopState
from tdc.node_agent.log.lines import TdcLog

INTERVAL = 1.0


async def watch(state: NextHopState, log: TdcLog, interval: float = INTERVAL) -> None:
    """Look every `interval` seconds: time passing calls nobody back. Until cancelled."""
    known = False
    while True:
        await asyncio.sleep(interval)
        trouble = state.trouble
        if trouble is not None and not known:
            log.error(f"The next hop takes no mail: {trouble.reason}")
        elif trouble is None and known:
            log.warning("The next hop takes mail again.")
        known = trouble is not None
