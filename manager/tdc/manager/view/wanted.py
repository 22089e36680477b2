"""What presence and push need of the fleet: what each machine is to run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tdc.manager.store.joins import Withdrawal
from tdc.manager.view.names import MachineKey
from tdc.shared.settings.known import KNOWN_HERE
from tdc.v1 import agents_pb2


class WantedFleet(Protocol):
    """The fleet, as presence and push need it. Plain calls from the event loop; none waits."""

    def content_hash(
        self, cluster: str, machine: str, known: frozenset[str] = KNOWN_HERE
    ) -> str | None:
        """Hash of what is in force on a machine whose agent knows these settings.

        None where that is not known, or where the agent lacks a setting that has a value other than
        the default.
        """

    def lacking(self, cluster: str, machine: str, known: frozenset[str]) -> tuple[str, ...]:
        """Name those settings that it lacks."""

    def wanted(
        self, cluster: str, machine: str, known: frozenset[str] = KNOWN_HERE
    ) -> agents_pb2.Wanted | None:
        """What a machine should run; None where `content_hash` is None.

        The message is shared by machines with equal settings: never change it.
        """

    def enrolment(self, cluster: str, machine: str) -> str | None:
        """Id of the machine's valid enrolment; None if it has none, or is gone."""

    def withdrawn(self, cluster: str, machine: str) -> Withdrawal | None:
        """Who withdrew a machine's certificates; None where nobody did since it enrolled."""

    def on_change(self, listener: Callable[[frozenset[MachineKey]], None], /) -> None:
        """Call back with the machines whose content hash, enrolment or existence changed, or what
        is to be suspended on them.
        """
