"""Which machines are enrolled, by the id of their valid enrolment.

An enrolment that can't be read admits nobody: deny by default.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from tdc.manager.store.encoding import Damaged
from tdc.manager.store.joins import ValidEnrolment, read_enrolment
from tdc.manager.store.keys import enrolment_key, parse_enrolment_key
from tdc.manager.view.names import MachineKey


@dataclass(slots=True)
class KnownEnrolments:
    """The enrolments of all clusters, and a sentence for each that can't be read."""

    _ids: dict[MachineKey, ValidEnrolment] = field(default_factory=dict)
    _damaged: dict[str, str] = field(default_factory=dict)  # by key

    def find(self, machine: MachineKey) -> str | None:
        """Look up a machine's enrolment; None if it has none."""
        known = self._ids.get(machine)
        return known.id if known is not None else None

    @property
    def damaged(self) -> Collection[str]:
        """What can't be read, in sentences."""
        return self._damaged.values()

    def take(
        self, values: Mapping[str, bytes | None], *, all_of_it: bool, replaced: bool = False
    ) -> frozenset[MachineKey]:
        """Take new values (None: deleted); name the machines whose enrolment is another now.

        With `all_of_it`, what is not among them is gone. `replaced`: the store is another than
        before, or a restored one, so nothing is known of it.
        """
        before = dict(self._ids)
        if replaced:
            self._ids.clear()
            self._damaged.clear()
        if all_of_it:
            gone = {enrolment_key(*machine) for machine in self._ids} | self._damaged.keys()
            values = {**dict.fromkeys(gone), **values}
        for key, raw in values.items():
            self._take_one(key, raw)
        machines = before.keys() | self._ids.keys()
        return frozenset(each for each in machines if before.get(each) != self._ids.get(each))

    def _take_one(self, key: str, raw: bytes | None) -> None:
        machine = parse_enrolment_key(key)
        if machine is None:
            return
        known, trouble = self._ids.pop(machine, None), ""
        if raw is None:
            trouble = f"({key}) was deleted by hand, so its certificate is denied"
        else:
            try:
                found = read_enrolment(raw)
                older = known is not None and found.number < known.number
                # The older certificate is one that was denied; the newer stays the valid one.
                self._ids[machine] = known if known is not None and older else found
                trouble = f"({key}) was set back by hand; the newer one counts" if older else ""
            except Damaged as error:
                trouble = f"can't be read: {error}"
        self._damaged.pop(key, None)
        if trouble:
            cluster, name = machine
            self._damaged[key] = (
                f"the enrolment of machine {name!r} of cluster {cluster!r} {trouble}; enrol the "
                "machine again with a new join token"
            )
