"""What push needs of the view: what is wanted of each machine, and a word when that changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tdc.v1 import agents_pb2

MachineKey = tuple[str, str]
"""Cluster and machine."""

OnChange = Callable[[frozenset[MachineKey]], None]


class WantedFleet(Protocol):
    """The view, as push sees it. Plain calls from the event loop; none of them waits."""

    def content_hash(self, cluster: str, machine: str) -> str | None:
        """Return the hash of what is in force on a machine; None where that is not known."""

    def wanted(self, cluster: str, machine: str) -> agents_pb2.Wanted | None:
        """Return what a machine should run; None where that is not known.

        The message is shared by machines with equal settings: never change it.
        """

    def enrolment(self, cluster: str, machine: str) -> str | None:
        """Return the id of the machine's valid enrolment; None if it has none, or is gone."""

    def on_change(self, listener: OnChange, /) -> None:
        """Call back with the machines whose content hash, enrolment or existence changed."""
