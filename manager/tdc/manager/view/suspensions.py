"""What operators want suspended on machines, as far as it could ever be read.

In: keys and values of suspensions. Out: those of each cluster, and sentences.
Promise: a document that can't be read, or that was deleted or set back by hand, leaves what was
last known in its place, and is named: no machine begins again to deliver because a value is gone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from tdc.manager.levels.suspensions import NO_SUSPENSIONS, Suspensions
from tdc.manager.store.encoding import Damaged
from tdc.manager.store.keys import parse_suspensions_key, suspensions_key
from tdc.manager.store.seal import Edited
from tdc.manager.store.suspensions import read_suspensions
from tdc.manager.view.names import MachineKey

_THEN = "the last known ones are used; the next suspend or resume there writes them again"


@dataclass(slots=True)
class KnownSuspensions:
    """The suspensions of all clusters, and a sentence for each document that can't be read."""

    _known: dict[str, Suspensions] = field(default_factory=dict)
    _troubles: dict[str, str] = field(default_factory=dict)

    def of(self, cluster: str) -> Suspensions:
        """Those of a cluster; none where nothing was ever suspended."""
        return self._known.get(cluster, NO_SUSPENSIONS)

    @property
    def damaged(self) -> Collection[str]:
        """What can't be read, in sentences."""
        return tuple(self._troubles.values())

    def take(
        self, values: Mapping[str, bytes | None], *, all_of_it: bool, replaced: bool = False
    ) -> frozenset[MachineKey]:
        """Take new values (None: deleted); name, by slot, machines on which something differs now.

        With `all_of_it`, what is not among them is gone. `replaced`: the store is another than
        before, or a restored one, so nothing is known of it.
        """
        before = dict(self._known)
        if replaced:
            self._known.clear()
        if all_of_it:
            self._troubles.clear()
            keys = {parse_suspensions_key(key) for key in values}
            for cluster in self._known.keys() - keys:
                self._note(cluster, "was deleted by hand")
        for key, raw in values.items():
            self._read(key, raw)
        return frozenset(
            (cluster, machine)
            for cluster in before.keys() | self._known.keys()
            for machine in _differing(
                before.get(cluster, NO_SUSPENSIONS), self._known.get(cluster, NO_SUSPENSIONS)
            )
        )

    def _read(self, key: str, raw: bytes | None) -> None:
        cluster = parse_suspensions_key(key)
        if cluster is None:
            shown = key.encode("utf-8", "backslashreplace").decode()  # a key may be no text
            self._troubles[key] = f"{shown} can't be read: this layout has no such key"
            if raw is None:
                del self._troubles[key]
            return
        self._troubles.pop(cluster, None)
        if raw is None:
            if cluster in self._known:
                self._note(cluster, "was deleted by hand")
            return
        try:
            found = read_suspensions(key, raw)
        except Edited as error:
            self._note(cluster, f"was edited by hand: {error}")
            return
        except Damaged as error:
            self._note(cluster, f"can't be read: {error}")
            return
        if found.number < self.of(cluster).number:
            self._note(cluster, "was set back by hand")
            return
        self._known[cluster] = found

    def _note(self, cluster: str, what: str) -> None:
        key = suspensions_key(cluster)
        self._troubles[cluster] = f"{key} {what}: of the suspensions of its machines {_THEN}"


def _differing(before: Suspensions, after: Suspensions) -> set[str]:
    names = before.machines.keys() | after.machines.keys()
    return {name for name in names if before.machines.get(name) != after.machines.get(name)}
