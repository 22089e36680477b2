"""Which machines are enrolled, by the id of their valid enrolment.

An enrolment that can't be read, or that was edited by hand, admits nobody: deny by default.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from tdc.manager.store.encoding import Damaged, is_text
from tdc.manager.store.joins import ValidEnrolment, read_enrolment
from tdc.manager.store.keys import enrolment_key, parse_enrolment_key
from tdc.manager.store.seal import Edited
from tdc.manager.view.names import MachineKey


@dataclass(slots=True)
class KnownEnrolments:
    """The enrolments of all clusters, and a sentence for each that can't be read."""

    _ids: dict[MachineKey, ValidEnrolment] = field(default_factory=dict)
    _damaged: dict[str, str] = field(default_factory=dict)  # by key

    def find(
        self, machine: MachineKey, *, sealed: bool = False, born: int | None = None
    ) -> str | None:
        """Look up a machine's enrolment; None if it has none, or must be `sealed` and is not.

        `born` is the revision that created the machine, None where that is not known: an enrolment
        of a machine that had its name before is not its own.
        """
        known = self._ids.get(machine)
        if known is None or (sealed and not known.sealed):
            return None
        return known.id if born in (None, known.born) else None

    def unsealed(self, all_sealed: Callable[[str], bool]) -> tuple[str, ...]:
        """Name what has no seal in a cluster in which everything has one."""
        return tuple(
            _sentence(enrolment_key(*machine), machine, "was edited by hand: it has lost its seal")
            for machine, known in self._ids.items()
            if not known.sealed and all_sealed(machine[0])
        )

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
            trouble = "was deleted by hand, so its certificate is denied"
        else:
            try:
                if not is_text("".join(machine)):  # no key can be made of it
                    raise Damaged("its machine has no valid name")
                found = read_enrolment(key, raw)
                older = known is not None and found.number < known.number
                # The older certificate is one that was denied; the newer stays the valid one.
                if known is not None and older:
                    self._ids[machine] = known
                    trouble = "was set back by hand; the newer one counts"
                elif known is not None and _is_edit(known, found):
                    trouble = "was edited by hand, so no certificate is accepted"
                else:
                    self._ids[machine] = found
            except Edited as error:
                trouble = f"was edited by hand, so no certificate is accepted: {error}"
            except Damaged as error:
                trouble = f"can't be read: {error}"
        self._damaged.pop(key, None)
        if trouble:
            self._damaged[key] = _sentence(key, machine, trouble)


def _is_edit(known: ValidEnrolment, found: ValidEnrolment) -> bool:
    """Whether one enrolment can't follow the other: each has a number of its own, and a seal."""
    unsealed = known.sealed and not found.sealed
    return unsealed or (known.number == found.number > 0 and known.id != found.id)


def _sentence(key: str, machine: MachineKey, trouble: str) -> str:
    cluster, name = machine
    words = f"the enrolment of machine {name!r} of cluster {cluster!r} ({key}) {trouble}"
    shown = words.encode("utf-8", "backslashreplace").decode()  # a key may be no text
    return f"{shown}; enrol the machine again with a new join token"
