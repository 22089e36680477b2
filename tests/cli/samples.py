"""Answers of a manager with one cluster, two groups and three machines."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp
from tdc.shared.settings.values import Value
from tdc.shared.wire.settings import settings_to_wire, value_to_wire
from tdc.v1 import agents_pb2, fleet_pb2, operators_pb2

MACHINE, GROUP, CLUSTER, DEFAULT = (
    fleet_pb2.LEVEL_MACHINE,
    fleet_pb2.LEVEL_GROUP,
    fleet_pb2.LEVEL_CLUSTER,
    fleet_pb2.LEVEL_DEFAULT,
)
TIME = Timestamp(seconds=1_795_425_302, nanos=250_000_000)  # 2026-11-23T09:15:02.250Z
DEAD = "2 dead copies are in the spool, not tried any more"


def level_change(
    level: fleet_pb2.Level, name: str, before: Value | None, after: Value | None, *, rule: bool
) -> fleet_pb2.LevelChange:
    return fleet_pb2.LevelChange(
        level=level,
        name=name,
        setting="enabled",
        before=value_to_wire("enabled", before),
        after=value_to_wire("enabled", after),
        by_disable_rule=rule,
    )


def machine_change(name: str, level: fleet_pb2.Level, origin: str) -> fleet_pb2.MachineChange:
    return fleet_pb2.MachineChange(
        machine=name,
        setting="enabled",
        before=value_to_wire("enabled", True),
        after=value_to_wire("enabled", False),
        origin=fleet_pb2.Origin(level=level, name=origin, revision=8),
    )


def disable_plan() -> fleet_pb2.Plan:
    """`settings set machine mx1 enabled=false`, where the cluster enables and g2 too."""
    return fleet_pb2.Plan(
        cluster="emea",
        base_revision=7,
        levels=[
            level_change(MACHINE, "mx1", None, False, rule=False),
            level_change(GROUP, "g1", None, False, rule=True),
            level_change(CLUSTER, "emea", True, False, rule=True),
        ],
        machines=[machine_change("mx1", MACHINE, "mx1"), machine_change("mx2", GROUP, "g1")],
        stop_copying=["mx1", "mx2"],
        fingerprint="f" * 64,
        author="ada",
    )


def invalid_plan() -> fleet_pb2.Plan:
    plan = disable_plan()
    plan.problems.add(
        machine="mx3", setting="intake_address", reason="enabled, but has no intake address"
    )
    return plan


def empty_plan() -> fleet_pb2.Plan:
    return fleet_pb2.Plan(cluster="emea", base_revision=7, fingerprint="0" * 64)


def committed() -> operators_pb2.CommitResponse:
    return operators_pb2.CommitResponse(cluster="emea", revision=8, committed=True)


def effective() -> fleet_pb2.EffectiveSettings:
    return fleet_pb2.EffectiveSettings(
        machine="mx1",
        group="g1",
        cluster="emea",
        revision=7,
        hash="ab" * 32,
        settings=settings_to_wire(
            {"enabled": True, "intake_address": "in@intake.example", "smtp_route": ("usedns",)}
        ),
        origins={
            "enabled": fleet_pb2.Origin(level=CLUSTER, name="emea", revision=3),
            "intake_address": fleet_pb2.Origin(level=GROUP, name="g1", revision=5),
            "smtp_route": fleet_pb2.Origin(level=DEFAULT),
            "report_from": fleet_pb2.Origin(level=DEFAULT),
        },
    )


def level_settings() -> operators_pb2.LevelSettings:
    return operators_pb2.LevelSettings(
        level=fleet_pb2.LevelRef(level=GROUP, name="g1", cluster="emea"),
        revision=7,
        settings=settings_to_wire({"enabled": False, "incoming_domains": ("example.com",)}),
        set_by={"enabled": 3, "incoming_domains": 5},
    )


def explained() -> operators_pb2.ExplainResponse:
    steps = [
        operators_pb2.ExplanationStep(level=MACHINE, name="mx1"),
        operators_pb2.ExplanationStep(
            level=GROUP,
            name="g1",
            value=value_to_wire("enabled", True),
            wins=True,
            revision=5,
            author="ada",
            time=TIME,
            comment="pilot",
        ),
        operators_pb2.ExplanationStep(level=CLUSTER, name="emea"),
        operators_pb2.ExplanationStep(level=DEFAULT, value=value_to_wire("enabled", False)),
    ]
    return operators_pb2.ExplainResponse(
        machine="mx1",
        cluster="emea",
        revision=7,
        settings=[operators_pb2.Explanation(setting="enabled", steps=steps)],
        running=agents_pb2.Running(revision=6, hash="cd" * 32),
        state="out of sync",
        since=TIME,
        reason="the settings of revision 7 were refused",
        last_attempt=agents_pb2.Outcome(
            revision=7, hash="ef" * 32, reason="tls.pins has no pin", time=TIME
        ),
    )


def status() -> operators_pb2.StatusResponse:
    return operators_pb2.StatusResponse(
        machines=[
            operators_pb2.MachineRowStatus(
                name="mx1",
                group="g1",
                cluster="emea",
                state="in sync",
                wanted_revision=7,
                applied_revision=7,
                since=TIME,
                copying=True,
                queued=12,
                agent_version="0.1.0",
                health="warning",
                warnings=[DEAD],
                problems=[operators_pb2.HealthProblem(kind="dead", severity="warning", text=DEAD)],
                copies=operators_pb2.CopyFacts(
                    dead=2,
                    missed=[agents_pb2.Missed(reason="spool-full", count=7, since=TIME, last=TIME)],
                    delivered_at=TIME,
                ),
            ),
            operators_pb2.MachineRowStatus(
                name="mx2",
                group="g1",
                cluster="emea",
                state="rejected",
                wanted_revision=7,
                applied_revision=6,
                copying=False,
                reason="smtp_route: no such host",
                warnings=["tls.verification is pinned"],
            ),
        ]
    )


def delivery() -> operators_pb2.DeliveryResponse:
    return operators_pb2.DeliveryResponse(
        rows=[
            operators_pb2.DeliveryRow(
                machine="mx1",
                cluster="emea",
                time=TIME,
                destination=agents_pb2.Destination(
                    domain="the.tdc.queue",
                    intake_domain="intake.example",
                    host_status="down",
                    latest_host="mx1.intake.example:25",
                    active_recipients=12,
                    connections_out=0,
                    delivered=3_456,
                    deferred=4,
                    dead=1,
                    oldest_queued=TIME,
                    last_reply="mx1.intake.example:25: 250 2.0.0 Taken",
                    last_tls_version="1.3",
                    held_reason="tls-error",
                ),
                counters=agents_pb2.Counters(copies_taken=3_469, delivered=3_456),
            )
        ]
    )


def history() -> operators_pb2.ListCommitsResponse:
    return operators_pb2.ListCommitsResponse(
        commits=[
            fleet_pb2.Commit(
                cluster="emea",
                revision=7,
                author="ada",
                time=TIME,
                comment="pilot",
                request_id="r-7",
                machines_changed=2,
            )
        ]
    )


def consistency() -> operators_pb2.CheckConsistencyResponse:
    """A machine that is not in sync, and a value that does nothing."""
    late = operators_pb2.Finding(
        kind="not-in-sync", level=MACHINE, name="mx2", text="it is offline", remedy="look there"
    )
    late.since.FromJsonString("2026-11-23T09:15:02.250Z")
    same = operators_pb2.Finding(
        kind="same",
        level=GROUP,
        name="g1",
        setting="log.level",
        text="it sets log.level to what it would have by default",
        remedy="tdc settings unset group g1 log.level --cluster emea",
    )
    return operators_pb2.CheckConsistencyResponse(cluster="emea", revision=7, findings=[late, same])


def difference() -> fleet_pb2.Difference:
    """From revision 5 to 8."""
    plan = disable_plan()
    return fleet_pb2.Difference(
        cluster="emea",
        from_revision=5,
        to_revision=8,
        levels=plan.levels,
        machines=plan.machines,
        topology=moved_commit().topology,
        stop_copying=plan.stop_copying,
    )


def whole_commit() -> fleet_pb2.Commit:
    plan = disable_plan()
    return fleet_pb2.Commit(
        cluster="emea",
        revision=8,
        author="ada",
        time=TIME,
        request_id="r-8",
        levels=plan.levels,
        topology=[
            fleet_pb2.TopologyChange(
                level=MACHINE, name="mx9", group="g1", before_name="mx9", before_group="g2"
            )
        ],
        machines_changed=2,
    )


def clusters() -> operators_pb2.ListClustersResponse:
    return operators_pb2.ListClustersResponse(
        clusters=[operators_pb2.ClusterRow(name="emea", revision=7, groups=2, machines=3)]
    )


def groups() -> operators_pb2.ListGroupsResponse:
    return operators_pb2.ListGroupsResponse(
        groups=[operators_pb2.GroupRow(name="g1", cluster="emea", machines=["mx1", "mx2"])]
    )


def machines() -> operators_pb2.ListMachinesResponse:
    return operators_pb2.ListMachinesResponse(
        machines=[
            operators_pb2.MachineRow(
                name="mx1", group="g1", cluster="emea", enrolled=True, overrides=["enabled"]
            )
        ]
    )


def queue_row(
    machine: str, copies: int = 0, problem: str = "", dead: int = 0
) -> operators_pb2.MachineQueue:
    return operators_pb2.MachineQueue(
        machine=machine,
        cluster="emea",
        problem=problem,
        copies=copies,
        bytes=4_021 * copies,
        dead=[dead_copy(mid) for mid in range(dead, 0, -1)],
    )


def dead_copy(mid: int) -> agents_pb2.DeadCopy:
    return agents_pb2.DeadCopy(
        mid=mid,
        report_id="ab" * 16,
        message_id="<a1@example.com>",
        intake="in@intake.example",
        sender="ann@example.com",
        recipients=["bob@example.org"],
        size=4_021,
        taken_at=TIME,
        dead_at=TIME,
        attempts=9,
        reason="552 5.3.4 message too big",
    )


def counted(*rows: operators_pb2.MachineQueue) -> operators_pb2.QueueResponse:
    return operators_pb2.QueueResponse(cluster="emea", machines=rows)


def worked(*rows: operators_pb2.MachineQueue) -> operators_pb2.QueueResponse:
    return operators_pb2.QueueResponse(cluster="emea", revision=9, committed=True, machines=rows)


def moved_commit() -> fleet_pb2.Commit:
    work = fleet_pb2.OrderedWork(
        kind="move",
        from_intake="typo@intake.example",
        to_intake="in@intake.example",
        waiting=True,
        dead=True,
        copies=12,
        machines=[fleet_pb2.CountedCopies(machine="mx1", copies=12, bytes=48_252)],
    )
    return fleet_pb2.Commit(
        cluster="emea", revision=9, author="ada", time=TIME, request_id="r-9", work=work
    )


def move_request() -> operators_pb2.QueueWorkRequest:
    selection = agents_pb2.CopySelection(intake="typo@intake.example", waiting=True, dead=True)
    move = agents_pb2.MoveCopies(selection=selection, to_intake="in@intake.example")
    return operators_pb2.QueueWorkRequest(move=move)
