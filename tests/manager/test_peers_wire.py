"""What a manager tells another of a machine arrives whole."""

from __future__ import annotations

from dataclasses import fields

from tdc.manager.levels.consistency import CERTIFICATE_NEAR, Kind, ending_certificates
from tdc.manager.peers.wire import link_of, link_to_wire, seen_of, seen_to_wire
from tdc.manager.view.etcd_link import EtcdLink
from tdc.manager.view.seen import Moment, Seen, SyncState
from tdc.shared.settings.known import KNOWN_HERE
from tdc.shared.sync.audit import AuditHead, Witness
from tdc.shared.sync.report import (
    MachineReport,
    ReportedBacklog,
    ReportedCounters,
    ReportedDestination,
    ReportedMissed,
)
from tdc.shared.sync.suspension import Suspended, Suspension
from tdc.shared.sync.values import Attempt, Running
from tdc.shared.wire.report import report_of, report_to_wire
from tdc.v1 import managers_pb2

RUNNING = Running(7, "ab", "s", "chain")
REPORT = MachineReport(
    running=RUNNING,
    copying=True,
    queued=3,
    spool_unhealthy="disk",
    warnings=("one", "two"),
    counters=ReportedCounters(1, 2, 3, 4, 5, 6, 7, 8, 9),
    destinations=(
        ReportedDestination(
            "the.tdc.queue", "in.example", "down", "h", 1, 2, 3, 4, 5, 6e8, "250 ok", "TLSv1.3",
            "no route", 7e8, 8e8,
        ),
    ),
    dead=2,
    missed=(ReportedMissed("spool-full", 4, 5e8, 6e8),),
    delivered_at=1e8,
    time=2e8,
    spool_full="full",
    refuses_originals=True,
    oldest_queued=3e8,
    backlogs=(ReportedBacklog("in@in.example", 1, 2, 4e8),),
    refuses_manager="a copy",
    next_hop_trouble="gone",
    next_hop_since=5e8,
    suspension=Suspension(3, None, Suspended("ann", "disk", 1e8, 2e8, 30.0)),
    audit=Witness("s", AuditHead(9, "cd"), 1e8, (AuditHead(8, "ef"),)),
    certificate_ends=9e8,
    ca_trusted=("ab" * 32,),
    ca_issuer="cd" * 32,
)  # fmt: skip


def test_a_report_is_told_whole() -> None:
    """Each field differs from its default here, so none can be forgotten."""
    empty = MachineReport(RUNNING, False, 0, "", (), ReportedCounters(*(0,) * 9), ())
    for field in fields(MachineReport):
        if field.name != "running":
            assert getattr(REPORT, field.name) != getattr(empty, field.name), field.name
    assert report_of(report_to_wire(REPORT)) == REPORT


def test_ages_are_told_and_no_clock_of_the_other_counts() -> None:
    """The other manager's steady clock and its wall clock have nothing in common with ours."""
    there = Seen(
        connected=True,
        heard=Moment(90.0, 5.0),
        running=RUNNING,
        last_attempt=Attempt(7, "ab", False, "no", 1e9),
        status=REPORT,
        status_time=Moment(80.0, 6.0),
        agent_version="1.2",
        known=KNOWN_HERE - {"enabled"},
        dead=False,
        state=SyncState.REJECTED,
        since=Moment(40.0, 7.0),
        refused_since=Moment(50.0, 8.0),
    )
    now = Moment(1_000.0, 2e9)
    told = seen_to_wire(("c1", "mx1"), there, "e1", "two of them", 100.0)
    key, here = seen_of(told, now, "two", KNOWN_HERE)
    assert key == ("c1", "mx1")
    assert here.heard == Moment(990.0, 2e9 - 10)
    assert here.status_time == Moment(980.0, 2e9 - 20)
    assert here.since == Moment(940.0, 2e9 - 60)
    assert here.refused_since == Moment(950.0, 2e9 - 50)
    assert (here.status, here.running, here.last_attempt) == (REPORT, RUNNING, there.last_attempt)
    assert (here.connected, here.state, here.agent_version) == (True, SyncState.REJECTED, "1.2")
    assert (here.clones, here.manager, here.enrolment) == ("two of them", "two", "e1")
    assert here.known == KNOWN_HERE - {"enabled"}


def test_a_certificate_that_was_not_renewed_is_named_with_what_to_do() -> None:
    now = 1e9
    ends = {"late": now + CERTIFICATE_NEAR - 1, "over": now - 1, "well": now + 7 * 86_400}
    found = ending_certificates("c1", [*ends.items(), ("older agent", None)], now)
    assert [(each.kind, each.key.name) for each in found] == [
        (Kind.CERTIFICATE, "late"),
        (Kind.CERTIFICATE, "over"),
    ]
    assert "its certificate ends 2001-09-14" in found[0].text
    assert "its certificate ended 2001-09-09" in found[1].text
    assert found[0].remedy.startswith("tdc machine token late --cluster c1")


def test_an_older_manager_says_nothing_of_its_etcd_so_nobody_is_sent_to_it() -> None:
    now = Moment(1_000.0, 2_000.0)
    older = link_of(managers_pb2.PeerResponse(), now)
    assert (older.problem, older.reached_for(now.at)) == ("", 0.0)
    for sent in (EtcdLink(Moment(900.0, 0.0)), EtcdLink(Moment(900.0, 0.0), "no answer")):
        answer = managers_pb2.PresenceResponse(etcd=link_to_wire(sent, 950.0))
        there = link_of(answer, now)
        assert (there.problem, there.since) == (sent.problem, Moment(950.0, 1_950.0))
