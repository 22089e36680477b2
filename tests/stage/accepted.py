"""What a killed agent could not know: reports that the intake has and its spool holds still."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import sqlite3
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from tests.fakes.smtp_sink import SmtpSink
from tests.stage.fleet import Gateway

_REPORT_ID = re.compile(rb"(?im)^Message-ID: <([0-9a-f]{32})@")


def report_ids(intake: SmtpSink) -> Counter[str]:
    """How often each report arrived."""
    found = (_REPORT_ID.search(message.content) for message in intake.messages)
    return Counter(match[1].decode() for match in found if match is not None)


def rows_of(spool: Path, query: str) -> list[tuple[Any, ...]]:
    """Ask the file of a spool; nothing may write to it meanwhile."""
    with tempfile.TemporaryDirectory() as name:
        aside = Path(name) / "spool"  # it is locked, and to read it is to change it
        shutil.copytree(spool, aside)
        with contextlib.closing(sqlite3.connect(aside / "spool.db")) as file:
            return file.execute(query).fetchall()


def waiting(gateway: Gateway) -> set[str]:
    """The reports that wait in the spool, as its file is on the disk."""
    spool = gateway.folder / "state" / "spool"
    return {row[0] for row in rows_of(spool, "SELECT report_id FROM copies")}


class Unmarked:
    """Adds up, over kills of an agent, which reports had been accepted and were not marked: each of
    these must be sent again, once, and no other may be. `times` is how often, by report.
    """

    def __init__(self, gateway: Gateway, intake: SmtpSink) -> None:
        self.times: Counter[str] = Counter()
        self._gateway, self._intake = gateway, intake
        self._before: Counter[str] = Counter()

    async def look(self) -> set[str]:
        """Look after a kill, before the agent is started again; return what this kill adds."""
        async with asyncio.timeout(10):
            while self._intake.counts.open_connections:  # it has yet to read what was sent before
                await asyncio.sleep(0.01)
        arrived = report_ids(self._intake)
        found = waiting(self._gateway) & (arrived - self._before).keys()
        self._before = arrived
        self.times.update(found)
        return found
