"""Which machines are enrolled, by the id of their valid enrolment.

In: the keys and values of enrolments, and of their counts. Out: the valid ids, and sentences.
Promise: an enrolment that can't be read, that was edited, or that is older than one there was
admits nobody: deny by default. A key that no machine has denies nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from tdc.manager.store.encoding import Damaged
from tdc.manager.store.joins import (
    EnrolmentCount,
    ValidEnrolment,
    Withdrawal,
    read_count,
    read_enrolment,
)
from tdc.manager.store.keys import (
    enrolment_count_key,
    enrolment_key,
    parse_enrolment_count_key,
    parse_enrolment_key,
)
from tdc.manager.store.seal import Edited
from tdc.manager.view.names import MachineKey

T = TypeVar("T")

_NOBODY = "so no certificate is accepted"
_DENIED = "so its certificate is denied"
_LOST_SEAL = "was edited by hand: it has lost its seal"


@dataclass(slots=True)
class KnownEnrolments:
    """The enrolments of all clusters, by slot, and a sentence for each that can't be read.

    Of each machine the newest enrolment that was valid is remembered, whatever becomes of its key.
    """

    _ids: dict[MachineKey, ValidEnrolment] = field(default_factory=dict)
    _stored: dict[MachineKey, ValidEnrolment | str] = field(default_factory=dict)
    _counts: dict[MachineKey, EnrolmentCount | str] = field(default_factory=dict)
    _newest: dict[MachineKey, ValidEnrolment] = field(default_factory=dict)
    _troubles: dict[MachineKey, str] = field(default_factory=dict)
    _foreign: dict[str, str] = field(default_factory=dict)
    _by_id: dict[str, MachineKey] = field(default_factory=dict)

    def find(
        self, machine: MachineKey, *, sealed: bool = False, born: int | None = None
    ) -> str | None:
        """Look up a machine's enrolment; None if it has none, or must be `sealed` and is not.

        `born` is the revision that created the machine, None where that is not known: an enrolment
        of a machine that had its name before is not its own.
        """
        known = self._ids.get(machine)
        if known is None or known.withdrawn is not None or (sealed and not known.sealed):
            return None
        return known.id if born in (None, known.born) else None

    def withdrawn(self, machine: MachineKey, born: int | None = None) -> Withdrawal | None:
        """Who withdrew the machine's certificates; None if nobody did since it enrolled last."""
        known = self._ids.get(machine)
        return known.withdrawn if known is not None and born in (None, known.born) else None

    def machine_of(self, enrolment: str) -> tuple[str, str, int] | None:
        """Whose valid enrolment it is: cluster, slot, and the revision that created the machine."""
        key = self._by_id.get(enrolment)
        return (*key, self._ids[key].born) if key is not None else None

    def unsealed(self, all_sealed: Callable[[str], bool]) -> tuple[str, ...]:
        """Name what has no seal in a cluster in which everything has one."""
        return tuple(
            _sentence(machine, _LOST_SEAL)
            for machine, known in self._ids.items()
            if not known.sealed and all_sealed(machine[0])
        )

    @property
    def damaged(self) -> Collection[str]:
        """What can't be read, or is not as it was written, in sentences."""
        return (*self._troubles.values(), *self._foreign.values())

    def take(
        self, values: Mapping[str, bytes | None], *, all_of_it: bool, replaced: bool = False
    ) -> frozenset[MachineKey]:
        """Take new values (None: deleted); name the machines whose enrolment is another now.

        With `all_of_it`, what is not among them is gone. `replaced`: the store is another than
        before, or a restored one, so nothing is known of it.
        """
        before = dict(self._ids)
        if replaced:
            for known in (self._ids, self._newest, self._troubles):
                known.clear()
        if all_of_it or replaced:
            self._stored.clear()
            self._counts.clear()
            self._foreign.clear()
        touched = {*before, *self._newest, *self._troubles} if all_of_it else set()
        touched |= {machine for key, raw in values.items() if (machine := self._read(key, raw))}
        for machine in touched:
            self._judge(machine)
        machines = before.keys() | self._ids.keys()
        changed = frozenset(each for each in machines if before.get(each) != self._ids.get(each))
        for machine in changed & before.keys():
            self._by_id.pop(before[machine].id, None)
        self._by_id |= {self._ids[each].id: each for each in changed & self._ids.keys()}
        return changed

    def _read(self, key: str, raw: bytes | None) -> MachineKey | None:
        """Take one value; the machine that it is of, None for a key of no known form."""
        self._foreign.pop(key, None)
        if (machine := parse_enrolment_key(key)) is not None:
            self._stored.pop(machine, None)
            if raw is not None:
                self._stored[machine] = _read(read_enrolment, key, raw)
        elif (machine := parse_enrolment_count_key(key)) is not None:
            self._counts.pop(machine, None)
            if raw is not None:
                self._counts[machine] = _read(read_count, key, raw)
        elif raw is not None:
            shown = key.encode("utf-8", "backslashreplace").decode()  # a key may be no text
            self._foreign[key] = f"{shown} can't be read: this layout has no such key"
        return machine

    def _judge(self, machine: MachineKey) -> None:
        """Say which enrolment of a machine is valid now, and what is wrong."""
        known, newest = self._ids.pop(machine, None), self._newest.get(machine)
        found, count = self._stored.get(machine), self._counts.get(machine)
        self._troubles.pop(machine, None)
        if found is None and newest is None and count is None:
            return
        if not isinstance(found, ValidEnrolment):
            trouble = found or f"was deleted by hand, {_DENIED}"
        elif known is not None and found.number < known.number:
            self._ids[machine] = known  # the older certificate is one that was denied
            trouble = "was set back by hand; the newer one counts"
        else:
            trouble = _older(found, newest) or _edit(found, newest)
            counted = _miscounted(machine, found, count)
            if not trouble and (not counted or found == known):
                self._ids[machine] = self._newest[machine] = found
            trouble = trouble or counted
        if trouble:
            self._troubles[machine] = _sentence(machine, trouble)


def _read(read: Callable[[str, bytes], T], key: str, raw: bytes) -> T | str:
    """The value, or what is wrong with it."""
    try:
        return read(key, raw)
    except Edited as error:
        return f"was edited by hand, {_NOBODY}: {error}"
    except Damaged as error:
        return f"can't be read: {error}"


def _older(found: ValidEnrolment, newest: ValidEnrolment | None) -> str:
    if newest is None or found.number >= newest.number:
        return ""
    return f"was set back by hand to one that came before, {_NOBODY}"


def _edit(found: ValidEnrolment, newest: ValidEnrolment | None) -> str:
    """Why an enrolment can't follow the newest: each has a number of its own, and a seal."""
    if newest is None:
        return ""
    unsealed = newest.sealed and not found.sealed
    another = newest.number == found.number > 0 and newest.id != found.id
    return f"was edited by hand, {_NOBODY}" if unsealed or another else ""


def _miscounted(
    machine: MachineKey, found: ValidEnrolment, count: EnrolmentCount | str | None
) -> str:
    """Why an enrolment can't be the newest, by what was counted; or that it can't be told."""
    key = enrolment_count_key(*machine)
    if isinstance(count, str):
        return f"can't be told from an older one, {_NOBODY}: {key} {count}"
    if count is None:
        gone = f"can't be told from an older one, {_NOBODY}: {key} was deleted by hand"
        return gone if found.counted else ""
    if not found.sealed:
        return f"{_LOST_SEAL}, {_NOBODY}"
    if found.number < count.number:
        return f"was set back by hand to one that came before, {_NOBODY}"
    return ""


def _sentence(machine: MachineKey, trouble: str) -> str:
    cluster, name = machine
    key = enrolment_key(cluster, name)
    words = f"the enrolment of machine {name!r} of cluster {cluster!r} ({key}) {trouble}"
    return f"{words}; enrol the machine again with a new join token"
