"""The settings in force on this machine, and how they change: persist, swap, then acknowledge.

In: wanted settings that fit their hash. Out: the settings that every room reads with `current`, an
outcome for the manager.
Promise: settings that do not fit this machine never run; what was acknowledged is on disk; a room
sees either the old settings or the new, never a mixture.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.sync import last_good, removal
from tdc.node_agent.version import VERSION
from tdc.shared.connector.settings import ConnectorSettings
from tdc.shared.edge import durable_file
from tdc.shared.edge.clock import Clock, wall
from tdc.shared.edge.tasks import finished
from tdc.shared.settings.schema import default_values
from tdc.shared.settings.validate import Fault, faults_of
from tdc.shared.settings.values import Settings
from tdc.shared.sync.audit import Witness
from tdc.shared.sync.stream_state import Settled
from tdc.shared.sync.values import Attempt, Removed, Running, Wanted
from tdc.shared.wire.stream import attempt_to_wire

ATTEMPT = "last-attempt"

Listener = Callable[[ConnectorSettings], None]


class InForce:
    """The settings in force. One event loop; use `open` to make it."""

    def __init__(self, folder: Path, start: last_good.LastGood, log: TdcLog, clock: Clock) -> None:
        self._folder = folder
        self._log = log
        self._clock = clock
        self._listeners: list[Listener] = []
        # One thread, so that no write overtakes another, even if its caller stopped waiting.
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="settings")
        self._settings = start.settings
        self.removal = removal.NOT_REMOVED
        self._current = _in_use(start.settings)
        self.running: Running = start.running
        self.witness: Witness = start.witness
        self.last_attempt: Attempt | None = None
        self.passing = False
        """True if the last attempt failed for a temporary reason: it should be offered again."""
        self._start_warnings = start.warnings
        self.enrolment = ""
        """The enrolment by which this machine is known to the manager that is tried."""
        self.refuses_manager = ""
        """Why no settings are taken from the manager that this machine is connected to."""

    @classmethod
    async def open(cls, folder: Path, log: TdcLog, clock: Clock = wall) -> InForce:
        """Start from the last applied settings in `folder`, or the defaults; never raises."""
        start, attempt, found = await asyncio.to_thread(_load, folder)
        in_force = cls(folder, start, log, clock)
        in_force.last_attempt = attempt
        in_force._removal_is(found)
        for warning in start.warnings:
            log.error(warning)
        return in_force

    def close(self) -> None:
        """Wait for writes under way."""
        self._disk.shutdown()

    @property
    def settings(self) -> Settings:
        """What was applied last, as it came, whatever a removal makes of it."""
        return self._settings

    def current(self) -> ConnectorSettings:
        """The settings in force now; a message uses one such value from end to end."""
        return self._current

    def on_change(self, listener: Listener) -> None:
        """Call `listener` with the settings now and after each change. It must not block."""
        self._listeners.append(listener)
        self._notify(listener)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is wrong with the settings of this machine, in sentences."""
        removed = (self.removal.sentence,) if self.removal.why else ()
        return *self._start_warnings, *removed

    async def removed(self, told: Removed, why: str) -> None:
        """Note that a manager removed this machine: what runs goes on, or takes no more copies.

        It holds across restarts.
        """
        now = removal.Removal(why, told.stops_copying, told.store_id, told.revision, self.enrolment)
        if replace(self.removal, why=now.why) == now and self.removal.why:
            return
        self._removal_is(now)
        self._log.warning(now.sentence)
        await self._keep_removal(now)

    async def welcome(self) -> None:
        """Note that a manager has this machine, by its enrolment, among its own."""
        if self.removal.why and self.removal.enrolment != self.enrolment:
            await self._not_removed()

    async def _not_removed(self) -> None:
        self._log.info("this machine is managed again")
        self._removal_is(removal.NOT_REMOVED)
        await self._keep_removal(removal.NOT_REMOVED)

    def _removal_is(self, now: removal.Removal) -> None:
        self.removal = now
        self._put_in_use(self._settings)

    async def _keep_removal(self, now: removal.Removal) -> None:
        try:
            await self._on_disk(removal.save, self._folder, now)
        except durable_file.NotWritten as error:
            self._log.warning(f"can't save that this machine was removed: {error}")

    def greets(self) -> Attempt | None:
        """The last attempt, as the agent reports it at the start of a stream.

        What failed for a temporary reason, or for the manager that sent it, is forgotten: of this
        manager it may be welcome, and a manager does not offer again what was refused.
        """
        if self.passing:
            self.last_attempt, self.passing = None, False
        self.refuses_manager = ""
        return self.last_attempt

    async def apply(self, wanted: Wanted) -> Settled:
        """Put `wanted` in force, or report why not; never raises.

        Once begun it is finished, even if the stream ends meanwhile: what is on disk, and would run
        after a restart, is what runs.
        """
        return await finished(self._apply(wanted), name="apply settings")

    async def _apply(self, wanted: Wanted) -> Settled:
        values = default_values() | dict(wanted.settings)
        faults = faults_of(values)
        if faults:
            return await self.refuse(wanted, "; ".join(map(_sentence, faults)))
        running = wanted.after(self.running)
        witness = self.witness.after(wanted.store_id, wanted.audit, self._clock())
        try:
            await self._on_disk(last_good.save, self._folder, running, wanted.settings, witness)
        except durable_file.NotWritten as error:
            reason = f"can't save the settings: {error}; trying again"
            return await self.refuse(wanted, reason, passing=True, again=True)
        self.running, self.witness, self._start_warnings = running, witness, ()
        self._put_in_use(wanted.settings)
        if self.removal.why and self.removal.is_over(wanted):
            await self._not_removed()
        self._log.settings_applied(wanted.revision, wanted.hash)
        return await self._settle(wanted, "")

    async def refuse(
        self, wanted: Wanted, reason: str, *, passing: bool = False, again: bool = False
    ) -> Settled:
        """Record that `wanted` does not run here; what runs stays.

        `passing`: it is no fault of these settings, so a later stream may offer them again;
        `again`: they are to be tried again on this one.
        """
        self._log.settings_rejected(wanted.revision, reason)
        return await self._settle(wanted, reason, passing=passing, again=again)

    async def _settle(
        self, wanted: Wanted, reason: str, *, passing: bool = False, again: bool = False
    ) -> Settled:
        attempt = Attempt(wanted.revision, wanted.hash, not reason, reason, self._clock())
        self.last_attempt, self.passing = attempt, passing
        # A temporary failure is not kept: after a restart the settings should be offered again.
        if not passing:
            try:
                await self._on_disk(_save_attempt, self._folder, attempt)
            except durable_file.NotWritten as error:
                self._log.warning(f"can't save the outcome of the last attempt: {error}")
        return Settled(attempt, self.running, again)

    async def _on_disk(self, work: Callable[..., None], *arguments: object) -> None:
        await asyncio.get_running_loop().run_in_executor(self._disk, work, *arguments)

    def _put_in_use(self, settings: Settings) -> None:
        self._settings = settings
        self._current = _in_use(settings)
        if self.removal.stop_copying:
            self._current = self._current.without_copies()
        for listener in self._listeners:
            self._notify(listener)

    def _notify(self, listener: Listener) -> None:
        try:
            listener(self._current)
        except Exception as error:  # the other rooms must get the settings all the same
            self._log.error(f"part of the agent could not apply the settings: {error!r}")


def _in_use(settings: Settings) -> ConnectorSettings:
    # A setting is missing in a file of before it existed, and where the manager did not know it:
    # `objection` refuses any other gap.
    return ConnectorSettings.from_values(default_values() | dict(settings))


def _sentence(fault: Fault) -> str:
    return f"{fault.setting}: {fault.reason}"


def _load(folder: Path) -> tuple[last_good.LastGood, Attempt | None, removal.Removal]:
    return last_good.load(folder), _load_attempt(folder), removal.load(folder)


def _save_attempt(folder: Path, attempt: Attempt) -> None:
    durable_file.make_folder(folder)
    document = {
        "agent_version": VERSION,
        "revision": attempt.revision,
        "hash": attempt.hash,
        "applied": attempt.applied,
        "reason": attempt.reason,
        "time": attempt.time,
    }
    durable_file.write_checked(folder / ATTEMPT, json.dumps(document).encode())


def _load_attempt(folder: Path) -> Attempt | None:
    """The last attempt; None if it is unknown, or another version made it.

    Another version may accept what its predecessor refused.
    """
    try:
        document = json.loads(durable_file.read_checked(folder / ATTEMPT))
        if document.pop("agent_version") != VERSION:
            return None
        attempt = Attempt(**document)
        attempt_to_wire(attempt)  # it is reported at each connect, so it must fit the message
        return attempt
    except (
        durable_file.NotReadable,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        RecursionError,
    ):
        return None
