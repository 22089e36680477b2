"""PURE. What is suspended on a machine as operators are shown it: wanted, and in force or why not.

Only what a machine reports is called suspended. What is wanted and not reported is said to be
wanted, with the reason: an operator who took a gateway out must not believe that it is out.
"""

from __future__ import annotations

from dataclasses import dataclass

from tdc.shared.sync.report import MachineReport
from tdc.shared.sync.suspension import NOT_SUSPENDED, WORKS, Suspension, is_as_wanted

_AWAY = ("offline", "stale", "unknown")


@dataclass(frozen=True, slots=True)
class SuspensionFacts:
    """What operators want suspended on a machine, and what it reports to suspend.

    `pending` is why it does not do as wanted, empty if it does. `resumed_by` and `resumed_at` (Unix
    seconds) say who resumed work there last; empty and None if nobody did.
    """

    wanted: Suspension = NOT_SUSPENDED
    there: Suspension = NOT_SUSPENDED
    pending: str = ""
    resumed_by: str = ""
    resumed_at: float | None = None

    def __bool__(self) -> bool:
        return bool(self.wanted) or bool(self.there)


NO_SUSPENSION = SuspensionFacts()


def suspension_facts(
    stored: Suspension, state: str, report: MachineReport | None, agent_version: str, now: float
) -> SuspensionFacts:
    """Compare what is stored with what a machine last reported, at `now` (Unix seconds).

    `state` is the word of its sync state. Of a machine that is away nothing is known, but that it
    ends by itself what has an end.
    """
    wanted = stored.at(now)
    there = (report.suspension if report is not None else None) or NOT_SUSPENDED
    if state in _AWAY:
        there = there.at(now)
    if is_as_wanted(wanted, there):
        return SuspensionFacts(wanted, there)
    return SuspensionFacts(wanted, there, _why(wanted, state, report, agent_version))


def _why(wanted: Suspension, state: str, report: MachineReport | None, agent_version: str) -> str:
    if state == "unknown":
        return "the manager that it is connected to does not answer, so it can't be known"
    if state in _AWAY:
        return f"it is {state}, and does it once it connects"
    if report is None:
        return "it has not reported yet"
    reported = report.suspension
    if reported is None:
        version = agent_version or "unknown"
        return f"its agent, version {version}, doesn't know suspensions: upgrade the agent"
    if report.refuses_manager:
        return "it takes nothing from this manager"
    if reported.number > wanted.number:
        return (
            "what it took last is newer than what is stored. An older backup of the store was "
            "probably restored: suspend or resume it again"
        )
    if reported.number == wanted.number and any(
        wanted.of(work) and not reported.of(work) for work in WORKS
    ):
        return "its own time says that this is over"
    return "it has not taken it yet"
