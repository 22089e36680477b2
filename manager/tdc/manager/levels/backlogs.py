"""PURE. Copies that wait for an intake about to change or go: what a plan says of them.

A copy belongs to the intake that it was taken for. If a commit changes that intake's facts (route,
TLS), its copies go by the new ones; if no settings name the intake any more, they go on by its last
facts. Both are for the operator to know before the commit, and `tdc delivery move` is the way to
send them elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tdc.manager.levels.changes import TopologyChange, machines_before
from tdc.manager.levels.fleet import Cluster
from tdc.manager.levels.impact import MachineChange
from tdc.manager.levels.resolve import resolve_values
from tdc.shared.connector.intake import Intake, intakes_in_force
from tdc.shared.connector.settings import ConnectorSettings
from tdc.shared.settings.values import Settings
from tdc.shared.sync.report import ReportedBacklog

DECISIVE = frozenset(
    {
        "intake_address",
        "policies",
        "smtp_route",
        "tls.minimum_version",
        "tls.verification",
        "tls.names",
        "tls.pins",
    }
)
"""Settings that say which intakes there are, and how reports get there."""

Reports = Callable[[str], Sequence[ReportedBacklog]]
"""What a machine last reported of the copies in its spool, by its name."""


@dataclass(frozen=True, slots=True)
class PlannedBacklog:
    """Copies on a machine that wait for an intake which the commit changes, or which `goes`.

    `oldest` is Unix seconds, None if the machine did not say.
    """

    machine: str
    intake: str
    copies: int
    oldest: float | None
    goes: bool


def backlogs_of(
    before: Cluster,
    after: Cluster,
    changes: Iterable[MachineChange],
    reports: Reports,
    topology: Iterable[TopologyChange] = (),
) -> tuple[PlannedBacklog, ...]:
    """List them, by machine and then by intake. Machines without copies cost nothing.

    A machine that `topology` renames has reported under its name before.
    """
    called = machines_before(topology)
    concerned = dict.fromkeys(each.machine for each in changes if each.setting in DECISIVE)
    intakes = _Intakes({})
    found: list[PlannedBacklog] = []
    for name in concerned:
        was_called = called.get(name, name)
        waiting = [each for each in reports(was_called) if each.waiting > 0]
        if not waiting or was_called not in before.machines:
            continue
        old, new = intakes.on(before, was_called), intakes.on(after, name)
        for each in sorted(waiting, key=lambda backlog: backlog.intake):
            was, becomes = old.get(each.intake), new.get(each.intake)
            if was is not None and was != becomes:
                goes = becomes is None
                found.append(PlannedBacklog(name, each.intake, each.waiting, each.oldest, goes))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Intakes:
    """Intakes in force by address, worked out once for machines with equal inputs."""

    known: dict[tuple[Settings, Settings, Settings], dict[str, Intake]]

    def on(self, cluster: Cluster, machine_name: str) -> dict[str, Intake]:
        machine = cluster.machines[machine_name]
        inputs = (
            machine.stored.settings,
            cluster.groups[machine.group].stored.settings,
            cluster.stored.settings,
        )
        if inputs not in self.known:
            settings = ConnectorSettings.from_values(resolve_values(*inputs))
            self.known[inputs] = {each.address: each for each in intakes_in_force(settings)}
        return self.known[inputs]
