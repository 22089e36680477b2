"""Groups and machines as edits: renamed, moved, removed; against the dumb model and by rollback."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from tdc.manager.levels.changes import (
    AddGroup,
    AddMachine,
    CopyValues,
    Edit,
    EditRefused,
    LevelChange,
    MoveMachine,
    Place,
    RemoveCluster,
    RemoveGroup,
    RemoveMachine,
    RenameGroup,
    RenameMachine,
    Step,
    TopologyChange,
)
from tdc.manager.levels.edit import apply_edits
from tdc.manager.levels.fleet import Cluster, LevelKey, StoredSettings, new_cluster
from tdc.manager.levels.identities import group_at, identity_of, slot_of
from tdc.manager.levels.plan import make_plan
from tdc.manager.levels.undo import cluster_at, undone
from tdc.manager.store.record import topology_of
from tdc.shared.settings.values import Level

from tests.pure.dumb_levels import Dumb, changed_in_force, shown_in_force
from tests.pure.topology_edits import valid_edits
from tests.stage.clusters import (
    CLUSTER,
    after,
    empty_fleet,
    fleets,
    group,
    machine,
    put,
)


def _fleet() -> Cluster:
    return after(
        empty_fleet(),
        put(group("g1"), log__level="debug"),
        put(machine("mx1"), retry__initial=30, enabled=True, intake_address="a@intake.example"),
    )


def test_a_moved_machine_shows_what_changes_in_force_and_nothing_else() -> None:
    plan = make_plan(_fleet(), [MoveMachine("mx1", "g2")])
    assert plan.topology == (TopologyChange(Level.MACHINE, "mx1", "g2", Place("mx1", "g1")),)
    assert plan.levels == ()
    assert [(each.machine, each.setting, each.before, each.after) for each in plan.machines] == [
        ("mx1", "log.level", "debug", "info")
    ]
    assert make_plan(_fleet(), [MoveMachine("mx1", "g1")]).changes_nothing


def test_a_renamed_group_keeps_its_settings_their_revisions_and_its_machines() -> None:
    cluster = _fleet()
    plan = make_plan(cluster, [RenameGroup("g1", "edge")])
    renamed = TopologyChange(Level.GROUP, "edge", before=Place("g1"), slot="g1")
    assert plan.topology == (renamed,)
    assert (plan.levels, plan.machines) == ((), ())
    assert plan.after.groups["edge"].stored == cluster.groups["g1"].stored
    assert [each.name for each in plan.after.machines_of("edge")] == ["mx1", "mx2"]
    assert "g1" not in plan.after.groups
    again = after(plan.after, AddGroup("g1"))
    assert [slot_of(again.groups[name]) for name in ("edge", "g1")] == [
        "g1",
        f"g1~{again.revision}",
    ]
    back = after(after(again, RenameGroup("g1", "g9")), RenameGroup("edge", "g1"))
    assert (back.groups["g1"].slot, group_at(back, "g1")) == ("", back.groups["g1"])
    assert group_at(back, f"g1~{again.revision}") == back.groups["g9"]
    assert group_at(back, "g9") is None


def test_a_renamed_machine_keeps_its_settings_their_revisions_and_what_it_is() -> None:
    cluster = _fleet()
    plan = make_plan(cluster, [RenameMachine("mx1", "edge1")])
    assert plan.topology == (TopologyChange(Level.MACHINE, "edge1", "g1", Place("mx1", "g1")),)
    assert (plan.levels, plan.machines, plan.stop_copying) == ((), (), ())
    found = plan.after.machines["edge1"]
    assert (found.stored, found.group) == (cluster.machines["mx1"].stored, "g1")
    assert identity_of(found) == identity_of(cluster.machines["mx1"]) == ("mx1", found.born)
    assert "mx1" not in plan.after.machines
    again = after(plan.after, AddMachine("mx1", "g2"), put(machine("mx1"), enabled=False))
    assert identity_of(again.machines["mx1"]) == (f"mx1~{again.revision}", again.revision)
    assert again.groups["g2"].stored.settings["enabled"] is False
    back = after(after(again, RenameMachine("mx1", "mx9")), RenameMachine("edge1", "mx1"))
    assert identity_of(back.machines["mx1"]) == identity_of(found)
    assert identity_of(back.machines["mx9"]) == identity_of(again.machines["mx1"])


def test_a_machine_is_renamed_and_moved_with_what_the_same_commit_set() -> None:
    edits: list[Edit] = [
        put(machine("mx1"), enabled=False),
        RenameMachine("mx1", "edge1"),
        MoveMachine("edge1", "g2"),
    ]
    plan = make_plan(_fleet(), edits)
    assert plan.topology == (TopologyChange(Level.MACHINE, "edge1", "g2", Place("mx1", "g1")),)
    assert LevelChange(machine("edge1"), "enabled", True, False) in plan.levels
    assert {each.machine for each in plan.machines} == {"edge1", "mx2"} - {"mx2"}
    assert plan.stop_copying == ("edge1",)


def test_another_machine_that_took_the_name_is_not_the_one_that_was_to_be_renamed() -> None:
    cluster = _fleet()
    again = after(after(cluster, RemoveMachine("mx2")), AddMachine("mx2", "g1"))
    first, second = (make_plan(each, [RenameMachine("mx2", "x")]) for each in (cluster, again))
    assert first.topology == second.topology
    assert first.fingerprint != second.fingerprint


def test_a_rollback_gives_machines_their_names_of_then() -> None:
    start = _fleet()
    commits: list[list[Edit]] = [
        [RenameMachine("mx1", "edge1"), MoveMachine("edge1", "g2")],
        [put(machine("edge1"), log__level="error")],
        [RenameMachine("edge1", "edge2")],
        [AddMachine("edge3", "g1")],
        [RenameMachine("edge3", "edge4")],
    ]
    back = _undone_to(start, commits)
    assert back.machines.keys() == {*start.machines, "edge4"}
    assert identity_of(back.machines["mx1"]) == identity_of(start.machines["mx1"])
    assert back.machines["mx1"].group == "g1"
    assert back.machines["mx1"].stored.settings == start.machines["mx1"].stored.settings


def test_a_rollback_does_not_push_another_machine_out_of_its_name() -> None:
    commits: list[list[Edit]] = [[RenameMachine("mx1", "edge1")], [AddMachine("mx1", "g1")]]
    with pytest.raises(EditRefused, match="machine edge1 was called mx1 then, and another machine"):
        _undone_to(_fleet(), commits)


def test_what_the_same_commit_set_goes_along_with_the_new_name() -> None:
    """Also that it was the disable rule which set it."""
    edits: list[Edit] = [
        put(machine("mx1"), enabled=False),
        put(group("g1"), log__level="error"),
        RenameGroup("g1", "edge"),
    ]
    plan = make_plan(_fleet(), edits)
    assert dict(plan.after.groups["edge"].stored.settings) == {
        "enabled": False,
        "log.level": "error",
    }
    changes = {(str(each.key), each.setting): each.by_disable_rule for each in plan.levels}
    assert changes["group edge", "enabled"] is True
    assert changes["group edge", "log.level"] is False


def test_a_removed_machine_leaves_its_settings_in_history() -> None:
    cluster = _fleet()
    plan = make_plan(cluster, [RemoveMachine("mx1")])
    assert plan.topology == (TopologyChange(Level.MACHINE, "mx1", "g1", removed=True),)
    assert LevelChange(machine("mx1"), "retry.initial", 30, None) in plan.levels
    assert plan.stop_copying == ()
    stopping = make_plan(cluster, [RemoveMachine("mx1", stop_copying=True)])
    assert stopping.stop_copying == ("mx1",)
    assert stopping.fingerprint != plan.fingerprint


def test_a_machine_that_took_the_name_meanwhile_is_not_the_one_that_was_to_be_removed() -> None:
    cluster = _fleet()
    again = after(
        after(cluster, RemoveMachine("mx2")),
        AddMachine("mx2", "g1"),
    )
    first, second = (make_plan(each, [RemoveMachine("mx2")]) for each in (cluster, again))
    assert first.topology == second.topology
    assert first.fingerprint != second.fingerprint
    beside = after(cluster, put(machine("mx3"), log__level="debug"))
    assert make_plan(beside, [RemoveMachine("mx2")]).fingerprint == first.fingerprint


def _without_machines() -> Cluster:
    cluster = after(_fleet(), put(CLUSTER, tls__minimum_version="1.3"))
    return after(cluster, *(RemoveMachine(name) for name in cluster.machines))


def test_a_deleted_cluster_goes_with_its_groups_and_settings() -> None:
    cluster = _without_machines()
    plan = make_plan(cluster, [RemoveCluster("c1")])
    assert [(each.level, each.name, each.removed) for each in plan.topology] == [
        *((Level.GROUP, name, True) for name in sorted(cluster.groups)),
        (Level.CLUSTER, "c1", True),
    ]
    assert {(str(each.key), each.setting) for each in plan.levels if each.after is None} == {
        ("group g1", "log.level"),
        ("cluster c1", "tls.minimum_version"),
    }
    assert plan.after.deleted
    assert (plan.after.groups, plan.after.stored) == ({}, StoredSettings())
    assert plan.machines == ()


def test_a_cluster_that_was_changed_since_is_not_the_one_that_was_to_be_deleted() -> None:
    cluster = _without_machines()
    changed = after(after(cluster, AddGroup("g9")), RemoveGroup("g9"))
    first, second = (make_plan(each, [RemoveCluster("c1")]) for each in (cluster, changed))
    assert first.topology == second.topology
    assert first.fingerprint != second.fingerprint


def test_what_a_deleted_cluster_was_is_seen_through_the_one_that_has_its_name_now() -> None:
    cluster = _without_machines()
    gone = make_plan(cluster, [RemoveCluster("c1")])
    again = replace(new_cluster("c1"), revision=gone.after.revision + 1)
    created: Step = ((), topology_of(again))
    edit = make_plan(again, [put(CLUSTER, log__level="error")])
    now = edit.after
    steps = [(edit.levels, edit.topology), created]
    assert dict(cluster_at(now, again.revision, steps[:1]).stored.settings) == {}
    steps.append((gone.levels, gone.topology))
    assert cluster_at(now, gone.after.revision, steps[:2]).groups == {}
    found = cluster_at(now, cluster.revision, steps)
    assert found.stored.settings == cluster.stored.settings
    assert {name: each.stored.settings for name, each in found.groups.items()} == {
        name: each.stored.settings for name, each in cluster.groups.items()
    }
    assert found.machines == {}


def test_a_group_with_machines_goes_only_with_a_place_for_them() -> None:
    cluster = _fleet()
    with pytest.raises(EditRefused, match=r"2 machines \(mx1, mx2\): say which group they go to"):
        apply_edits(cluster, [RemoveGroup("g1")])
    edited = apply_edits(cluster, [RemoveGroup("g1", "g2")])
    assert [each.name for each in edited.cluster.machines_of("g2")] == ["mx1", "mx2", "mx3", "mx4"]
    assert [(each.name, each.removed) for each in edited.topology] == [
        ("mx1", False),
        ("mx2", False),
        ("g1", True),
    ]


@pytest.mark.parametrize(
    ("edits", "says"),
    [
        ([RemoveGroup("g1", "g1")], "can't stay in it"),
        ([RemoveGroup("g1", "g9")], "has no group g9"),
        ([RemoveGroup("g9")], "has no group g9"),
        ([RenameGroup("g1", "g2")], "already has a group g2"),
        ([RenameGroup("g1", "G2")], "already has a group g2, and G2 differs only in case"),
        ([RenameGroup("g1", "C1")], "must not have the name of its cluster"),
        ([RenameGroup("g9", "g3")], "has no group g9"),
        ([MoveMachine("mx9", "g1")], "has no machine mx9"),
        ([MoveMachine("mx1", "g9")], "has no group g9"),
        ([RemoveMachine("mx9")], "has no machine mx9"),
        ([RemoveCluster("c1")], r"5 machines \(mx1, mx2, mx3, mx4, mx5\): remove them first"),
        ([RemoveCluster("c2")], "has no cluster c2"),
        ([RemoveMachine("mx1"), AddMachine("mx1", "g1")], "in a commit of its own"),
        ([RenameGroup("g1", "g3"), AddGroup("g1")], "in a commit of its own"),
        ([RemoveMachine("mx1"), put(machine("mx1"), enabled=True)], "has no machine mx1"),
        ([CopyValues(CLUSTER, CLUSTER)], "can't be copied to itself"),
        ([CopyValues(CLUSTER, CLUSTER, move=True)], "can't be moved to itself"),
        ([CopyValues(machine("mx1"), CLUSTER, ("log.level",))], "no log.level of its own to copy"),
        (
            [CopyValues(machine("mx1"), CLUSTER, ("log.level",), move=True)],
            "no log.level of its own to move",
        ),
        ([CopyValues(machine("mx1"), group("g1"), ("log.level",))], "no log.level of its own"),
        ([CopyValues(machine("mx1"), group("g1"), ("log_level",))], "unknown setting"),
    ],
)
def test_what_can_not_be_done_is_refused_in_words(edits: list[Edit], says: str) -> None:
    with pytest.raises(EditRefused, match=says):
        apply_edits(_fleet(), edits)


def test_the_last_group_stays() -> None:
    cluster = after(empty_fleet(), RemoveGroup("g1", "Main_Group"), RemoveGroup("g2", "Main_Group"))
    with pytest.raises(EditRefused, match="the only one of cluster c1"):
        apply_edits(cluster, [RemoveGroup("Main_Group")])


def test_a_group_may_change_the_case_of_its_name() -> None:
    assert "G1" in after(_fleet(), RenameGroup("g1", "G1")).groups


def test_copying_a_disable_to_a_machine_sets_off_the_rule() -> None:
    """An operator's edit of that machine, like any other; moving a machine sets off nothing."""
    cluster = after(
        empty_fleet(), put(group("g2"), enabled=False), put(CLUSTER, log__level="error")
    )
    edited = apply_edits(cluster, [CopyValues(group("g2"), machine("mx1"))])
    disabled = {each.key for each in edited.level_changes if each.setting == "enabled"}
    assert disabled == {machine("mx1"), group("g1"), CLUSTER}
    moved = apply_edits(cluster, [MoveMachine("mx1", "g2")])
    assert moved.level_changes == ()


def test_a_moved_level_is_empty_and_its_values_are_at_the_target() -> None:
    edited = apply_edits(_fleet(), [CopyValues(machine("mx1"), group("g2"), move=True)])
    assert len(edited.cluster.machines["mx1"].stored.settings) == 0
    assert edited.cluster.groups["g2"].stored.settings["retry.initial"] == 30


def test_a_rollback_that_meets_another_group_of_the_name_is_refused() -> None:
    first = apply_edits(_fleet(), [RenameGroup("g1", "edge")])
    second = apply_edits(first.cluster, [AddGroup("g1")])
    steps: list[Step] = [
        (second.level_changes, second.topology),
        (first.level_changes, first.topology),
    ]
    with pytest.raises(EditRefused, match="group edge was called g1 then"):
        undone(second.cluster, 2, steps)


def _undone_to(start: Cluster, commits: list[list[Edit]]) -> Cluster:
    """What a rollback to `start` makes of it after these commits."""
    now, steps = start, list[Step]()
    for edits in commits:
        edited = apply_edits(now, edits)
        steps.insert(0, (edited.level_changes, edited.topology))
        now = edited.cluster
    return after(now, undone(now, start.revision, steps))


def test_a_rollback_takes_the_group_that_has_the_name_now_for_one_that_is_gone() -> None:
    """Renamed, removed, created again (by a revert, say) and renamed back."""
    start = _fleet()
    commits: list[list[Edit]] = [
        [RenameGroup("g1", "edge")],
        [RemoveGroup("edge", "g2")],
        [AddGroup("edge"), put(group("edge"), log__level="error")],
        [RenameGroup("edge", "g1")],
    ]
    back = _undone_to(start, commits)
    assert Dumb.of(back) == Dumb.of(start)


def test_a_rollback_that_is_refused_names_groups_as_they_are_now() -> None:
    with pytest.raises(EditRefused, match="group far was called g1 then"):
        _undone_to(
            _fleet(), [[RenameGroup("g1", "edge")], [RenameGroup("edge", "far")], [AddGroup("g1")]]
        )
    with pytest.raises(EditRefused, match="group g1 was removed since, and another group has"):
        _undone_to(_fleet(), [[RemoveGroup("g1", "Main_Group")], [RenameGroup("g2", "g1")]])


def test_a_rollback_gives_no_removed_machine_its_old_settings_twice() -> None:
    """Removed, created again and set: it holds what the machine of then held, in its group."""
    start = _fleet()
    commits: list[list[Edit]] = [
        [RemoveMachine("mx1")],
        [AddMachine("mx1", "g2")],
        [put(LevelKey(Level.MACHINE, "mx1"), log__level="error")],
    ]
    back = _undone_to(start, commits)
    assert back.machines["mx1"].stored.settings == start.machines["mx1"].stored.settings
    assert back.machines["mx1"].group == "g1"


@given(fleets(), st.data())
def test_edits_do_what_the_dumb_model_does(cluster: Cluster, data: st.DataObject) -> None:
    edits = data.draw(valid_edits(cluster, renaming=True))
    edited = apply_edits(cluster, edits)
    assert Dumb.of(edited.cluster) == Dumb.of(cluster).after(edits)
    assert all(each.group in edited.cluster.groups for each in edited.cluster.machines.values())


@given(fleets(), st.data())
def test_changes_in_force_are_those_of_resolving_each_machine(
    cluster: Cluster, data: st.DataObject
) -> None:
    plan = make_plan(cluster, data.draw(valid_edits(cluster, renaming=True)))
    expected = changed_in_force(cluster, plan.after)
    assert shown_in_force(plan.machines, cluster, plan.after) == expected
    told = {each.name for each in plan.topology if each.stops_copying}
    stopped = {
        name for name, setting, _, value in expected if (setting, value) == ("enabled", "False")
    }
    before = Dumb.of(cluster)
    running = {name for name in told if before.effective(name)["enabled"] is True}
    assert set(plan.stop_copying) == stopped | running


@given(fleets(), st.data())
def test_a_rollback_brings_back_levels_and_places_and_keeps_what_was_created(
    cluster: Cluster, data: st.DataObject
) -> None:
    now, steps = cluster, list[Step]()
    for _ in range(data.draw(st.integers(1, 3))):
        edited = apply_edits(now, data.draw(valid_edits(now, renaming=True)))
        steps.insert(0, (edited.level_changes, edited.topology))
        now = edited.cluster
    try:
        back = after(now, undone(now, cluster.revision, steps))
    except EditRefused as error:
        event(f"refused: {type(error).__name__}")
        assert re.search("has that name now|in a commit of its own", str(error))  # noqa: PT017
        return
    for key in cluster.level_keys():
        assert back.stored_at(key).settings == cluster.stored_at(key).settings
    for name, each in cluster.machines.items():
        assert back.machines[name].group == each.group
    assert back.machines.keys() >= cluster.machines.keys()
    assert len(back.machines) >= len(now.machines)
    assert back.groups.keys() >= cluster.groups.keys()


@given(fleets(), st.data())
def test_a_cluster_can_be_read_as_it_was(cluster: Cluster, data: st.DataObject) -> None:
    now, steps = cluster, list[Step]()
    for _ in range(data.draw(st.integers(1, 3))):
        edited = apply_edits(now, data.draw(valid_edits(now, renaming=True)))
        steps.insert(0, (edited.level_changes, edited.topology))
        now = edited.cluster
    try:
        then = cluster_at(now, cluster.revision, steps)
    except EditRefused as error:
        assert re.search("another (group|machine) has that name now", str(error))  # noqa: PT017
        return
    assert Dumb.of(then) == Dumb.of(cluster)
    assert then.revision == cluster.revision
