"""Undoing one commit: exactly what it changed, or a refusal that says what stands against it."""

from __future__ import annotations

import cProfile

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from tdc.manager.levels.changes import (
    AddGroup,
    AddMachine,
    Edit,
    EditRefused,
    MoveMachine,
    RemoveGroup,
    RemoveMachine,
    RenameGroup,
    RenameMachine,
    SetValues,
    Step,
)
from tdc.manager.levels.edit import apply_edits
from tdc.manager.levels.fleet import Cluster
from tdc.manager.levels.revert import reverted

from tests.pure.dumb_levels import Dumb
from tests.pure.topology_edits import valid_edits
from tests.stage.clusters import (
    CLUSTER,
    after,
    edit_lists,
    empty_fleet,
    fleets,
    group,
    machine,
    put,
)


def _undo(start: Cluster, commit: list[Edit], *later: Edit) -> Cluster:
    """The cluster after a commit, later ones of one edit each, and the first one undone."""
    edited = apply_edits(start, commit)
    now, since = edited.cluster, list[Step]()
    for edit in later:
        then = apply_edits(now, [edit])
        now, since = then.cluster, [(then.level_changes, then.topology), *since]
    return after(now, *reverted(now, 7, edited.level_changes, edited.topology, since))


def test_what_the_disable_rule_stored_goes_with_the_rest_and_sets_off_nothing() -> None:
    start = after(empty_fleet(), put(CLUSTER, enabled=True, intake_address="in@intake.example"))
    back = _undo(start, [put(machine("mx1"), enabled=False)], put(group("g2"), log__level="debug"))
    assert back.stored.settings == start.stored.settings
    assert len(back.groups["g1"].stored.settings) == len(back.machines["mx1"].stored.settings) == 0
    assert back.groups["g2"].stored.settings["log.level"] == "debug", "what came later stays"


def test_what_it_created_goes_and_what_it_removed_comes_back() -> None:
    start = after(empty_fleet(), put(machine("mx1"), log__level="debug"))
    edits: list[Edit] = [
        AddGroup("g3"),
        MoveMachine("mx3", "g3"),
        AddMachine("mx6", "g3"),
        put(machine("mx6"), log__level="error"),
        RemoveMachine("mx1"),
        RenameGroup("g2", "edge"),
    ]
    back = _undo(start, edits, put(CLUSTER, retry__initial=30))
    assert Dumb.of(back).group_of == Dumb.of(start).group_of
    assert back.groups.keys() == start.groups.keys()
    assert back.machines["mx1"].stored.settings == start.machines["mx1"].stored.settings
    assert back.stored.settings["retry.initial"] == 30


@pytest.mark.parametrize(
    ("commit", "later", "says"),
    [
        (
            [put(CLUSTER, log__level="debug")],
            [put(CLUSTER, log__level="error")],
            "log.level of cluster c1 was changed again",
        ),
        (
            [put(machine("mx1"), log__level="debug")],
            [RemoveMachine("mx1")],
            "machine mx1 is no longer there",
        ),
        (
            [MoveMachine("mx1", "g2")],
            [MoveMachine("mx1", "Main_Group")],
            "machine mx1 was moved again",
        ),
        ([RenameGroup("g1", "edge")], [AddGroup("g1")], "there is another group g1 now"),
        ([RenameGroup("g1", "edge")], [RenameGroup("edge", "x")], "group edge is no longer there"),
        ([RemoveMachine("mx1")], [AddMachine("mx1", "g2")], "there is another machine mx1 now"),
        (
            [MoveMachine("mx1", "g2")],
            [RemoveGroup("g1", "g2")],
            "group g1, in which machine mx1 was, is no longer there",
        ),
        (
            [RemoveMachine("mx5")],
            [RemoveGroup("Main_Group")],
            "group Main_Group, in which machine mx5 was, is no longer there",
        ),
        (
            [AddGroup("g3")],
            [MoveMachine("mx1", "g3")],
            "group g3 has machines of later commits (mx1)",
        ),
        (
            [AddMachine("mx6", "g1")],
            [put(machine("mx6"), log__level="debug")],
            "machine mx6 has settings of later commits (log.level)",
        ),
        (
            [RenameMachine("mx1", "edge1")],
            [AddMachine("mx1", "g1")],
            "there is another machine mx1 now",
        ),
        (
            [RenameMachine("mx1", "edge1")],
            [RenameMachine("edge1", "x")],
            "machine edge1 is no longer there",
        ),
        (
            [RenameMachine("mx1", "edge1")],
            [MoveMachine("edge1", "g2")],
            "machine edge1 was moved again",
        ),
        (
            [MoveMachine("mx1", "g2")],
            [RenameMachine("mx1", "edge1"), RenameMachine("edge1", "mx1")],
            "machine mx1 was renamed again",
        ),
        (
            [AddMachine("mx6", "g1")],
            [MoveMachine("mx6", "g2")],
            "machine mx6 was moved again",
        ),
    ],
)
def test_what_was_changed_again_is_refused_and_named(
    commit: list[Edit], later: list[Edit], says: str
) -> None:
    with pytest.raises(EditRefused) as caught:
        _undo(empty_fleet(), commit, *later)
    assert "revision 7 can't be undone alone: " in str(caught.value)
    assert says in str(caught.value)


def test_nothing_is_said_of_a_group_that_is_gone_but_that() -> None:
    """Another group has its name by now: that one's settings are no reason."""
    with pytest.raises(EditRefused) as caught:
        _undo(
            empty_fleet(),
            [AddGroup("g3")],
            RenameGroup("g3", "edge"),
            AddGroup("g3"),
            put(group("g3"), log__level="debug"),
        )
    assert "group g3 is no longer there. Undo" in str(caught.value)


def test_a_reason_is_said_once_however_many_settings_have_it() -> None:
    with pytest.raises(EditRefused) as caught:
        _undo(
            empty_fleet(),
            [AddGroup("g3"), put(group("g3"), log__level="debug", retry__initial=30)],
            RenameGroup("g3", "edge"),
        )
    assert str(caught.value).count("g3 is no longer there") == 1


def test_the_work_grows_with_the_commit_and_no_faster() -> None:
    """All operators and machines wait for it: 10 000 new machines were half a minute."""

    def calls_for(machines: int) -> int:
        names = [f"new{number}" for number in range(machines)]
        edits: list[Edit] = [AddGroup("g3"), *(AddMachine(name, "g3") for name in names)]
        edits += [put(machine(name), log__level="debug") for name in names]
        made = apply_edits(empty_fleet(), edits)
        profile = cProfile.Profile()
        profile.runcall(reverted, made.cluster, 7, made.level_changes, made.topology, [])
        return sum(entry.callcount for entry in profile.getstats())

    assert calls_for(400) < 5 * calls_for(100)


@pytest.mark.parametrize(
    ("commit", "later", "says"),
    [
        (
            [put(CLUSTER, log__level="debug")],
            [put(CLUSTER, log__level="error"), put(CLUSTER, log__level="debug")],
            "log.level of cluster c1 was changed again",
        ),
        (
            [AddMachine("mx6", "g1")],
            [RemoveMachine("mx6"), AddMachine("mx6", "g1")],
            "machine mx6 is no longer there",
        ),
        (
            [put(machine("mx1"), log__level="debug")],
            [
                RemoveMachine("mx1"),
                AddMachine("mx1", "g1"),
                put(machine("mx1"), log__level="debug"),
            ],
            "machine mx1 is no longer there",
        ),
        (
            [MoveMachine("mx1", "g2")],
            [RemoveMachine("mx1"), AddMachine("mx1", "g2")],
            "machine mx1 is no longer there",
        ),
        (
            [MoveMachine("mx1", "g2")],
            [MoveMachine("mx1", "g1"), MoveMachine("mx1", "g2")],
            "machine mx1 was moved again",
        ),
        (
            [RemoveMachine("mx1")],
            [AddMachine("mx1", "g1"), RemoveMachine("mx1")],
            "there was another machine mx1 since",
        ),
        (
            [AddGroup("g3")],
            [RemoveGroup("g3"), AddGroup("g3")],
            "group g3 is no longer there",
        ),
        (
            [RenameGroup("g1", "edge")],
            [RenameGroup("edge", "x"), RenameGroup("x", "edge")],
            "group edge was renamed again",
        ),
        (
            [put(group("g1"), log__level="debug")],
            [RenameGroup("g1", "x"), AddGroup("g1"), put(group("g1"), log__level="debug")],
            "group g1 is no longer there",
        ),
        (
            [MoveMachine("mx5", "g2")],
            [RemoveGroup("Main_Group"), AddGroup("Main_Group")],
            "group Main_Group, in which machine mx5 was, is no longer there",
        ),
    ],
)
def test_what_only_looks_as_the_commit_left_it_is_refused_too(
    commit: list[Edit], later: list[Edit], says: str
) -> None:
    """Each later edit is a commit: all is as it was, and another one meant it."""
    with pytest.raises(EditRefused) as caught:
        _undo(empty_fleet(), commit, *later)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("commit", "later"),
    [
        ([put(machine("mx1"), log__level="debug")], [MoveMachine("mx1", "g2")]),
        (
            [put(group("g1"), log__level="debug")],
            [RenameGroup("g1", "x"), RenameGroup("x", "g1"), put(group("g1"), retry__initial=30)],
        ),
        ([MoveMachine("mx1", "g2")], [RenameGroup("g2", "x")]),
        ([RenameGroup("g1", "x")], [MoveMachine("mx1", "g2"), put(group("x"), enabled=True)]),
    ],
)
def test_what_was_done_beside_it_is_in_no_ones_way(commit: list[Edit], later: list[Edit]) -> None:
    start = empty_fleet()
    back = Dumb.of(_undo(start, commit, *later))
    assert back == Dumb.of(after(start, *_as_before(commit, later)))


def _as_before(commit: list[Edit], later: list[Edit]) -> list[Edit]:
    """The later edits alone, with the names of before."""
    (first,) = commit
    if not isinstance(first, RenameGroup):
        return later
    return [
        put(group(first.name), enabled=True) if isinstance(each, SetValues) else each
        for each in later
    ]


@given(fleets(), st.data())
def test_undone_at_once_all_is_as_before(cluster: Cluster, data: st.DataObject) -> None:
    assert Dumb.of(_undo(cluster, data.draw(valid_edits(cluster, renaming=True)))) == Dumb.of(
        cluster
    )


@given(fleets(), edit_lists, edit_lists)
def test_only_what_the_commit_changed_is_set_back(
    cluster: Cluster, first: list[Edit], second: list[Edit]
) -> None:
    """Settings alone, so that each level has one name."""
    first = [each for each in first if not isinstance(each, AddGroup | AddMachine)]
    second = [each for each in second if not isinstance(each, AddGroup | AddMachine)]
    edited = apply_edits(cluster, first)
    then = apply_edits(edited.cluster, second)
    now = then.cluster
    try:
        back = after(now, *reverted(now, 7, edited.level_changes, (), [(then.level_changes, ())]))
    except EditRefused:
        event("refused")
        again = {(each.key, each.setting) for each in then.level_changes}
        assert any((each.key, each.setting) in again for each in edited.level_changes)
        return
    changed = {(each.key, each.setting): each.before for each in edited.level_changes}
    for key in now.level_keys():
        present = dict(now.stored_at(key).settings)
        for (level, setting), before in changed.items():
            if level == key:
                present.pop(setting, None)
                if before is not None:
                    present[setting] = before
        assert dict(back.stored_at(key).settings) == present
