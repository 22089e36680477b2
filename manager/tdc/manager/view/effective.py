"""What is in force on machines: equal inputs share one resolve and one serialisation.

What a machine's cluster, its group and itself store decides what is in force there; so machines
for which these three are equal (all machines of a group without settings of their own) have the
same values and the same hash, whatever their names. An entry lives as long as a machine uses it.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field

from tdc.manager.levels.fleet import Cluster
from tdc.manager.levels.resolve import resolve_values
from tdc.shared.settings.canonical import content_hash
from tdc.shared.settings.known import KNOWN_HERE, fitted, lacking
from tdc.shared.settings.values import Settings, Value
from tdc.shared.wire.settings import settings_to_wire
from tdc.v1 import agents_pb2

Inputs = tuple[Settings, Settings, Settings]
"""What the machine, its group and its cluster store: nearest first."""


_MOST_FITTED = 64
"""Sets of known settings for which a result is kept: about the versions of agents in use."""


@dataclass(eq=False, slots=True, weakref_slot=True)
class Resolved:
    """Values in force on one or more machines, with their hash and their messages."""

    content_hash: str
    values: Mapping[str, Value | None]
    lacks: tuple[str, ...] = ()
    """Settings that were left out and have a value other than the default: so it is not offered."""
    _wanted: dict[str, agents_pb2.Wanted] = field(default_factory=dict)
    _fitted: dict[frozenset[str], Resolved] = field(default_factory=dict)

    def fitted(self, known: frozenset[str]) -> Resolved:
        """The same for agents that know no other settings than these."""
        if known is KNOWN_HERE:  # of most agents
            return self
        found = self._fitted.get(known)
        if found is None:
            if len(self._fitted) >= _MOST_FITTED:
                self._fitted.clear()
            values = fitted(self.values, known)
            lacks = lacking(self.values, known)
            found = self._fitted[known] = Resolved(content_hash(values), values, lacks)
        return found

    def wanted(self, cluster: str, revision: int, store_id: str, history: str) -> agents_pb2.Wanted:
        """The message that offers these values; it is shared: never change it.

        Clusters with equal settings share values, and each counts its own revisions: of each the
        newest message is kept, because an older one is never offered.
        """
        message = self._wanted.get(cluster)
        if message is None or _origin(message) != (revision, store_id, history):
            message = agents_pb2.Wanted(
                revision=revision,
                hash=self.content_hash,
                settings=settings_to_wire(self.values),
                store_id=store_id,
                history=history,
            )
            self._wanted[cluster] = message
        return message


def _origin(message: agents_pb2.Wanted) -> tuple[int, str, str]:
    return message.revision, message.store_id, message.history


class SharedResolves:
    """Resolves each combination of inputs once, while something still holds its result."""

    def __init__(self) -> None:
        self._known: weakref.WeakValueDictionary[Inputs, Resolved] = weakref.WeakValueDictionary()
        self.resolved = 0
        """How often a combination had to be resolved."""

    def in_force(self, cluster: Cluster, machine_name: str) -> Resolved:
        """Resolve what is in force on a machine of `cluster`, or find it resolved."""
        machine = cluster.machines[machine_name]
        inputs = (
            machine.stored.settings,
            cluster.groups[machine.group].stored.settings,
            cluster.stored.settings,
        )
        known = self._known.get(inputs)
        if known is None:
            self.resolved += 1
            values = resolve_values(*inputs)
            known = self._known[inputs] = Resolved(content_hash(values), values)
        return known
