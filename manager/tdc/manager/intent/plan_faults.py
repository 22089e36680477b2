"""PURE. The faults of a plan in one sentence that fits into an answer, whatever the fleet's size.

Machines with the same fault are named together; the plan itself lists each and all.
"""

from __future__ import annotations

from tdc.manager.levels.plan import Plan

FAULTS_NAMED = 8
MACHINES_NAMED = 10
"""Different faults, and machines with the same fault, that are named."""


def faults_of(plan: Plan) -> str:
    """Why the plan can't be committed."""
    machines: dict[tuple[str, str], list[str]] = {}
    for problem in plan.problems:
        machines.setdefault((problem.setting, problem.reason), []).append(problem.machine)
    faults = [f"{setting}: {reason}{_on(names)}" for (setting, reason), names in machines.items()]
    shown = faults[:FAULTS_NAMED]
    if len(faults) > len(shown):
        shown.append(f"and {len(faults) - len(shown)} more; the plan lists all")
    return "the result would be invalid, so nothing was changed: " + "; ".join(shown)


def _on(names: list[str]) -> str:
    named = [name for name in names if name]
    if not named:
        return ""
    shown = ", ".join(named[:MACHINES_NAMED])
    more = len(named) - MACHINES_NAMED
    rest = f" and {more} more, which the plan lists" if more > 0 else ""
    return f" (machine{'s' if len(named) > 1 else ''} {shown}{rest})"
