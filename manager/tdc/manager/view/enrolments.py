"""Which machines are enrolled, by the id of their valid enrolment.

An enrolment that can't be read admits nobody: deny by default.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from tdc.manager.store.encoding import Damaged
from tdc.manager.store.joins import read_enrolment
from tdc.manager.store.keys import parse_enrolment_key
from tdc.manager.view.names import MachineKey


@dataclass(slots=True)
class KnownEnrolments:
    """The enrolments of all clusters, and a sentence for each that can't be read."""

    _ids: dict[MachineKey, str] = field(default_factory=dict)
    _damaged: dict[str, str] = field(default_factory=dict)  # by key

    def find(self, machine: MachineKey) -> str | None:
        """Look up a machine's enrolment; None if it has none."""
        return self._ids.get(machine)

    @property
    def damaged(self) -> Collection[str]:
        """What can't be read, in sentences."""
        return self._damaged.values()

    def take(self, values: Mapping[str, bytes | None], *, all_of_it: bool) -> frozenset[MachineKey]:
        """Take new values (None: deleted); name the machines whose enrolment is another now.

        With `all_of_it`, what is not among them is gone.
        """
        before = dict(self._ids)
        if all_of_it:
            self._ids.clear()
            self._damaged.clear()
        for key, raw in values.items():
            self._take_one(key, raw)
        machines = before.keys() | self._ids.keys()
        return frozenset(each for each in machines if before.get(each) != self._ids.get(each))

    def _take_one(self, key: str, raw: bytes | None) -> None:
        machine = parse_enrolment_key(key)
        self._damaged.pop(key, None)
        if machine is None:
            return
        self._ids.pop(machine, None)
        if raw is None:
            return
        try:
            self._ids[machine] = read_enrolment(raw).id
        except Damaged as error:
            cluster, name = machine
            self._damaged[key] = (
                f"the enrolment of machine {name!r} of cluster {cluster!r} can't be read: "
                f"{error}; enrol the machine again with a new join token"
            )
