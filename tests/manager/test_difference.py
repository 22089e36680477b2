"""Two revisions compared, over the API: in either order, across renames, and from history."""

from __future__ import annotations

import grpc
from tdc.v1 import fleet_pb2, operators_pb2

from tests.stage.manager import Api, add_group, add_machine, put, refused, rename_group


async def _difference(api: Api, first: int, second: int = 0) -> fleet_pb2.Difference:
    request = operators_pb2.GetDifferenceRequest(from_revision=first, to_revision=second)
    return await api.changes.GetDifference(request)


async def test_any_two_revisions_are_compared_in_either_order(api: Api) -> None:
    await api.create_cluster("c1")
    made = await api.commit(
        add_group("g1"),
        add_machine("mx1", "g1"),
        put("cluster", "c1", enabled=True, intake_address="in@intake.example"),
        put("group", "g1", retry__initial=30),
    )
    renamed = await api.commit(
        rename_group("g1", "edge"),
    )
    slower = await api.commit(put("group", "edge", retry__initial=90))
    await api.commit(put("cluster", "c1", enabled=False))

    whole = await _difference(api, made)
    assert (whole.from_revision, whole.to_revision) == (made, slower + 1)
    assert [(each.name, each.before_name) for each in whole.topology] == [("edge", "g1")]
    assert [(each.name, each.setting) for each in whole.levels] == [
        ("edge", "retry.initial"),
        ("c1", "enabled"),
    ]
    assert [(each.machine, each.setting) for each in whole.machines] == [
        ("mx1", "enabled"),
        ("mx1", "retry.initial"),
    ]
    assert list(whole.stop_copying) == ["mx1"]

    within = await _difference(api, made, slower)
    assert [each.setting for each in within.machines] == ["retry.initial"]
    back = await _difference(api, slower, made)
    assert [(each.name, each.before_name) for each in back.topology] == [("g1", "edge")]
    [change] = back.levels
    assert change.name == "g1"
    assert (change.before.retry_initial, change.after.retry_initial) == (90, 30)

    same = await _difference(api, renamed, renamed)
    assert (list(same.levels), list(same.topology), list(same.machines)) == ([], [], [])


async def test_a_revision_that_is_not_there_is_named(api: Api) -> None:
    await api.create_cluster("c1")
    for first, second in ((9, 0), (1, 9), (-1, 1)):
        async with refused(grpc.StatusCode.NOT_FOUND, "its revisions are 1 to 1"):
            await _difference(api, first, second)
