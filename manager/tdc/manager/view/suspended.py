"""What is suspended on a machine, by what the store wants and what the machine reported."""

from __future__ import annotations

from dataclasses import replace

from tdc.manager.view.fleet import FleetView
from tdc.manager.view.presence import MachineFacts
from tdc.shared.sync.suspension import NOT_SUSPENDED
from tdc.shared.sync.suspension_state import SuspensionFacts, suspension_facts


def suspended_on(
    view: FleetView, cluster: str, machine: str, facts: MachineFacts, now: float
) -> SuspensionFacts:
    """Compare both, at `now` (Unix seconds); `facts` are those of presence."""
    record = view.suspension_record(cluster, machine)
    stored = record.suspension if record is not None else NOT_SUSPENDED
    found = suspension_facts(stored, facts.state, facts.status, facts.agent_version, now)
    if record is None:
        return found
    return replace(found, resumed_by=record.resumed_by, resumed_at=record.resumed_at)
