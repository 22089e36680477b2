"""PURE. What a plan gives machines whose agents don't know the setting.

The policy
----------
Such an agent acts as by the default, and is offered nothing while the setting has another value: it
would keep older settings of everything else too. So a commit that brings a machine into that state
is refused, and names the machine. What a machine lacks already keeps nothing from being committed
that does not touch it.

Only what agents say counts, now, here or at a manager that answers. Of a machine that is not
connected nobody knows whether it is being upgraded at the moment, so the plan warns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tdc.manager.levels.impact import MachineChange, Problem
from tdc.shared.settings.known import FIRST_KNOWN, is_default, unknown_there


@dataclass(frozen=True, slots=True)
class AgentKnows:
    """What an agent knows, as it last said; None if no manager that answers saw it."""

    known: frozenset[str] | None = None
    version: str = ""
    connected: bool = False


def unsupported(
    on_machines: Iterable[MachineChange], knows: Callable[[str], AgentKnows]
) -> tuple[tuple[Problem, ...], tuple[Problem, ...]]:
    """Work out problems, of connected machines, and warnings, of the others.

    `knows` has what is known of the agent of a machine.
    """
    problems, warnings = list[Problem](), list[Problem]()
    for change in on_machines:
        if change.after is None or is_default(change.setting, change.after):
            continue
        agent = knows(change.machine)
        if change.setting in (FIRST_KNOWN if agent.known is None else agent.known):
            continue
        found = problems if agent.connected else warnings
        found.append(Problem(change.machine, change.setting, _reason(change.setting, agent)))
    return tuple(problems), tuple(warnings)


def _reason(setting: str, agent: AgentKnows) -> str:
    if agent.known is None:
        return (
            f"not known whether its agent knows {setting}: it has connected to no manager that "
            "answers. If it does not, it keeps the settings that it runs until it is upgraded"
        )
    if not agent.connected:
        return (
            f"not known whether its agent knows {setting}: it is not connected. Version "
            f"{agent.version or 'unknown'}, which it had last, does not, and keeps the settings "
            "that it runs"
        )
    return (
        f"{unknown_there([setting], agent.version)}. Upgrade the agent first, or set this where "
        "all machines know it"
    )
