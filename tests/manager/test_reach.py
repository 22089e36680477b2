"""What an operator of some groups or clusters sees and may change, over a real etcd."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.intent.actor import Actor
from tdc.manager.intent.changes import ChangeOperations
from tdc.manager.intent.drafts import Add, DraftOperations, Share
from tdc.manager.intent.errors import NotPermitted, StalePlan, UnknownDraft
from tdc.manager.intent.fleet import FleetOperations
from tdc.manager.intent.history import HistoryOperations
from tdc.manager.intent.monitoring import MonitoringOperations, StatusAsked
from tdc.manager.intent.settings import SettingsOperations
from tdc.manager.intent.targets import (
    ChangeAsked,
    EditAsked,
    LevelAsked,
    RestoreTo,
    RevertTo,
    SetAt,
)
from tdc.manager.levels.changes import (
    AddGroup,
    AddMachine,
    MoveMachine,
    RemoveCluster,
    RemoveGroup,
    RemoveMachine,
)
from tdc.manager.people.reach import EVERYWHERE, Role, reach_of
from tdc.manager.store.commit import CommitStore
from tdc.manager.store.drafts import DraftStore
from tdc.manager.store.history import History
from tdc.manager.store.identity import store_id
from tdc.manager.view.fleet import FleetView
from tdc.manager.view.names import UnknownName
from tdc.manager.view.presence import Presence
from tdc.shared.edge.tasks import running
from tdc.shared.settings.check import checked
from tdc.shared.settings.values import Level

from tests.fakes.etcd import ExternalEtcd

ANA = Actor("ana", Role.ADMINISTRATOR, EVERYWHERE, "here")
BOB = Actor("bob", Role.OPERATOR, reach_of([], [("c1", "g1")]), "here")
CAT = Actor("cat", Role.ADMINISTRATOR, reach_of(["c1"], []), "here")


def put(kind: Level, name: str, cluster: str = "c1", **values: object) -> SetAt:
    return SetAt(LevelAsked(kind, name, cluster), checked(values))


class Fleet:
    """Clusters c1 (g1: mx1, mx2; g2: mx3) and c2 (g1: mx4)."""

    def __init__(self, client: EtcdClient, view: FleetView) -> None:
        presence, history = Presence(view), History(client)
        self.view = view
        self.changes = ChangeOperations(view, presence, CommitStore(client), history)
        self.history = HistoryOperations(view, history)
        self.drafts = DraftOperations(view, DraftStore(client))
        self.fleet = FleetOperations(view)
        self.settings = SettingsOperations(view, presence, history)
        self.monitoring = MonitoringOperations(view, presence)

    async def commit(self, actor: Actor, cluster: str, *edits: EditAsked) -> int:
        asked = ChangeAsked(cluster, edits)
        plan = await self.changes.plan(actor, asked)
        made = await self.changes.commit(
            actor, asked, fingerprint=plan.fingerprint, comment="", request_id=str(plan.fingerprint)
        )
        return made.revision


@pytest.fixture
async def fleet(etcd: ExternalEtcd) -> AsyncIterator[Fleet]:
    async with EtcdClient(etcd.options) as client:
        view = FleetView(client, await store_id(client))
        made = Fleet(client, view)
        async with running(view.run(), name="view"):
            await view.ready(10)
            for cluster in ("c1", "c2"):
                await made.changes.create_cluster(ANA, cluster, comment="", request_id=cluster)
            groups = [AddGroup("g1"), AddGroup("g2")]
            machines = [AddMachine("mx1", "g1"), AddMachine("mx2", "g1"), AddMachine("mx3", "g2")]
            await made.commit(ANA, "c1", *groups, *machines)
            await made.commit(ANA, "c2", AddGroup("g1"), AddMachine("mx4", "g1"))
            yield made


async def test_lists_leave_out_what_is_not_in_reach(fleet: Fleet) -> None:
    clusters = await fleet.fleet.list_clusters(BOB, "")
    assert [(each.name, each.groups, each.machines) for each in clusters] == [("c1", 1, 2)]
    assert [each.name for each in await fleet.fleet.list_groups(BOB, "", "")] == ["g1"]
    machines = await fleet.fleet.list_machines(BOB, "", "", "")
    assert [each.name for each in machines] == ["mx1", "mx2"]
    status = await fleet.monitoring.read_status(BOB, StatusAsked())
    assert [each.name for each in status.machines] == ["mx1", "mx2"]
    assert sum(status.by_state.values()) == 2
    whole = await fleet.fleet.list_machines(CAT, "", "", "")
    assert [each.name for each in whole] == ["mx1", "mx2", "mx3"]


async def test_what_is_not_in_reach_is_unknown_and_named_by_no_error(fleet: Fleet) -> None:
    """Not forbidden: an answer must not say that it exists, nor what else does."""
    for name in ("mx3", "mx4", "no-such-machine"):
        with pytest.raises(UnknownName, match=f"unknown machine '{name}'") as caught:
            await fleet.settings.read_effective(BOB, name, "")
        assert not {"mx3", "mx4", "c2", "g2"} - {name} & set(str(caught.value).split("'"))
    with pytest.raises(UnknownName, match="unknown cluster 'c2'; existing clusters: c1"):
        await fleet.fleet.list_groups(BOB, "c2", "")
    with pytest.raises(UnknownName, match="unknown group 'g2'"):
        await fleet.changes.plan(BOB, ChangeAsked("c1", (put(Level.GROUP, "g2"),)))


@pytest.mark.parametrize(
    "edit",
    [
        AddGroup("g2"),
        AddMachine("mx3", "g1"),
        AddMachine("mx1", "g1"),
        RemoveMachine("mx1"),
        RemoveGroup("g1"),
        RemoveCluster("c1"),
        RestoreTo(1),
        RevertTo(2),
    ],
    ids=str,
)
@pytest.mark.parametrize("role", [Role.READ_ONLY, Role.OPERATOR, Role.ADMINISTRATOR])
async def test_what_needs_the_cluster_is_refused_without_a_word_of_what_is_there(
    fleet: Fleet, edit: EditAsked, role: Role
) -> None:
    """Whether it could be made tells of groups and machines that are out of reach."""
    actor = replace(BOB, role=role)
    said = set()
    for asked in (edit, AddGroup("new")):
        with pytest.raises(NotPermitted) as caught:
            await fleet.changes.plan(actor, ChangeAsked("c1", (asked,)))
        said.add(str(caught.value))
        if role >= Role.OPERATOR:
            with pytest.raises(NotPermitted) as caught:
                await fleet.changes.commit(
                    actor,
                    ChangeAsked("c1", (asked,)),
                    fingerprint="x",
                    comment="",
                    request_id="r1",
                )
            assert not {"mx2", "mx3", "g2"} & set(re.findall(r"\w+", str(caught.value)))
    assert len(said) == 1, "the same of what is there and of what is not"


async def test_a_stale_plan_names_who_committed_to_those_only_who_read_the_history(
    fleet: Fleet,
) -> None:
    asked = ChangeAsked("c1", (put(Level.GROUP, "g1", max_message_size=5),))
    for actor, told in ((CAT, True), (BOB, False)):
        with pytest.raises(StalePlan) as caught:
            await fleet.changes.commit(
                actor, asked, fingerprint="x", comment="", request_id=actor.name
            )
        assert (", by ana" in str(caught.value)) is told


async def test_a_groups_operator_changes_settings_of_his_group_and_its_machines(
    fleet: Fleet,
) -> None:
    before = fleet.view.revision("c1")
    edits = (
        put(Level.GROUP, "g1", max_message_size=5),
        put(Level.MACHINE, "mx1", max_message_size=6),
    )
    assert await fleet.commit(BOB, "", *edits) == before + 1
    assert fleet.view.clusters["c1"].groups["g1"].stored.settings["max_message_size"] == 5
    # What is above is in force on his machines, so he may read it.
    level = await fleet.settings.read_level(BOB, LevelAsked(Level.CLUSTER, "c1"))
    assert level.key.name == "c1"


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (put(Level.CLUSTER, "c1", max_message_size=5), "settings of cluster 'c1' itself"),
        (put(Level.MACHINE, "mx1", enabled=False), "cluster 'c1' by the disable rule"),
        (RemoveMachine("mx1"), "which groups and machines cluster 'c1' has"),
        (AddMachine("mx9", "g1"), "which groups and machines cluster 'c1' has"),
    ],
)
async def test_what_changes_more_than_his_group_is_refused_with_who_why_and_what_to_do(
    fleet: Fleet, edit: EditAsked, words: str
) -> None:
    before = fleet.view.revision("c1")
    with pytest.raises(NotPermitted, match=words) as caught:
        await fleet.changes.plan(BOB, ChangeAsked("c1", (edit,)))
    assert "bob reaches group g1 of cluster c1. Nothing was changed. Ask" in str(caught.value)
    # The plan of somebody else, committed by him.
    seen = await fleet.changes.plan(ANA, ChangeAsked("c1", (edit,)))
    with pytest.raises(NotPermitted):
        await fleet.changes.commit(
            BOB, ChangeAsked("c1", (edit,)), fingerprint=seen.fingerprint, comment="",
            request_id="r",
        )  # fmt: skip
    assert fleet.view.revision("c1") == before


async def test_a_move_takes_a_machine_out_of_reach_or_into_it(fleet: Fleet) -> None:
    with pytest.raises(UnknownName):
        await fleet.changes.plan(BOB, ChangeAsked("c1", (MoveMachine("mx3", "g1"),)))
    await fleet.commit(ANA, "c1", MoveMachine("mx3", "g1"))
    assert [each.name for each in await fleet.fleet.list_machines(BOB, "", "", "")] == [
        "mx1", "mx2", "mx3",
    ]  # fmt: skip


async def test_history_is_for_who_reaches_the_cluster(fleet: Fleet) -> None:
    assert await fleet.history.list_commits(CAT, "", limit=0, before=0)
    with pytest.raises(NotPermitted, match="a whole cluster"):
        await fleet.history.list_commits(BOB, "c1", limit=0, before=0)
    with pytest.raises(UnknownName):
        await fleet.history.list_commits(CAT, "c2", limit=0, before=0)


async def test_a_shared_draft_is_shown_to_who_reaches_all_of_it(fleet: Fleet) -> None:
    asked = ChangeAsked("c1", (put(Level.GROUP, "g1", max_message_size=5),))
    await fleet.drafts.change(ANA, "", "", Add(asked))
    await fleet.drafts.change(ANA, "c1", "", Share(True))
    assert (await fleet.drafts.read(BOB, "c1", "ana")).draft.owner == "ana"
    beyond = ChangeAsked("c1", (put(Level.GROUP, "g2", max_message_size=5),))
    await fleet.drafts.change(ANA, "", "", Add(beyond))
    assert await fleet.drafts.list_drafts(BOB, "") == []
    with pytest.raises(UnknownDraft):
        await fleet.drafts.read(BOB, "c1", "ana")
    assert len(await fleet.drafts.list_drafts(CAT, "")) == 1
