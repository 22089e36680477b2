"""Orders and questions for machines wherever their streams are: here, or at another manager.

An order has an id of its own, and an agent does it once, whichever way it comes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from tdc.manager.peers.peers import Peers
from tdc.manager.view.names import MachineKey
from tdc.shared.settings.values import Value
from tdc.shared.sync.queue_work import QueueAnswer, QueueOrder, Unanswered
from tdc.shared.wire.running_settings import RunsThere


class Kept(Protocol):
    """What agents run that was asked of them."""

    def find(self, hash_: str, known: frozenset[str], /) -> Mapping[str, Value | None] | None:
        """What agents run that report this hash and know these settings; None if not known."""

    def take(self, found: RunsThere, known: frozenset[str], /) -> None:
        """Keep an answer."""


class OwnStreams(Protocol):
    """The streams at this manager."""

    def is_connected(self, key: MachineKey, /) -> bool:
        """Whether a stream of this machine is open here."""

    async def ask(
        self, key: MachineKey, order: QueueOrder, timeout: float, /
    ) -> QueueAnswer | Unanswered:
        """Send an order and wait for its answer, for `timeout` seconds at most."""

    @property
    def running(self) -> Kept:
        """What agents run that was asked of them."""

    async def ask_settings(self, key: MachineKey, timeout: float, /) -> RunsThere | Unanswered:
        """Ask a machine what it runs, and wait for `timeout` seconds at most."""


class AllStreams:
    """The streams of all managers that answer."""

    def __init__(
        self, own: OwnStreams, peers: Peers, enrolment: Callable[[str, str], str | None]
    ) -> None:
        """`enrolment` says which machine has a name now: another manager may know it by another."""
        self._own = own
        self._peers = peers
        self._enrolment = enrolment

    def is_connected(self, key: MachineKey) -> bool:
        """Whether a manager that answers has a stream of this machine."""
        return self._own.is_connected(key) or self._is_elsewhere(key)

    async def ask(
        self, key: MachineKey, order: QueueOrder, timeout: float
    ) -> QueueAnswer | Unanswered:
        """Send an order and wait for its answer, for `timeout` seconds and the way there."""
        if self._own.is_connected(key) or not self._is_elsewhere(key):
            return await self._own.ask(key, order, timeout)
        return await self._peers.order(key, order, timeout)

    @property
    def running(self) -> Kept:
        """What agents run that was asked of them here, or passed on to here."""
        return self._own.running

    async def ask_settings(
        self, key: MachineKey, known: frozenset[str], timeout: float
    ) -> RunsThere | Unanswered:
        """Ask a machine what it runs whose agent knows these settings, or who heard it say so."""
        if self._own.is_connected(key):
            return await self._own.ask_settings(key, timeout)
        found = await self._peers.ask_settings(key, known, timeout)
        if isinstance(found, RunsThere):
            self.running.take(found, known)
        return found

    def _is_elsewhere(self, key: MachineKey) -> bool:
        return self._peers.has(key, self._enrolment(*key) or "")
