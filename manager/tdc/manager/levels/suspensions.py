"""PURE. The suspensions of a cluster's machines, and what an order of an operator makes of them.

They are beside the settings, not among them: no level has them, no commit makes them, a rollback
does not bring them back, and an export has none. One belongs to the machine that was there when it
was ordered: another one that is created under its name begins unsuspended.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from tdc.manager.levels.fleet import Machine
from tdc.manager.levels.identities import slot_of
from tdc.shared.sync.suspension import NOT_SUSPENDED, Suspended, Suspension, Work

MOST_REQUESTS = 200
"""Request ids of a cluster that are remembered, the newest."""


@dataclass(frozen=True, slots=True)
class MachineSuspension:
    """What is suspended on the machine that revision `born` created.

    `resumed_by` and `resumed_at` (Unix seconds) say who resumed work there last; empty and None if
    nobody did. What ended by its time was resumed by nobody.
    """

    born: int
    suspension: Suspension
    resumed_by: str = ""
    resumed_at: float | None = None


@dataclass(frozen=True, slots=True)
class Suspensions:
    """All of a cluster, by the slots of machines, which stay with them when they are renamed.

    `number` is that of the newest change; `requests` what an id has made.
    """

    number: int = 0
    machines: Mapping[str, MachineSuspension] = field(default_factory=dict)
    requests: Mapping[str, str] = field(default_factory=dict)

    def of(self, machine: Machine) -> MachineSuspension | None:
        """That of a machine; None if it never had one."""
        found = self.machines.get(slot_of(machine))
        return found if found is not None and found.born == machine.born else None


NO_SUSPENSIONS = Suspensions()


@dataclass(frozen=True, slots=True)
class SuspensionOrder:
    """Suspend or resume work on machines. `suspend` is None for a resume."""

    machines: tuple[str, ...]
    works: tuple[Work, ...]
    suspend: Suspended | None
    by: str
    at: float
    request_id: str


def ordered(
    before: Suspensions, order: SuspensionOrder, machines: Mapping[str, Machine], fingerprint: str
) -> tuple[Suspensions, frozenset[str]]:
    """What there is once the order is carried out, and the machines on which that differs.

    `machines` are those of the cluster; what is kept of others is dropped. The number is at least
    the time, so that it grows even where what was stored is lost.
    """
    number = max(before.number + 1, int(order.at))
    kept = {
        slot_of(machine): found
        for machine in machines.values()
        if (found := before.of(machine)) is not None
    }
    changed: set[str] = set()
    for name in order.machines:
        machine = machines[name]
        slot = slot_of(machine)
        known = kept.get(slot) or MachineSuspension(machine.born, NOT_SUSPENDED)
        after = _after(known.suspension.at(order.at), order.works, order.suspend)
        if _same(after, known.suspension.at(order.at)):
            continue
        changed.add(name)
        now = replace(known, suspension=replace(after, number=number))
        if order.suspend is None:
            now = replace(now, resumed_by=order.by, resumed_at=order.at)
        kept[slot] = now
    requests = {**before.requests, order.request_id: fingerprint}
    newest = dict(list(requests.items())[-MOST_REQUESTS:])
    if not changed:  # sent again later it must do nothing either
        return replace(before, requests=newest), frozenset()
    return Suspensions(number, kept, newest), frozenset(changed)


def _after(now: Suspension, works: Iterable[Work], suspend: Suspended | None) -> Suspension:
    for work in works:
        now = now.having(work, suspend)
    return now


def _same(one: Suspension, other: Suspension) -> bool:
    """Whether two are alike but for what changes by itself, and when it was ordered."""
    return _bare(one.copying) == _bare(other.copying) and _bare(one.delivery) == _bare(
        other.delivery
    )


def _bare(part: Suspended | None) -> tuple[object, ...] | None:
    return None if part is None else (part.by, part.reason, part.until)
