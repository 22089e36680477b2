"""Where managers are: those of agent.toml, and those that a manager named, which are remembered.

In: addresses from agent.toml, and from managers of the store. Out: all of them, those of agent.toml
first. Promise: a manager that was added later is known after a restart too; none that agent.toml
names is ever forgotten. One that was named is kept for FORGOTTEN_AFTER seconds after it was named
last: it may be away when the others say who is there. A machine trusts a manager by its CA, so an
address that leads nowhere costs a try, and nothing else.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tdc.node_agent.log.lines import TdcLog
from tdc.shared.edge import durable_file
from tdc.shared.edge.clock import Clock, wall
from tdc.shared.wire.addresses import MOST_MANAGERS, is_address

FILE = "managers"
"""In the state folder, with a checksum in its first line."""
FORGOTTEN_AFTER = 30 * 86_400.0
REMEMBERED_EVERY = 86_400.0
"""Seconds after which the same addresses are written again, with the time at which they were
named."""
_FORMAT = 1


class Managers:
    """The managers' addresses (host:port); `retry_maximum`: longest wait between tries, seconds."""

    def __init__(
        self,
        configured: Sequence[str],
        retry_maximum: float = 3.0,
        *,
        folder: Path | None = None,
        log: TdcLog | None = None,
        clock: Clock = wall,
    ) -> None:
        """`configured` are those of agent.toml; without `folder` nothing is remembered.

        `clock` is Unix time.
        """
        self.retry_maximum = retry_maximum
        self._configured = tuple(configured)
        self._folder = folder
        self._log = log
        self._clock = clock
        self._written = 0.0
        self._named: dict[str, float] = {} if folder is None else _load(folder / FILE)
        self._named = self._bounded(self._named)

    @property
    def addresses(self) -> tuple[str, ...]:
        """All of them; those of agent.toml first, then those named last."""
        return tuple(dict.fromkeys((*self._configured, *self._named)))

    async def learn(self, named: Sequence[str]) -> None:
        """Take the addresses that a manager named; never raises."""
        if not named:
            return
        now, before = self._clock(), set(self._named)
        # The newest first; those that were named before and are not now stay behind them.
        self._named = self._bounded({**dict.fromkeys(named, now), **_without(self._named, named)})
        new = [each for each in self._named if each not in before | {*self._configured}]
        if new and self._log is not None:
            self._log.info(f"a manager named further managers: {', '.join(new)}")
        again = not 0 <= now - self._written < REMEMBERED_EVERY
        if self._folder is not None and (again or set(self._named) != before):
            self._written = now
            await self._remember(self._folder)

    def _bounded(self, named: Mapping[str, float]) -> dict[str, float]:
        now = self._clock()
        kept = {each: at for each, at in named.items() if now - at < FORGOTTEN_AFTER}
        return dict(list(kept.items())[:MOST_MANAGERS])

    async def _remember(self, folder: Path) -> None:
        content = json.dumps({"format": _FORMAT, "named": self._named}, indent=1).encode()
        try:
            await asyncio.to_thread(durable_file.write_checked, folder / FILE, content)
        except durable_file.NotWritten as error:
            if self._log is not None:
                self._log.warning(
                    f"managers are known until this agent ends, and no longer: {error}"
                )


def _without(named: Mapping[str, float], others: Sequence[str]) -> dict[str, float]:
    return {each: at for each, at in named.items() if each not in others}


def _load(path: Path) -> dict[str, float]:
    """What was remembered; nothing if that can't be read: managers name each other again."""
    try:
        document = json.loads(durable_file.read_checked(path))
        named = document["named"] if document["format"] == _FORMAT else {}
        return {each: float(at) for each, at in named.items() if is_address(each)}
    except (durable_file.NotReadable, ValueError, TypeError, LookupError, AttributeError):
        return {}
