"""A plan that is kept is for what it was made for, whatever has its names by then."""

from __future__ import annotations

import grpc
import pytest
from tdc.v1 import fleet_pb2

from tests.stage.manager import (
    Api,
    add_group,
    add_machine,
    put,
    refused,
    remove_machine,
    rename_group,
    rename_machine,
)

OUT_OF_DATE = "The plan is out of date"
KINDS = ("machine", "group")


def _rename(kind: str, name: str, to: str) -> fleet_pb2.Edit:
    if kind == "machine":
        return rename_machine(name, to)
    return rename_group(name, to)


async def _swap(api: Api, kind: str, one: str, other: str) -> None:
    for name, to in ((one, "spare"), (other, one), ("spare", other)):
        await api.commit(_rename(kind, name, to), cluster="c1")


async def _fleet(api: Api) -> None:
    """What has equal parts was made by one commit, as from a file."""
    await api.create_cluster("c1")
    machines = [add_machine("mx1", "g1"), add_machine("mx2", "g1")]
    await api.commit(add_group("g1"), add_group("g2"), add_group("g3"), *machines)


@pytest.mark.proves("S6")
@pytest.mark.parametrize(
    ("kind", "names", "edit"),
    [
        (
            "machine",
            ("mx1", "mx2"),
            remove_machine("mx1"),
        ),
        ("machine", ("mx1", "mx2"), put("machine", "mx1", log__level="debug")),
        ("group", ("g2", "g3"), put("group", "g2", retry__initial=7)),
        ("group", ("g2", "g3"), add_machine("mx3", "g2")),
    ],
)
async def test_names_that_were_swapped_make_a_plan_out_of_date(
    api: Api, kind: str, names: tuple[str, str], edit: fleet_pb2.Edit
) -> None:
    await _fleet(api)
    plan = await api.plan(edit, cluster="c1")
    await _swap(api, kind, *names)
    async with refused(grpc.StatusCode.ABORTED, OUT_OF_DATE):
        await api.commit_as_planned(plan, edit, cluster="c1")
    await _swap(api, kind, *names)
    made = await api.commit_as_planned(plan, edit, cluster="c1")
    assert made.committed


async def test_a_plan_for_a_cluster_is_for_none_that_is_created_by_its_name(api: Api) -> None:
    edit = put("cluster", "c1", log__level="debug")
    await api.create_cluster("c1")
    plan = await api.plan(edit, cluster="c1")
    gone = fleet_pb2.Edit(remove_cluster=fleet_pb2.RemoveCluster(name="c1"))
    await api.commit(gone, cluster="c1")
    await api.create_cluster("c1")
    async with refused(grpc.StatusCode.ABORTED, OUT_OF_DATE):
        await api.commit_as_planned(plan, edit, cluster="c1")
