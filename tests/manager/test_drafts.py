"""Drafts over the API: two operators, one cluster, and nobody in the other's way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.values import Put
from tdc.manager.store.keys import draft_key
from tdc.v1 import fleet_pb2, operators_pb2

from tests.fakes.etcd import ExternalEtcd
from tests.stage.manager import (
    Api,
    add_group,
    add_machine,
    connected,
    level,
    put,
    refused,
    remove_machine,
    rename_group,
    rename_machine,
    unset,
)

STATUS = grpc.StatusCode
NOTHING = operators_pb2.DraftNothingMore()


@pytest.fixture
async def ben(api: Api) -> AsyncIterator[Api]:
    """A second operator, on a cluster c1 with the machine mx1."""
    await api.create_cluster("c1")
    await api.commit(add_machine("mx1", "Main_Group"))
    issued = api.authority.issue_operator("ben")
    async with connected(
        api.ports, api.authority, issued.certificate_pem, issued.key_pem
    ) as connection:
        yield connection


async def change(
    who: Api, *edits: fleet_pb2.Edit, owner: str = "", **what: object
) -> operators_pb2.Draft:
    request = operators_pb2.ChangeDraftRequest(owner=owner, **what)  # type: ignore[arg-type]  # one of
    if edits:
        request.add.edits.extend(edits)
    return await who.drafts.ChangeDraft(request)


async def read(who: Api, owner: str = "") -> operators_pb2.Draft:
    return await who.drafts.GetDraft(operators_pb2.GetDraftRequest(owner=owner))


def rows(draft: operators_pb2.Draft) -> list[tuple[str, str, str]]:
    return [(row.name, row.setting, row.state) for row in draft.rows]


def at(kind: str, name: str, *settings: str) -> operators_pb2.DraftSelection:
    return operators_pb2.DraftSelection(level=level(kind, name), settings=settings)


async def test_a_draft_changes_nothing_until_it_is_committed_and_is_empty_afterwards(
    api: Api, ben: Api
) -> None:
    await change(api, put("cluster", "c1", retry__initial=30))
    draft = await change(
        api, put("machine", "mx1", max_message_size=7), unset("machine", "mx1", "log.level")
    )
    assert rows(draft) == [
        ("c1", "retry.initial", "open"),
        ("mx1", "max_message_size", "open"),
        ("mx1", "log.level", "done"),
    ]
    assert (draft.owner, draft.row_count, draft.shared) == ("ana", 3, False)
    assert (await api.plan(put("cluster", "c1", retry__initial=30))).base_revision == 2
    assert await api.commit(*draft.edits, comment="draft of ana") == 3
    assert [state for *_, state in rows(await read(api))] == ["done"] * 3
    assert rows(await change(api, tidy=NOTHING)) == []
    assert not (await api.drafts.ListDrafts(operators_pb2.ListDraftsRequest())).drafts


async def test_two_drafts_of_other_settings_both_commit_and_of_the_same_the_second_chooses(
    api: Api, ben: Api
) -> None:
    mine = await change(api, put("cluster", "c1", retry__initial=30, log__level="debug"))
    his = await change(ben, put("cluster", "c1", retry__initial=5, retry__maximum=900))
    await ben.commit(*his.edits)
    mine = await read(api)
    assert rows(mine) == [("c1", "log.level", "open"), ("c1", "retry.initial", "conflict")]
    (row,) = [row for row in mine.rows if row.state == "conflict"]
    assert not row.was.HasField("retry_initial")
    assert (row.theirs.retry_initial, row.yours.retry_initial) == (5, 30)
    assert (mine.conflict_count, len(mine.edits)) == (1, 1)
    mine = await change(api, keep=at("cluster", "", "retry.initial"))
    assert mine.conflict_count == 0
    await api.commit(*mine.edits)
    plan = await api.plan(put("cluster", "c1", retry__initial=30, log__level="debug"))
    assert not plan.levels, "both are committed"
    assert (await api.plan(put("cluster", "c1", retry__maximum=900))).levels == [], "so is his"


async def test_a_row_is_for_its_machine_and_says_what_that_is_called_now(
    api: Api, ben: Api
) -> None:
    await change(
        api, put("machine", "mx1", retry__initial=30), put("cluster", "c1", retry__initial=5)
    )
    rename = rename_machine("mx1", "edge1")
    await ben.commit(rename)
    await ben.commit(add_machine("mx1", "Main_Group"))
    mine = await read(api)
    assert rows(mine) == [("mx1", "retry.initial", "gone"), ("c1", "retry.initial", "open")]
    assert [row.reason for row in mine.rows] == ["machine mx1 is called edge1 now", ""]
    assert [each.WhichOneof("kind") for each in mine.edits] == ["set"]
    mine = await change(api, keep=at("machine", "mx1"))
    assert rows(mine)[0] == ("mx1", "retry.initial", "open"), "it is meant for the other one now"


async def test_rows_of_what_is_gone_are_left_out_without_their_cluster(api: Api, ben: Api) -> None:
    """By the command that the draft advises: the row is found in the draft, not in the fleet."""
    await api.commit(add_group("g1"), add_machine("mx2", "Main_Group"))
    await change(api, put("machine", "mx1", max_message_size=7), put("group", "g1", enabled=True))
    await change(api, put("machine", "mx2", max_message_size=7))
    await api.commit(
        rename_machine("mx1", "mx9"),
        remove_machine("mx2"),
        fleet_pb2.Edit(remove_group=fleet_pb2.RemoveGroup(name="g1")),
    )
    assert {state for *_, state in rows(await read(api))} == {"gone"}
    await api.create_cluster("c2")  # from here on no name is found without its cluster by chance
    await api.commit(add_machine("mx1", "Main_Group"), cluster="c2")
    await change(api, remove=at("machine", "mx1", "max_message_size"))
    await change(api, remove=at("machine", "mx2"))
    left = await change(api, remove=at("group", "g1"))
    assert (left.cluster, rows(left)) == ("c1", [])
    async with refused(STATUS.NOT_FOUND, "mx2"):
        await change(api, remove=at("machine", "mx2"))


async def test_a_row_left_out_leaves_theirs_in_force(api: Api, ben: Api) -> None:
    await change(api, put("cluster", "c1", retry__initial=30, log__level="debug"))
    await ben.commit(put("cluster", "c1", retry__initial=5))
    mine = await change(api, remove=at("cluster", "c1", "retry.initial"))
    assert rows(mine) == [("c1", "log.level", "open")]
    async with refused(STATUS.INVALID_ARGUMENT, "no retry.initial at cluster c1"):
        await change(api, remove=at("cluster", "c1", "retry.initial"))


async def test_another_ones_draft_is_seen_once_it_is_shared_and_never_changed(
    api: Api, ben: Api
) -> None:
    await change(api, put("cluster", "c1", retry__initial=30))
    async with refused(STATUS.NOT_FOUND, "ana has no draft of cluster c1 that is shared"):
        await read(ben, "ana")
    async with refused(STATUS.NOT_FOUND, "shared"):
        await change(ben, owner="ana", tidy=NOTHING)
    async with refused(STATUS.NOT_FOUND, "nobody has no draft"):
        await read(ben, "nobody")
    assert not (await ben.drafts.ListDrafts(operators_pb2.ListDraftsRequest())).drafts
    await change(api, share=True)
    (row,) = (await ben.drafts.ListDrafts(operators_pb2.ListDraftsRequest())).drafts
    assert (row.owner, row.row_count, len(row.rows)) == ("ana", 1, 0)
    async with refused(STATUS.INVALID_ARGUMENT, "only its owner can change it"):
        await change(ben, put("cluster", "c1", retry__initial=1), owner="ana")
    await ben.commit(*(await read(ben, "ana")).edits)
    assert rows(await change(ben, owner="ana", tidy=NOTHING)) == []
    assert not (await read(api)).shared, "the next one is his own again"


async def test_a_row_of_a_group_is_for_no_other_that_got_its_name(api: Api) -> None:
    """Also once it was discarded and comes back."""
    await api.create_cluster("c1")
    await api.commit(add_group("gx"), add_group("gy"))
    await change(api, put("group", "gx", retry__initial=30))
    for name, to in (("gx", "spare"), ("gy", "gx"), ("spare", "gy")):
        edit = rename_group(name, to)
        await api.commit(edit, cluster="c1")
    (row,) = (await read(api)).rows
    assert (row.state, row.reason) == ("gone", "group gx is called gy now")
    assert not (await read(api)).edits
    await change(api, discard=NOTHING)
    (row,) = (await change(api, restore=NOTHING)).rows
    assert row.state == "gone"


async def test_a_discarded_draft_comes_back(api: Api, ben: Api) -> None:
    await change(api, put("cluster", "c1", retry__initial=30))
    gone = await change(api, discard=NOTHING)
    assert (rows(gone), gone.discarded_count) == ([], 1)
    assert rows(await change(api, restore=NOTHING)) == [("c1", "retry.initial", "open")]
    async with refused(STATUS.INVALID_ARGUMENT, "has discarded no draft"):
        await change(api, restore=NOTHING)


async def test_rows_drafted_at_once_in_two_terminals_are_all_there(
    api: Api, ben: Api, etcd: ExternalEtcd
) -> None:
    etcd.pause()  # so that all are here before the first is done
    drafting = asyncio.gather(
        change(api, put("cluster", "c1", retry__initial=777)),
        change(api, put("cluster", "c1", retry__maximum=777)),
        change(api, put("cluster", "c1", max_message_size=777)),
    )
    await asyncio.sleep(0.5)
    etcd.resume()
    await drafting
    assert len((await read(api)).rows) == 3


async def test_a_draft_takes_settings_and_nothing_else(api: Api, ben: Api) -> None:
    async with refused(STATUS.INVALID_ARGUMENT, "settings that are set and unset"):
        await change(api, add_machine("mx2", "Main_Group"))
    async with refused(STATUS.INVALID_ARGUMENT, "no change of the draft"):
        await change(api)
    async with refused(STATUS.NOT_FOUND, "nowhere"):
        await change(api, put("machine", "nowhere", retry__initial=1))
    async with refused(STATUS.INVALID_ARGUMENT, "unknown setting"):
        await change(api, remove=at("cluster", "c1", "retry.inital"))
    assert rows(await read(api)) == []


async def test_a_draft_edited_by_hand_is_refused_with_its_key(
    api: Api, ben: Api, etcd: ExternalEtcd
) -> None:
    """It is the one of its owner: others go on."""
    await change(api, put("cluster", "c1", retry__initial=30))
    async with EtcdClient(etcd.options) as client:
        await client.txn([], [Put(draft_key("c1", "ana"), b'{"schema": 1}')])
    async with refused(
        STATUS.FAILED_PRECONDITION, "drafts/c1/ana can't be read", "delete that key"
    ):
        await read(api)
    assert rows(await change(ben, put("cluster", "c1", retry__initial=1)))
    (mine,) = (await ben.drafts.ListDrafts(operators_pb2.ListDraftsRequest())).drafts
    assert mine.owner == "ben"
