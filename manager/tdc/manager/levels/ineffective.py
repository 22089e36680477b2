"""PURE. What a plan warns of on suspended machines: a change that does nothing before they resume.

The settings come into force there all the same, and a machine acts by them once it works again. So
it is no problem that refuses the commit: those who expect copies, or reports, must know.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tdc.manager.levels.changes import TopologyChange, machines_before
from tdc.manager.levels.impact import MachineChange, Problem
from tdc.shared.sync.suspension import Suspension, Work

_OF_COPYING = frozenset(
    {"enabled", "intake_address", "incoming_domains", "policies", "max_message_size"}
)
_OF_DELIVERY = ("smtp_route", "tls.", "delivery.", "retry.", "report_", "remote_ip_header")


def ineffective(
    on_machines: Iterable[MachineChange],
    suspended: Mapping[str, Suspension],
    topology: Iterable[TopologyChange] = (),
) -> tuple[Problem, ...]:
    """Warn of each change in force on a machine that does not do the work which the setting is for.

    `suspended` has what is suspended on machines now, by the names before what `topology` renames.
    """
    if not suspended:
        return ()
    called = machines_before(topology)
    return tuple(
        Problem(change.machine, change.setting, f"{work} is suspended there {part.sentence}")
        for change in on_machines
        if (found := suspended.get(called.get(change.machine, change.machine))) is not None
        and (work := _work_of(change.setting)) is not None
        and (part := found.of(work)) is not None
    )


def _work_of(setting: str) -> Work | None:
    if setting in _OF_COPYING:
        return "copying"
    return "delivery" if setting.startswith(_OF_DELIVERY) else None
