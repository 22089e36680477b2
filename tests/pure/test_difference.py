"""The difference of two revisions: what one commit would show that led from one to the other."""

from __future__ import annotations

from hypothesis import event, given
from hypothesis import strategies as st
from tdc.manager.levels.changes import (
    AddGroup,
    AddMachine,
    Edit,
    LevelChange,
    MoveMachine,
    Place,
    RemoveGroup,
    RenameGroup,
    RenameMachine,
    TopologyChange,
)
from tdc.manager.levels.difference import Renames, difference, renamed
from tdc.manager.levels.edit import apply_edits
from tdc.manager.levels.fleet import Cluster
from tdc.manager.levels.undo import cluster_at
from tdc.shared.settings.values import Level

from tests.pure.dumb_levels import Dumb, changed_in_force, shown_in_force
from tests.pure.topology_edits import valid_edits
from tests.stage.clusters import after, enabled_fleet, fleets, group, machine, put

Record = tuple[tuple[LevelChange, ...], tuple[TopologyChange, ...]]


def _history(
    cluster: Cluster, data: st.DataObject, most: int
) -> tuple[list[Cluster], list[Record]]:
    """Some commits: what the cluster was after each, and their records, newest first."""
    states, records = [cluster], list[Record]()
    for _ in range(data.draw(st.integers(1, most))):
        edited = apply_edits(states[-1], data.draw(valid_edits(states[-1])))
        records.insert(0, (edited.level_changes, edited.topology))
        states.append(edited.cluster)
    return states, records


@given(fleets(), st.data())
def test_of_one_commit_it_is_what_the_commit_recorded(
    cluster: Cluster, data: st.DataObject
) -> None:
    [before, now], [(levels, topology)] = _history(cluster, data, 1)
    found = difference(before, now, renamed([topology]))
    assert {(each.key, each.setting, repr(each.after)) for each in found.levels} == {
        (each.key, each.setting, repr(each.after)) for each in levels
    }
    assert {(each.level, each.name, each.before, each.removed) for each in found.topology} == {
        (each.level, each.name, each.before, each.removed) for each in topology
    }


@given(fleets(), st.data())
def test_in_force_it_is_resolving_each_machine_at_both(
    cluster: Cluster, data: st.DataObject
) -> None:
    states, records = _history(cluster, data, 4)
    names = renamed([topology for _, topology in records])
    back = names.back
    for before, now, renames in (
        (states[0], states[-1], names),
        (states[-1], states[0], back),
    ):
        found = difference(before, now, renames)
        shown = shown_in_force(found.machines, before, now)
        assert shown == changed_in_force(before, now)
        new_machines = {each.name for each in found.topology if each.created} & set(now.machines)
        assert new_machines == now.machines.keys() - before.machines.keys()


@given(fleets(), st.data())
def test_the_changes_lead_from_one_to_the_other(cluster: Cluster, data: st.DataObject) -> None:
    """By the plainest reading of them: names as said, then each setting as said."""
    states, records = _history(cluster, data, 4)
    before, now = states[0], states[-1]
    found = difference(before, now, renamed([topology for _, topology in records]))
    event(f"renames: {sum(each.before is not None for each in found.topology)}")
    model = Dumb.of(before)
    levels = {key: dict(settings) for key, settings in model.levels.items()}
    places = dict(model.group_of)
    of_groups = [each for each in found.topology if each.level is Level.GROUP]
    of_machines = [each for each in found.topology if each.level is Level.MACHINE]
    moved = {
        (each.before.name if each.before else each.name): each.name
        for each in of_groups
        if each.before is not None
    }
    gone = {each.name for each in of_groups if each.removed}
    held = {name: levels.pop(("group", name)) for level, name in list(levels) if level == "group"}
    for name, settings in held.items():
        if name in moved or name not in gone:
            levels["group", moved.get(name, name)] = settings
    levels |= {("group", each.name): {} for each in of_groups if each.created}
    places = {name: moved.get(its_group, its_group) for name, its_group in places.items()}
    for each in of_machines:
        if each.removed:
            del places[each.name], levels["machine", each.name]
        else:
            places[each.name] = each.group
            levels.setdefault(("machine", each.name), {})
    for change in found.levels:
        values = levels.get((str(change.key.level), change.key.name))
        if values is None:
            continue  # of a level that is gone
        values.pop(change.setting, None)
        if change.after is not None:
            values[change.setting] = change.after
    assert places == Dumb.of(now).group_of
    assert {key: values for key, values in levels.items() if values} == {
        key: dict(values) for key, values in Dumb.of(now).levels.items() if values
    }


def test_of_a_revision_with_itself_there_is_none() -> None:
    found = difference(enabled_fleet(), enabled_fleet(), Renames())
    assert (found.levels, found.topology, found.machines) == ((), (), ())


def test_a_group_that_was_renamed_twice_is_the_same_group() -> None:
    before = after(enabled_fleet(), put(group("g1"), enabled=False))
    records, now = list[Record](), before
    commits: list[list[Edit]] = [
        [RenameGroup("g1", "g7")],
        [AddGroup("g1")],
        [RenameGroup("g7", "g8"), put(group("g1"), enabled=True)],
    ]
    for edits in commits:
        edited = apply_edits(now, edits)
        records.insert(0, (edited.level_changes, edited.topology))
        now = edited.cluster
    names = renamed([topology for _, topology in records])
    assert names == Renames(groups={"g1": "g8"})
    found = difference(before, now, names)
    assert [(each.name, each.before and each.before.name) for each in found.topology] == [
        ("g1", None),
        ("g8", "g1"),
    ]
    assert [(str(each.key), each.setting, each.before) for each in found.levels] == [
        ("group g1", "enabled", None)
    ]
    assert found.machines == ()


def test_a_machine_that_was_renamed_twice_is_the_same_machine() -> None:
    before = after(enabled_fleet(), put(machine("mx1"), log__level="debug"))
    records, now = list[Record](), before
    commits: list[list[Edit]] = [
        [RenameMachine("mx1", "mx7")],
        [AddMachine("mx1", "g2"), put(machine("mx1"), log__level="error")],
        [RenameMachine("mx7", "mx8"), MoveMachine("mx8", "g2")],
        [RenameMachine("mx2", "mx9"), put(machine("mx9"), retry__initial=30)],
    ]
    for edits in commits:
        edited = apply_edits(now, edits)
        records.insert(0, (edited.level_changes, edited.topology))
        now = edited.cluster
    names = renamed([topology for _, topology in records])
    assert names == Renames(machines={"mx1": "mx8", "mx2": "mx9"})
    found = difference(before, now, names)
    assert [(each.name, each.before) for each in found.topology] == [
        ("mx1", None),
        ("mx8", Place("mx1", "g1")),
        ("mx9", Place("mx2", "g1")),
    ]
    assert [(str(each.key), each.setting, each.before) for each in found.levels] == [
        ("machine mx1", "log.level", None),
        ("machine mx9", "retry.initial", None),
    ]
    changed = {(each.machine, each.setting, each.before) for each in found.machines}
    assert {each for each in changed if each[0] != "mx1"} == {("mx9", "retry.initial", 60)}
    back = difference(now, before, names.back)
    assert [(each.name, each.before, each.removed) for each in back.topology] == [
        ("mx1", Place("mx8", "g2"), False),
        ("mx2", Place("mx9", "g1"), False),
        ("mx1", None, True),
    ]


def test_a_name_that_went_and_came_again_is_no_renaming() -> None:
    records, now = list[Record](), enabled_fleet()
    commits: list[list[Edit]] = [
        [RenameGroup("g1", "g7")],
        [RemoveGroup("g7", "g2")],
        [AddGroup("g7")],
    ]
    for edits in commits:
        edited = apply_edits(now, edits)
        records.insert(0, (edited.level_changes, edited.topology))
        now = edited.cluster
    assert renamed([topology for _, topology in records]) == Renames()


def test_what_was_read_from_history_can_be_compared() -> None:
    """Its values have no known revision."""
    before = enabled_fleet()
    edited = apply_edits(before, [put(group("g1"), log__level="debug")])
    step = (edited.level_changes, edited.topology)
    then = cluster_at(edited.cluster, before.revision, [step])
    back = difference(edited.cluster, then, Renames())
    assert [(each.machine, each.after) for each in back.machines] == [
        ("mx1", "info"),
        ("mx2", "info"),
    ]
