"""Edits: applied in order, net changes, revisions that change only with the value, refusals."""

from __future__ import annotations

import pytest
from hypothesis import given
from tdc.manager.levels.changes import (
    AddGroup,
    AddMachine,
    Edit,
    EditRefused,
    RestoreLevels,
    SetValues,
    UnsetValues,
)
from tdc.manager.levels.edit import apply_edits
from tdc.manager.levels.fleet import (
    Cluster,
    FleetError,
    LevelKey,
    UnknownLevel,
    check_name,
    new_cluster,
)
from tdc.shared.settings.values import Level, Settings, same_value

from tests.pure.dumb_levels import ABSENT, Dumb
from tests.stage.clusters import (
    CLUSTER,
    after,
    edit_lists,
    empty_fleet,
    fleets,
    group,
    levels,
    machine,
    put,
    some_settings,
)


@given(fleets(), edit_lists)
def test_edits_do_what_the_dumb_model_does(cluster: Cluster, edits: list[Edit]) -> None:
    edited = apply_edits(cluster, edits)
    before, expected = Dumb.of(cluster), Dumb.of(cluster).after(edits)
    assert Dumb.of(edited.cluster) == expected
    changes = {
        (
            str(change.key.level),
            change.key.name,
            change.setting,
            ABSENT if change.before is None else change.before,
            ABSENT if change.after is None else change.after,
        )
        for change in edited.level_changes
    }
    assert changes == before.level_changes(expected)


@given(fleets(), edit_lists)
def test_a_value_keeps_the_revision_that_set_it_until_it_changes(
    cluster: Cluster, edits: list[Edit]
) -> None:
    edited = apply_edits(cluster, edits)
    for key in edited.cluster.level_keys():
        stored = edited.cluster.stored_at(key)
        assert stored.set_by.keys() == stored.settings.keys()
        try:
            old = cluster.stored_at(key)
        except UnknownLevel:
            old = None
        for name, value in stored.settings.items():
            if old and same_value(old.settings.get(name), value):
                assert stored.set_by[name] == old.set_by[name]
            else:
                assert stored.set_by[name] == edited.cluster.revision


@given(fleets(), edit_lists)
def test_a_commit_makes_one_revision_or_none(cluster: Cluster, edits: list[Edit]) -> None:
    edited = apply_edits(cluster, edits)
    if edited.level_changes or edited.topology:
        assert edited.cluster.revision == cluster.revision + 1
    else:
        assert edited.cluster == cluster


@given(fleets(), levels, some_settings)
def test_setting_what_is_there_is_no_edit(
    cluster: Cluster, key: LevelKey, settings: Settings
) -> None:
    once = after(cluster, SetValues(key, settings))
    assert apply_edits(once, [SetValues(key, settings)]).level_changes == ()


def test_a_setting_changed_and_changed_back_in_one_commit_is_no_change() -> None:
    cluster = after(empty_fleet(), put(CLUSTER, log__level="info"))
    edits = [put(CLUSTER, log__level="debug"), put(CLUSTER, log__level="info")]
    assert apply_edits(cluster, edits).cluster == cluster


def test_a_restored_level_holds_exactly_what_was_given_and_others_are_left_alone() -> None:
    cluster = after(
        empty_fleet(),
        put(CLUSTER, log__level="debug", retry__initial=30),
        put(group("g1"), log__level="error"),
    )
    restored = RestoreLevels(
        3,
        {
            CLUSTER: Settings.of({"retry.initial": 30, "log.format": "json"}),
            group("gone"): Settings.of({"log.level": "info"}),
            machine("mx9"): Settings.of({"log.level": "info"}),
        },
    )
    result = after(cluster, restored)
    assert dict(result.stored.settings) == {"log.format": "json", "retry.initial": 30}
    assert dict(result.stored.set_by) == {
        "log.format": result.revision,
        "retry.initial": cluster.revision,
    }
    assert result.groups == cluster.groups
    assert result.machines == cluster.machines


def test_what_a_commit_creates_can_be_edited_in_the_same_commit() -> None:
    edits: list[Edit] = [
        AddGroup("g9"),
        AddMachine("mx9", "g9"),
        put(machine("mx9"), log__level="debug"),
        put(group("g9"), log__level="error"),
    ]
    edited = apply_edits(new_cluster("c1"), edits)
    assert [(t.level, t.name, t.group) for t in edited.topology] == [
        (Level.GROUP, "g9", ""),
        (Level.MACHINE, "mx9", "g9"),
    ]
    assert edited.cluster.machines_of("g9")[0].stored.settings["log.level"] == "debug"


REFUSED: list[tuple[Edit, str]] = [
    (put(machine("mx77"), enabled=True), "cluster c1 has no machine mx77"),
    (put(group("g77"), enabled=True), "cluster c1 has no group g77"),
    (put(LevelKey(Level.CLUSTER, "c2"), enabled=True), "cluster c1 has no cluster c2"),
    (put(LevelKey(Level.DEFAULT, ""), enabled=True), "cluster c1 has no default"),
    (put(CLUSTER, enable=True), "unknown setting 'enable'"),
    (UnsetValues(CLUSTER, ("enable",)), "unknown setting 'enable'"),
    (UnsetValues(machine("mx77"), ("enabled",)), "cluster c1 has no machine mx77"),
    (AddMachine("mx6", "g77"), "cluster c1 has no group g77"),
    (AddMachine("mx1", "g2"), "cluster c1 already has a machine mx1"),
    (AddMachine("MX1", "g2"), "already has a machine mx1, and MX1 differs only in case"),
    (AddMachine("-mx", "g1"), "'-mx' is not a valid machine name"),
    (AddGroup("G1"), "already has a group g1"),
    (AddGroup("main_group"), "already has a group Main_Group"),
    (AddGroup("C1"), r"a group must not have the name of its cluster \(c1\)"),
    (AddGroup("all"), "'all' is a reserved word"),
]


@pytest.mark.parametrize(("edit", "says"), REFUSED, ids=lambda value: str(value)[:40])
def test_an_edit_that_cannot_be_is_refused_with_a_sentence(edit: Edit, says: str) -> None:
    with pytest.raises(EditRefused, match=says):
        apply_edits(empty_fleet(), [put(CLUSTER, log__level="debug"), edit])


GOOD_NAMES = ["a", "mx1", "mx1.example.com", "Main_Group", "9", "a-b_c.d", "x" * 63]
BAD_NAMES = [
    "",
    " ",
    ".a",
    "a.",
    "-a",
    "a-",
    "_a",
    "a_",
    "a b",
    "a/b",
    "a\n",
    "a\x00b",
    "ä",
    "x" * 64,
]
BAD_NAMES += ["all", "ALL", "default", "Default", "<script>", "../x", "mx1\u202e", "a" * 100_000]


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_a_plain_name_is_taken(name: str) -> None:
    assert check_name(Level.MACHINE, name) == name


@pytest.mark.parametrize("name", BAD_NAMES, ids=lambda name: repr(name)[:20])
@pytest.mark.proves("B89")
def test_a_name_that_would_be_misread_somewhere_is_refused_in_a_short_sentence(name: str) -> None:
    with pytest.raises(FleetError) as caught:
        new_cluster(name)
    assert len(str(caught.value)) < 250


def test_a_cluster_may_not_be_called_as_its_first_group() -> None:
    with pytest.raises(FleetError, match="name of its cluster"):
        new_cluster("MAIN_GROUP")


def test_values_of_a_cluster_can_not_be_changed_in_place() -> None:
    cluster = empty_fleet()
    with pytest.raises(TypeError):
        cluster.machines["mx9"] = cluster.machines["mx1"]  # type: ignore[index]
    with pytest.raises(AttributeError):
        cluster.revision = 7  # type: ignore[misc]
