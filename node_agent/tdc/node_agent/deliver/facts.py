"""PURE. What status shows of delivery: one row for each intake domain."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from tdc.node_agent.deliver.assign import LaneState
from tdc.node_agent.deliver.destination import DestinationState
from tdc.node_agent.spool.values import Backlog, IntakeBacklog

PSEUDO_DOMAIN = "the.tdc.queue"
"""The destination domain under which operators know the queue."""

_STATUSES = ("unknown", "up", "refusing", "down")


@dataclass(frozen=True, slots=True)
class DestinationFacts:
    """One row of `delivery status`; fields as in tdc.v1.Destination, times Unix seconds."""

    domain: str
    intake_domain: str
    host_status: str
    latest_host: str
    active_recipients: int
    connections_out: int
    delivered: int
    deferred: int
    dead: int
    oldest_queued: float | None
    last_reply: str
    last_tls_version: str
    held_reason: str
    held_since: float | None = None
    next_probe: float | None = None


def in_use(
    destinations: Iterable[DestinationState],
    in_force: Collection[str],
    backlogs: Mapping[str, IntakeBacklog],
) -> list[DestinationState]:
    """Those that mail may still go to: in force, or with copies that wait.

    The others have nothing to be in trouble with. A hold of an address that was put right, and
    whose copies were dropped or moved, would be shown until the agent starts again: no copy comes
    to try it with.
    """
    return [
        one
        for one in destinations
        if one.intake in in_force
        or one.lanes
        or one.ready
        or ((backlog := backlogs.get(one.intake)) is not None and backlog.waiting)
    ]


def destination_facts(
    destinations: Iterable[DestinationState],
    waiting: Mapping[str, Backlog],
    lead: float = 0.0,
    in_force: Collection[str] = (),
) -> list[DestinationFacts]:
    """Make a row for each intake domain that was delivered to, has copies waiting, or is in force.

    Intakes of one domain share a row, which shows the worst of them: "down" while one is on hold,
    with why, since when and its next probe, of the one that has been on hold longest, and
    "refusing" while several of its copies wait that it refused. `lead` is what the wall clock has
    over the monotonic one.
    """
    domains = {*in_force, *(domain for domain, item in waiting.items() if item.waiting)}
    rows = {domain: _empty_row(domain) for domain in domains}
    for one in sorted(destinations, key=lambda one: one.replied_at):  # the latest reply wins
        rows[one.domain] = _merged(rows.get(one.domain) or _empty_row(one.domain), one, lead)
    return [
        replace(row, active_recipients=item.waiting, oldest_queued=item.oldest)
        if (item := waiting.get(domain)) is not None
        else row
        for domain, row in sorted(rows.items())
    ]


def _empty_row(domain: str) -> DestinationFacts:
    return DestinationFacts(PSEUDO_DOMAIN, domain, "unknown", "", 0, 0, 0, 0, 0, None, "", "", "")


def _merged(row: DestinationFacts, one: DestinationState, lead: float) -> DestinationFacts:
    held, since, probe = row.held_reason, row.held_since, row.next_probe
    if one.hold is not None and (since is None or one.hold.since + lead < since):
        held, since = f"{one.hold.reason}: {one.hold.check}", one.hold.since + lead
        probe = one.hold.next_probe + lead
    status = max(row.host_status, one.host_status, key=_STATUSES.index)
    connected = sum(lane.state is not LaneState.OPENING for lane in one.lanes.values())
    return replace(
        row,
        host_status=status,
        latest_host=one.latest_host or row.latest_host,
        connections_out=row.connections_out + connected,
        delivered=row.delivered + one.delivered,
        deferred=row.deferred + one.deferred,
        dead=row.dead + one.dead,
        last_reply=one.last_reply or row.last_reply,
        last_tls_version=one.last_tls_version or row.last_tls_version,
        held_reason=held,
        held_since=since,
        next_probe=probe,
    )
