"""What health goes by and no other file has, so that a restart turns nothing green.

In: counters, the state of the next hop, holds of delivery. Out: one small file in the state folder,
written within EVERY seconds of a change and at a stop; what it says is put back at the start.
Promise: it never raises and never keeps mail waiting. A `kill -9` loses the last seconds. A file
that can't be read is logged, and counting starts over; one that can't be written is logged, and
tried again until it is.

Moments are kept as ages: the clocks of this process mean nothing to the next one. How much passed
in between is judged as for the spool (`spool/steady.py`): a clock that was set does not make a miss
old.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tdc.node_agent.counters import Counters, MissedReason, MissedRun
from tdc.node_agent.deliver.effects import Hold
from tdc.node_agent.ingest.hop_state import NextHopState
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.spool.clock import MachineClocks
from tdc.node_agent.spool.steady import Reading, passed
from tdc.shared.edge import durable_file
from tdc.shared.edge.clock import monotonic
from tdc.shared.edge.daemon_thread import in_daemon_thread
from tdc.shared.edge.os_words import os_reason
from tdc.shared.edge.tasks import running

FILE = "health"
EVERY = 2.0
"""Seconds between two looks at whether there is something new to keep."""
DELIVERED_EVERY = 60.0
"""Seconds by which the moment of the last delivery may lag: it changes all the time."""
SINCE_WITHIN = 1.0
"""Seconds by which the beginning of trouble may differ: that of a wait is known by its length."""
CLOSE_WITHIN = 3.0
"""Seconds that the last write gets at a stop; a disk that hangs must not hold that up."""
MOST = 100
"""Holds that are kept, the oldest; and next hops."""
LONGEST_TEXT = 500

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Kept:
    """All of it. Moments are monotonic seconds."""

    missed: Mapping[MissedReason, MissedRun] = field(default_factory=dict)
    refused_size: int = 0
    delivered_at: float | None = None
    hop_failures: Mapping[str, str] = field(default_factory=dict)
    hop_since: float | None = None
    holds: Mapping[str, Hold] = field(default_factory=dict)


class HealthBook:
    """Keeps the file of one state folder."""

    def __init__(self, folder: Path, log: TdcLog) -> None:
        self._path = folder / FILE
        self._log = log
        self._clocks = MachineClocks()
        self._complained = ""

    def load(self) -> Kept:
        """What was kept; nothing if there is no file, or, logged, if it can't be read."""
        try:
            document = json.loads(durable_file.read_checked(self._path))
            now = self._clocks.read()
            off = passed(Reading(*document["reading"]), now)
            return _unpacked(document, monotonic() - off)
        except durable_file.Missing:
            return Kept()
        except durable_file.NotReadable as error:
            trouble = str(error)
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            trouble = f"{self._path} can't be understood: {error!r}"
        self._log.warning(f"{trouble}: what was missed before this start is not counted")
        return Kept()

    def save(self, kept: Kept) -> bool:
        """Write it; blocks. False if that failed, which is logged once for each reason."""
        document = _packed(kept, monotonic()) | {"reading": list(self._clocks.read())}
        try:
            durable_file.make_folder(self._path.parent)
            durable_file.write_checked(self._path, json.dumps(document).encode())
        except durable_file.NotWritten as error:
            return self._not_kept(str(error))
        self._complained = ""
        return True

    def _not_kept(self, why: str) -> bool:
        if why != self._complained:
            self._complained = why
            self._log.error(f"{why}: a restart now would forget what was missed")
        return False

    @contextlib.asynccontextmanager
    async def keeping(self, facts: Callable[[], Kept]) -> AsyncIterator[None]:
        """Keep `facts()` while the body runs, and once more at its end."""
        async with running(self._follow(facts), name="kept health"):
            yield
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_WITHIN):
                await self._save(facts())

    async def _follow(self, facts: Callable[[], Kept]) -> None:
        known, written = facts(), True
        while True:
            await asyncio.sleep(EVERY)
            now = facts()
            if not written or _news(known, now):
                written = await self._save(now)
                known = now

    async def _save(self, kept: Kept) -> bool:
        try:
            return await in_daemon_thread(self.save, kept)
        except OSError as error:  # of the thread; what the file says is no error here
            return self._not_kept(f"{self._path} can't be written: {os_reason(error)}")


def counted(kept: Kept) -> Counters:
    """Counters that go on from there; totals begin at 0."""
    return Counters(
        missed=dict(kept.missed), refused_size=kept.refused_size, delivered_at=kept.delivered_at
    )


def gathered(counters: Counters, hop_state: NextHopState, holds: Mapping[str, Hold]) -> Kept:
    """What is to be kept now."""
    return Kept(
        dict(counters.missed),
        counters.refused_size,
        counters.delivered_at,
        dict(hop_state.failures),
        hop_state.since,
        dict(holds),
    )


def _news(known: Kept, now: Kept) -> bool:
    delivered = (now.delivered_at or -math.inf) - (known.delivered_at or -math.inf)
    if delivered >= DELIVERED_EVERY:
        return True
    since = known.hop_since, now.hop_since
    if since[0] is None or since[1] is None:
        moved = since[0] is not since[1]
    else:
        moved = abs(since[0] - since[1]) > SINCE_WITHIN
    return moved or _but_moments(known) != _but_moments(now)


def _but_moments(kept: Kept) -> tuple[object, ...]:
    holds = {intake: (hold.reason, hold.since) for intake, hold in kept.holds.items()}
    return kept.missed, kept.refused_size, kept.hop_failures, holds


# -- the document: every moment as an age --------------------------------------------------------


def _packed(kept: Kept, now: float) -> dict[str, Any]:
    oldest_holds = sorted(kept.holds.items(), key=lambda item: item[1].since)[:MOST]
    return {
        "format": _FORMAT,
        "missed": {
            reason.value: [run.count, now - run.since, now - run.last]
            for reason, run in kept.missed.items()
        },
        "refused_size": kept.refused_size,
        "delivered": None if kept.delivered_at is None else now - kept.delivered_at,
        "next_hop": {
            address: why[:LONGEST_TEXT] for address, why in list(kept.hop_failures.items())[:MOST]
        },
        "next_hop_since": None if kept.hop_since is None else now - kept.hop_since,
        "holds": {
            intake: [
                hold.reason[:LONGEST_TEXT], hold.check[:LONGEST_TEXT], now - hold.since,
                hold.failures,
            ]
            for intake, hold in oldest_holds
        },
    }  # fmt: skip


def _unpacked(document: Mapping[str, Any], saved: float) -> Kept:
    """Raises ValueError, TypeError, LookupError, AttributeError for what is no such document."""
    if document["format"] != _FORMAT:
        raise ValueError(f"it has format {document['format']}; this agent reads {_FORMAT}")

    def moment(age: Any) -> float:
        if not 0.0 <= float(age) < math.inf:
            raise ValueError(f"{age!r} is no age")
        return saved - float(age)

    def hold(reason: Any, check: Any, since: Any, failures: Any) -> Hold:
        """It is probed now; that is not its own next attempt, so a failure makes it no longer."""
        now = monotonic()
        return Hold(str(reason), str(check), moment(since), now, int(failures), planned=now)

    delivered, hop_since = document["delivered"], document["next_hop_since"]
    return Kept(
        {
            MissedReason(reason): MissedRun(int(count), moment(since), moment(last))
            for reason, (count, since, last) in document["missed"].items()
        },
        int(document["refused_size"]),
        None if delivered is None else moment(delivered),
        {str(address): str(why) for address, why in document["next_hop"].items()},
        None if hop_since is None else moment(hop_since),
        {str(intake): hold(*entry) for intake, entry in document["holds"].items()},
    )
