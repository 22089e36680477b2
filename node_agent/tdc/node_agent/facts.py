"""What this machine knows of itself at one moment, gathered from the rooms that keep it.

A frozen value between the rooms and those that show it: `status.py` turns it into the message for
the manager.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from tdc.node_agent.counters import Counters
from tdc.node_agent.deliver.facts import DestinationFacts
from tdc.node_agent.spool.values import SpoolFacts
from tdc.node_agent.sync.apply import InForce
from tdc.shared.sync.report import ReportedBacklog
from tdc.shared.sync.values import Attempt, Running


@dataclass(frozen=True, slots=True)
class AgentFacts:
    """The machine's state.

    `running` are the settings in force, `last_attempt` the last ones offered; `copying` says
    whether copies are taken now; `counters` is a copy that no longer counts; `warnings` are
    sentences for the operator, settings first, then spool, then certificate; `backlogs` are the
    copies in the spool by intake.
    """

    running: Running
    last_attempt: Attempt | None
    copying: bool
    spool: SpoolFacts
    destinations: tuple[DestinationFacts, ...]
    counters: Counters
    warnings: tuple[str, ...]
    backlogs: tuple[ReportedBacklog, ...]


def gather(
    in_force: InForce,
    spool: SpoolFacts,
    destinations: Iterable[DestinationFacts],
    counters: Counters,
    certificate_warnings: Sequence[str] = (),
    backlogs: Iterable[ReportedBacklog] = (),
) -> AgentFacts:
    """The facts now; one event loop changes them all, so they belong together."""
    spool_warnings = [spool.warning] if spool.warning else []
    return AgentFacts(
        running=in_force.running,
        last_attempt=in_force.last_attempt,
        copying=in_force.current().enabled and spool.unhealthy is None,
        spool=spool,
        destinations=tuple(destinations),
        counters=replace(counters),
        warnings=(*in_force.warnings, *spool_warnings, *certificate_warnings),
        backlogs=tuple(backlogs),
    )
