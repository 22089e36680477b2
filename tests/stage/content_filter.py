"""A content filter with a real spool, in front of a next hop that the test plays."""

from __future__ import annotations

import asyncio
import dataclasses
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tdc.node_agent.counters import Counters
from tdc.node_agent.ingest.filter import SmtpFilter
from tdc.node_agent.ingest.hop_state import NextHopState
from tdc.node_agent.ingest.options import FilterOptions
from tdc.node_agent.ingest.pool import NextHop
from tdc.node_agent.ingest.take import Taker
from tdc.node_agent.journal.loop import Reporter
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.spool.spool import Spool
from tdc.shared.connector.settings import ConnectorSettings
from tdc.shared.sync.suspension import NOT_SUSPENDED, Suspension

INTAKE = "intake@scanner.example"
REPORTER = Reporter("mx1", bytes(32))


@dataclass
class Bench:
    """What a test looks at and turns; `settings` may be replaced at any time."""

    filter: SmtpFilter
    spool: Spool
    counters: Counters
    settings: ConnectorSettings
    log: io.StringIO
    suspension: Suspension = NOT_SUSPENDED

    async def logged(self, text: str) -> str:
        """Wait for a line with this text; return the line from its text on."""
        async with asyncio.timeout(5):
            while text not in self.log.getvalue():
                await asyncio.sleep(0.01)
        return next(line for line in self.log.getvalue().splitlines() if text in line)

    async def copies(self) -> list[tuple[str, tuple[str, ...], bytes]]:
        """Return sender, recipients and content of each copy that is due."""
        claimed = await self.spool.claim(2**40, 10_000)
        self.spool.unclaim([copy.mid for copy in claimed])
        return [(c.envelope.sender, c.envelope.recipients, c.content) for c in claimed]


@asynccontextmanager
async def running_filter(
    folder: Path, next_hop_port: int, **options: object
) -> AsyncIterator[Bench]:
    out, hop_state = io.StringIO(), options.pop("hop_state", None)
    assert hop_state is None or isinstance(hop_state, NextHopState)
    log = TdcLog(stream=out)
    log.configure("info", "text")
    spool = await Spool.open(folder / "spool", log=log)
    counters = Counters()
    settings = dataclasses.replace(
        ConnectorSettings.defaults(), enabled=True, intake_address=INTAKE
    )
    taker = Taker(spool, lambda: bench.settings, counters, log, REPORTER, lambda: bench.suspension)
    all_options = FilterOptions(
        **{  # type: ignore[arg-type]  # a test names options by keyword
            "next_hops": (NextHop("127.0.0.1", next_hop_port),),
            "port": 0,
            "hostname": "filter.example",
            "stop_timeout": 2.0,
            **options,
        }
    )
    smtp_filter = SmtpFilter(all_options, taker, counters, log, hop_state=hop_state)
    bench = Bench(smtp_filter, spool, counters, settings, out)
    try:
        async with bench.filter:
            yield bench
    finally:
        await spool.close()
        log.close()
