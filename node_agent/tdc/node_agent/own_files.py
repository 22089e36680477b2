"""Files of ours that somebody removed or replaced while the agent runs.

The agent works on from memory, and without a word the loss would show at the next start, when
nobody knows any more what was done. So it looks every few seconds, and says what the next start
would lack, in the log and in the machine's warnings. So are copies in a spool that agent.toml no
longer names. The spool watches its own files.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tdc.node_agent import loop_key
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.spool_places import SpoolPlaces
from tdc.node_agent.sync import identity, last_good
from tdc.shared.edge.daemon_thread import in_daemon_thread

LOOK_EVERY = 2.0
"""Seconds between two looks."""

Seen = tuple[int, int, int] | None


@dataclass(frozen=True, slots=True)
class _Kept:
    """A file that is not to vanish once it was there; `writes`: the agent itself replaces it."""

    path: Path
    lost: str
    writes: bool


class OwnFiles:
    """Looks at the files of one state folder, and at spools that were left; `run` once."""

    def __init__(
        self, state_folder: Path, identity_folder: Path, spool_folder: Path, log: TdcLog
    ) -> None:
        self._folder = identity_folder
        self._spools = SpoolPlaces(state_folder, spool_folder, log)
        self._log = log
        self._kept = (
            _Kept(
                state_folder / last_good.NEWEST,
                "a restart now would begin without the last settings",
                writes=True,
            ),
            _Kept(
                state_folder / loop_key.FILE,
                "after a restart, older reports that come back would be copied",
                writes=False,
            ),
        )
        self._seen: dict[Path, Seen] = {}
        self._identity_seen: tuple[Seen, ...] = ()
        self._machine: str | None = None
        self._enrolment = ""
        self._identity_warning = ""
        self._warnings: tuple[str, ...] = ()

    def warnings(self) -> tuple[str, ...]:
        """What is amiss, in sentences."""
        return self._warnings

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            with contextlib.suppress(OSError):  # no thread to be had: another time
                self._judge(await in_daemon_thread(self.look))
            await asyncio.sleep(LOOK_EVERY)

    def _judge(self, found: tuple[str, ...]) -> None:
        for text in found:
            if text not in self._warnings:
                self._log.warning(text)
        if self._warnings and not found:
            self._log.info("all files of the agent are there again")
        self._warnings = found

    def look(self) -> tuple[str, ...]:
        """Look now; blocks."""
        return (*self._of_identity(), *self._of_files(), *self._spools.left_behind())

    def _of_files(self) -> Iterator[str]:
        for kept in self._kept:
            now = _seen(kept.path)
            first = self._seen.setdefault(kept.path, now)
            if first is None or (now is not None and kept.writes):
                self._seen[kept.path] = now
            elif now is None:
                yield f"{kept.path} was removed while the agent runs: {kept.lost}"
            elif now != first:
                yield f"{kept.path} was replaced while the agent runs: {kept.lost}"

    def _of_identity(self) -> Iterator[str]:
        """It is replaced by right when it is renewed, to another name too, or enrolled again."""
        path = self._folder / identity.FILE
        now = tuple(_seen(self._folder / name) for name in (identity.FILE, *identity.BEFORE))
        if now != self._identity_seen or self._identity_warning:
            self._identity_seen = now
            self._identity_warning = self._judged(path)
        if self._identity_warning:
            yield self._identity_warning

    def _judged(self, path: Path) -> str:
        try:
            held = identity.load(self._folder)
        except identity.NotEnrolled:
            if self._machine is None:
                return ""  # nothing was lost; the settings stream says that it is not enrolled
            return (
                f"{path} was removed while the agent runs: once its connection to the manager is "
                "over, there is no other. Put the file back, or enrol the machine again"
            )
        except identity.IdentityUnusable as error:
            return "" if self._machine is None else str(error)
        renamed = held.enrolment == self._enrolment
        self._machine = held.machine if renamed else self._machine or held.machine
        if held.machine == self._machine:
            self._enrolment = held.enrolment
            return ""
        return (
            f"{path} is now that of machine {held.machine}, and the agent runs as {self._machine}: "
            "restart it"
        )


def _seen(path: Path) -> Seen:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns
