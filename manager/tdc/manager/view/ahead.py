"""Machines that run a higher revision of this store than it has: an older backup was restored.

In: what streams say to run. Out: the machines of which that holds, and sentences. In any other
fleet there is none, so asking costs nothing whatever its size.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from tdc.manager.view.names import MachineKey
from tdc.manager.view.seen import rename
from tdc.shared.sync.values import Running
from tdc.v1 import agents_pb2


class Wants(Protocol):
    """The fleet, as far as this needs it."""

    def content_hash(self, cluster: str, machine: str, known: frozenset[str]) -> str | None:
        """Hash of what a machine should run whose agent knows these settings."""

    def wanted(self, cluster: str, machine: str) -> agents_pb2.Wanted | None:
        """What a machine should run; None where that is not known."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """Machines of a cluster that are ahead of the store, which is at `store`.

    `newest` is the highest revision that one runs; `differ` says whether one runs other settings
    than the store has.
    """

    cluster: str
    machines: int
    newest: int
    store: int
    differ: bool

    def __str__(self) -> str:
        subject, they = f"{self.machines} machines run revisions up to", "They"
        if self.machines == 1:
            subject, they = "1 machine runs revision", "It"
        begins = (
            f"the fleet is ahead of the store: {subject} {self.newest} of cluster {self.cluster}, "
            f"the store is at {self.store}. An older backup was probably restored. "
        )
        if self.differ:
            return begins + (
                f"{they} {_verb('keep', they)} what runs. `tdc recover {self.cluster}` gives the "
                "store back what they run; once it knows of all machines, `tdc-manager adopt` "
                "makes it the one that they follow"
            )
        return begins + (
            f"{they} {_verb('run', they)} what it has, but will refuse its next commits. When "
            f"`tdc recover {self.cluster}` knows what all machines run, `tdc-manager adopt` "
            "makes it the one that they follow"
        )


def _verb(verb: str, they: str) -> str:
    return verb if they == "They" else f"{verb}s"


class AheadOfStore:
    """What is known of it; `heard` with each word of a machine."""

    def __init__(self, fleet: Wants) -> None:
        self._fleet = fleet
        self._runs: dict[MachineKey, tuple[Running, frozenset[str]]] = {}

    def heard(self, key: MachineKey, running: Running, known: frozenset[str]) -> None:
        """Note what a machine runs whose agent knows these settings."""
        if self._store(key, running):
            self._runs[key] = running, known
        else:
            self._runs.pop(key, None)

    def renamed(self, names: Mapping[MachineKey, MachineKey]) -> None:
        """Note that machines have another name now, each by that of before."""
        rename(self._runs, names)

    def of(self, machines: Container[MachineKey]) -> tuple[Ahead, ...]:
        """Those of these machines, by cluster."""
        found: dict[str, list[tuple[Running, int, bool]]] = {}
        for key in sorted(self._runs.keys()):
            running, known = self._runs[key]
            store = self._store(key, running)
            if not store:  # another store by now, or it is gone, or the store has caught up
                del self._runs[key]
            elif key in machines:
                differs = self._fleet.content_hash(*key, known) != running.hash
                found.setdefault(key[0], []).append((running, store, differs))
        return tuple(_counted(cluster, each) for cluster, each in found.items())

    def in_cluster(self, name: str) -> tuple[Ahead, ...]:
        """Those of a cluster: one or none."""
        return self.of({key for key in self._runs if key[0] == name})

    def _store(self, key: MachineKey, running: Running) -> int:
        """The revision of the store that the machine is ahead of; 0 if it is not."""
        wanted = self._fleet.wanted(*key)
        if wanted is None or wanted.store_id != running.store_id:
            return 0
        return wanted.revision if running.revision > wanted.revision else 0


def _counted(cluster: str, machines: Iterable[tuple[Running, int, bool]]) -> Ahead:
    there = list(machines)
    newest = max(running.revision for running, _, _ in there)
    return Ahead(cluster, len(there), newest, there[0][1], any(each for _, _, each in there))
