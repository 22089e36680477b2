"""Plan and commit over the API: the disable rule, exactness, staleness, races, replays."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from tdc.manager.rpc import status_codes
from tdc.v1 import fleet_pb2, operators_pb2

from tests.stage.manager import Api, add_group, add_machine, put, refused, restore, unset

STATUS = grpc.StatusCode


async def _fleet(api: Api) -> int:
    """mx1 and mx2 in g1, mx3 in g2, all copying; the revision."""
    await api.create_cluster("c1")
    return await api.commit(
        add_group("g1"),
        add_group("g2"),
        add_machine("mx1", "g1"),
        add_machine("mx2", "g1"),
        add_machine("mx3", "g2"),
        put("cluster", "c1", enabled=True, intake_address="in@intake.example"),
        comment="all on",
    )


async def test_a_machine_level_disable_reaches_group_and_cluster_and_rolls_back_whole(
    api: Api,
) -> None:
    """The disable rule's story, with levels of their own enabled = true that stay enabled."""
    await _fleet(api)
    before = await api.commit(put("machine", "mx2", enabled=True), put("group", "g2", enabled=True))
    assert before == 3
    disable = put("machine", "mx1", enabled=False)

    plan = await api.plan(disable)
    assert [(each.name, each.by_disable_rule) for each in plan.levels] == [
        ("mx1", False),
        ("g1", True),
        ("c1", True),
    ]
    assert list(plan.stop_copying) == ["mx1"]

    made = await api.commit_as_planned(plan, disable)
    assert (made.revision, made.committed) == (4, True)
    assert await api.own("machine", "mx1") is False
    assert await api.own("group", "g1") is False
    assert await api.own("cluster", "c1") is False
    assert [await api.enabled(name) for name in ("mx1", "mx2", "mx3")] == [False, True, True]

    assert await api.commit(restore(before)) == 5
    assert await api.own("machine", "mx1") is None
    assert await api.own("group", "g1") is None
    assert await api.own("cluster", "c1") is True
    assert [await api.enabled(name) for name in ("mx1", "mx2", "mx3")] == [True, True, True]


async def test_inheriting_machines_stop_and_lifting_the_override_restores_nothing_above(
    api: Api,
) -> None:
    await _fleet(api)
    await api.commit(put("machine", "mx1", enabled=False))
    assert [await api.enabled(name) for name in ("mx1", "mx2", "mx3")] == [False] * 3
    await api.commit(unset("machine", "mx1", "enabled"))
    assert await api.own("machine", "mx1") is None
    assert await api.own("cluster", "c1") is False
    assert [await api.enabled(name) for name in ("mx1", "mx2", "mx3")] == [False] * 3


async def test_the_commit_does_exactly_what_the_plan_shows(api: Api) -> None:
    """Levels of the record, and effective settings before and after, are the plan's."""
    await _fleet(api)
    edits = (
        put("machine", "mx1", enabled=False),
        put("group", "g2", enabled=True, incoming_domains=["example.com"]),
        put("cluster", "c1", retry__initial=30),
    )
    machines = ("mx1", "mx2", "mx3")
    before = {name: await _in_force(api, name) for name in machines}
    plan = await api.plan(*edits)
    await api.commit_as_planned(plan, *edits)
    after = {name: await _in_force(api, name) for name in machines}

    record = await api.changes.GetCommit(operators_pb2.GetCommitRequest(revision=3))
    assert list(record.levels) == list(plan.levels)
    shown = {
        (each.machine, each.setting): (each.before, each.after, each.origin)
        for each in plan.machines
    }
    for name in machines:
        for setting in after[name].origins:
            was, now = _one(before[name], setting), _one(after[name], setting)
            planned = shown.pop((name, setting), None)
            if was == now:
                assert planned is None, (name, setting)
            else:
                assert planned == (was, now, after[name].origins[setting])
    assert not shown
    assert record.machines_changed == len({each.machine for each in plan.machines})


async def _in_force(api: Api, machine: str) -> fleet_pb2.EffectiveSettings:
    return await api.settings.GetEffective(operators_pb2.GetEffectiveRequest(machine=machine))


def _one(effective: fleet_pb2.EffectiveSettings, setting: str) -> object:
    field = setting.replace(".", "_")
    message = type(effective.settings)()
    if effective.settings.HasField(field):
        value = getattr(effective.settings, field)
        if hasattr(value, "CopyFrom"):
            getattr(message, field).CopyFrom(value)
        else:
            setattr(message, field, value)
    return message


async def test_a_stale_plan_is_refused_and_says_who_changed_what_it_rests_on(api: Api) -> None:
    await _fleet(api)
    disable = put("machine", "mx1", enabled=False)
    plan = await api.plan(disable)
    await api.commit(put("machine", "mx2", enabled=True), comment="keep mx2 on")
    async with refused(STATUS.ABORTED, "out of date", "revision 3", "ana", "keep mx2 on"):
        await api.commit_as_planned(plan, disable)
    assert await api.own("machine", "mx1") is None


async def test_an_unrelated_commit_in_between_does_not_make_a_plan_stale(api: Api) -> None:
    await _fleet(api)
    edit = put("machine", "mx1", max_message_size=1000)
    plan = await api.plan(edit)
    await api.commit(put("machine", "mx3", retry__initial=5))
    made = await api.commit_as_planned(plan, edit)
    assert made.revision == 4


async def test_racing_commits_are_all_made_or_refused_and_none_is_lost(api: Api) -> None:
    """Eight at a time on one cluster, each on a machine of its own: eight revisions."""
    await api.create_cluster("c1")
    names = [f"mx{number}" for number in range(8)]
    await api.commit(*(add_machine(name, "Main_Group") for name in names))
    made = await asyncio.gather(
        *(api.commit(put("machine", name, max_message_size=7)) for name in names)
    )
    assert sorted(made) == list(range(3, 11))
    rows = await api.fleet.ListMachines(operators_pb2.ListMachinesRequest())
    assert [list(row.overrides) for row in rows.machines] == [["max_message_size"]] * 8


async def test_two_commits_of_one_plan_race_and_exactly_one_is_made(api: Api) -> None:
    """Both would set the same: the second finds its outcome gone and is refused, not merged."""
    await _fleet(api)
    edit = put("machine", "mx1", enabled=False)
    plan = await api.plan(edit)
    outcomes = await asyncio.gather(
        *(api.commit_as_planned(plan, edit) for _ in range(4)), return_exceptions=True
    )
    made = [each for each in outcomes if isinstance(each, operators_pb2.CommitResponse)]
    lost = [each for each in outcomes if isinstance(each, grpc.aio.AioRpcError)]
    assert [each.revision for each in made] == [3]
    assert {each.code() for each in lost} == {STATUS.ABORTED}
    history = await api.changes.ListCommits(operators_pb2.ListCommitsRequest())
    assert [each.revision for each in history.commits] == [3, 2, 1]


async def test_a_request_id_that_comes_again_gets_the_first_answer(api: Api) -> None:
    await _fleet(api)
    edit = put("machine", "mx1", enabled=False)
    plan = await api.plan(edit)
    first = await api.commit_as_planned(plan, edit, request_id="once")
    await api.commit(put("machine", "mx1", enabled=True))
    again = await api.commit_as_planned(plan, edit, request_id="once")
    assert again == first
    assert await api.own("machine", "mx1") is True
    history = await api.changes.ListCommits(operators_pb2.ListCommitsRequest())
    assert [each.request_id for each in history.commits].count("once") == 1


async def test_a_request_id_used_for_another_plan_is_refused(api: Api) -> None:
    """The first answer would tell the caller that something was done which was not."""
    await _fleet(api)
    first, other = put("machine", "mx1", enabled=False), put("machine", "mx1", log__level="debug")
    await api.commit_as_planned(await api.plan(first), first, request_id="once")
    plan = await api.plan(other)
    async with refused(STATUS.INVALID_ARGUMENT, "revision 3", "request id of its own"):
        await api.commit_as_planned(plan, other, request_id="once")
    history = await api.changes.ListCommits(operators_pb2.ListCommitsRequest())
    assert history.commits[0].revision == 3


async def test_enabling_without_an_intake_address_names_every_machine_and_changes_nothing(
    api: Api,
) -> None:
    await api.create_cluster("c1")
    await api.commit(add_machine("mx1", "Main_Group"), add_machine("mx2", "Main_Group"))
    enable = put("cluster", "c1", enabled=True)
    plan = await api.plan(enable)
    assert {(each.machine, each.setting) for each in plan.problems} == {
        ("mx1", "intake_address"),
        ("mx2", "intake_address"),
    }
    async with refused(STATUS.FAILED_PRECONDITION, "mx1", "mx2", "intake_address"):
        await api.commit_as_planned(plan, enable)
    assert await api.own("cluster", "c1") is None


async def test_a_refusal_that_concerns_a_whole_fleet_still_fits_into_its_status(
    api: Api,
) -> None:
    await api.create_cluster("c1")
    await api.commit(*(add_machine(f"gateway-{number}", "Main_Group") for number in range(900)))
    enable = put("cluster", "c1", enabled=True)
    plan = await api.plan(enable)
    assert len({each.machine for each in plan.problems}) == 900
    async with refused(STATUS.FAILED_PRECONDITION, "gateway-1", "890 more", "the plan lists"):
        await api.commit_as_planned(plan, enable)
    async with refused(STATUS.NOT_FOUND, "unknown machine"):
        await api.enabled("x" * 100_000)


async def test_edits_that_change_nothing_make_no_commit(api: Api) -> None:
    revision = await _fleet(api)
    again = put("cluster", "c1", enabled=True)
    plan = await api.plan(again)
    made = await api.commit_as_planned(plan, again)
    assert (made.revision, made.committed) == (revision, False)


async def test_a_commit_without_plan_or_request_id_is_refused(api: Api) -> None:
    await _fleet(api)
    edit = put("machine", "mx1", enabled=False)
    plan = await api.plan(edit)
    with_none = operators_pb2.CommitRequest(edits=[edit], request_id="r")
    async with refused(STATUS.INVALID_ARGUMENT, "plan first"):
        await api.changes.MakeCommit(with_none)
    async with refused(STATUS.INVALID_ARGUMENT, "request id"):
        await api.changes.MakeCommit(
            operators_pb2.CommitRequest(edits=[edit], fingerprint=plan.fingerprint)
        )
    async with refused(STATUS.INVALID_ARGUMENT, "no edits"):
        await api.plan()
    for request_id in ("", "r" * 101):
        create = operators_pb2.CreateClusterRequest(name="c9", request_id=request_id)
        async with refused(STATUS.INVALID_ARGUMENT, "request id"):
            await api.fleet.CreateCluster(create)
    names = (await api.fleet.ListClusters(operators_pb2.ListClustersRequest())).clusters
    assert [each.name for each in names] == ["c1"]


async def test_restoring_an_unknown_revision_is_refused(api: Api) -> None:
    await _fleet(api)
    async with refused(STATUS.NOT_FOUND, "1 to 2"):
        await api.plan(restore(9), cluster="c1")
    async with refused(STATUS.INVALID_ARGUMENT, "only edit"):
        await api.plan(restore(1), put("machine", "mx1", enabled=True))


async def test_explain_tells_who_set_each_value_when_and_why(api: Api) -> None:
    await _fleet(api)
    await api.commit(put("machine", "mx1", intake_address="own@intake.example"), comment="trial")
    answer = await api.settings.Explain(
        operators_pb2.ExplainRequest(machine="mx1", setting="intake_address")
    )
    (explanation,) = answer.settings
    steps = [(s.name, s.value.intake_address, s.wins, s.author, s.comment, s.revision)
             for s in explanation.steps]  # fmt: skip
    assert steps == [
        ("mx1", "own@intake.example", True, "ana", "trial", 3),
        ("g1", "", False, "", "", 0),
        ("c1", "in@intake.example", False, "ana", "all on", 2),
        ("", "", False, "", "", 0),
    ]
    assert explanation.steps[0].time.seconds > 0
    assert answer.state == "offline"


async def test_a_plan_too_large_to_be_sent_is_refused_in_words(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _fleet(api)
    monkeypatch.setattr(status_codes, "MAX_ANSWER", 100)
    async with refused(STATUS.FAILED_PRECONDITION, "one group at a time"):
        await api.plan(put("cluster", "c1", max_message_size=1_000))


async def test_no_two_clusters_have_names_that_differ_only_in_case(api: Api) -> None:
    """`tdc apply --yes` of a document with a slip in it would create the second."""
    await api.create_cluster("corp")
    async with refused(grpc.StatusCode.INVALID_ARGUMENT, "a cluster corp, and Corp differs only"):
        await api.create_cluster("Corp")
    async with refused(grpc.StatusCode.ALREADY_EXISTS, "cluster 'corp' already exists"):
        await api.create_cluster("corp")
    await api.create_cluster("corp2")
