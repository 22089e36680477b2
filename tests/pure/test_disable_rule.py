"""The disable rule, clause by clause: what changes, and what must not (docs/decisions/0005)."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st
from tdc.manager.levels.changes import Edit, LevelChange, RestoreLevels, UnsetValues
from tdc.manager.levels.edit import apply_edits
from tdc.manager.levels.fleet import Cluster, LevelKey
from tdc.manager.levels.plan import make_plan
from tdc.manager.levels.resolve import resolve
from tdc.manager.levels.undo import undone
from tdc.shared.settings.values import Level, Settings

from tests.stage.clusters import (
    CLUSTER,
    GROUPS,
    MACHINES,
    after,
    empty_fleet,
    enabled_fleet,
    fleets,
    group,
    group_names,
    levels,
    machine,
    machine_names,
    plain_edit_lists,
    put,
    some_settings,
)


def stored_enabled(cluster: Cluster, key: LevelKey) -> object:
    return cluster.stored_at(key).settings.get("enabled")


def in_force(cluster: Cluster, name: str) -> object:
    return resolve(cluster, name).values()["enabled"]


def above(name: str) -> tuple[LevelKey, LevelKey]:
    return group(MACHINES[name]), CLUSTER


def changed_levels(changes: tuple[LevelChange, ...]) -> set[LevelKey]:
    return {change.key for change in changes}


# -- what changes ------------------------------------------------------------------------------


@given(fleets(), machine_names)
def test_a_machine_level_disable_disables_its_group_and_cluster_in_the_same_revision(
    cluster: Cluster, name: str
) -> None:
    assume(stored_enabled(cluster, machine(name)) is not False)
    edited = apply_edits(cluster, [put(machine(name), enabled=False)])
    assert edited.cluster.revision == cluster.revision + 1
    for key in (machine(name), *above(name)):
        assert stored_enabled(edited.cluster, key) is False
    for change in edited.level_changes:
        stored = edited.cluster.stored_at(change.key)
        assert stored.set_by["enabled"] == edited.cluster.revision
        assert change.by_disable_rule == (change.key != machine(name))


@given(fleets(), machine_names, some_settings)
def test_the_rule_acts_just_so_when_other_settings_are_set_beside_enabled(
    cluster: Cluster, name: str, others: Settings
) -> None:
    assume(stored_enabled(cluster, machine(name)) is not False)
    edit = put(machine(name), **{**others, "enabled": False})
    changes = apply_edits(cluster, [edit]).level_changes
    carried = {(change.key, change.setting) for change in changes if change.key != machine(name)}
    assert carried <= {(key, "enabled") for key in above(name)}
    result = after(cluster, edit)
    assert all(stored_enabled(result, key) is False for key in above(name))


@given(fleets(), machine_names)
def test_machines_that_inherit_become_disabled(cluster: Cluster, name: str) -> None:
    assume(stored_enabled(cluster, machine(name)) is not False)
    result = after(cluster, put(machine(name), enabled=False))
    for other, its_group in MACHINES.items():
        own = stored_enabled(cluster, machine(other))
        its_groups = stored_enabled(cluster, group(its_group))
        inherits = other == name or (
            own is None and (its_groups is None or its_group == MACHINES[name])
        )
        if inherits:
            assert in_force(result, other) is False


# -- what must not change ----------------------------------------------------------------------


@given(fleets(), machine_names)
def test_a_machine_or_group_with_its_own_enabled_true_stays_enabled(
    cluster: Cluster, name: str
) -> None:
    result = after(cluster, put(machine(name), enabled=False))
    for other, its_group in MACHINES.items():
        if other != name and stored_enabled(cluster, machine(other)) is True:
            assert in_force(result, other) is True
        own = stored_enabled(cluster, machine(other))
        if (
            its_group != MACHINES[name]
            and own is None
            and stored_enabled(cluster, group(its_group)) is True
        ):
            assert in_force(result, other) is True


@given(fleets(), machine_names)
def test_nothing_is_stored_anywhere_but_at_the_machine_its_group_and_its_cluster(
    cluster: Cluster, name: str
) -> None:
    changes = apply_edits(cluster, [put(machine(name), enabled=False)]).level_changes
    assert changed_levels(changes) <= {machine(name), *above(name)}
    assert {change.setting for change in changes} <= {"enabled"}


@given(fleets(), machine_names)
def test_enabled_true_at_a_machine_does_not_propagate(cluster: Cluster, name: str) -> None:
    changes = apply_edits(cluster, [put(machine(name), enabled=True)]).level_changes
    assert changed_levels(changes) <= {machine(name)}


@given(fleets(), machine_names)
def test_unset_at_a_machine_does_not_propagate(cluster: Cluster, name: str) -> None:
    changes = apply_edits(cluster, [UnsetValues(machine(name), ("enabled",))]).level_changes
    assert changed_levels(changes) <= {machine(name)}


@given(fleets(), group_names)
def test_a_disable_at_group_level_reaches_neither_the_cluster_nor_anything_below(
    cluster: Cluster, name: str
) -> None:
    changes = apply_edits(cluster, [put(group(name), enabled=False)]).level_changes
    assert changed_levels(changes) <= {group(name)}


@given(fleets())
def test_a_disable_at_cluster_level_is_stored_at_the_cluster_only(cluster: Cluster) -> None:
    changes = apply_edits(cluster, [put(CLUSTER, enabled=False)]).level_changes
    assert changed_levels(changes) <= {CLUSTER}


@given(fleets(), levels, some_settings)
def test_no_other_setting_propagates_from_any_level(
    cluster: Cluster, key: LevelKey, settings: Settings
) -> None:
    edit = put(key, **settings.without("enabled"))
    assert changed_levels(apply_edits(cluster, [edit]).level_changes) <= {key}


@given(fleets(), machine_names, st.booleans(), st.booleans())
def test_disabling_a_machine_that_stores_false_already_is_no_edit_and_sets_off_nothing(
    cluster: Cluster, name: str, group_enabled: bool, cluster_enabled: bool
) -> None:
    before = after(
        cluster,
        put(machine(name), enabled=False),
        put(group(MACHINES[name]), enabled=group_enabled),
        put(CLUSTER, enabled=cluster_enabled),
    )
    edited = apply_edits(before, [put(machine(name), enabled=False)])
    assert edited.level_changes == ()
    assert edited.cluster == before


@given(fleets(), machine_names)
def test_a_machine_that_is_disabled_by_inheritance_only_does_set_off_the_rule(
    cluster: Cluster, name: str
) -> None:
    """What counts is what the level stores, not what is in force there."""
    before = after(
        cluster,
        UnsetValues(machine(name), ("enabled",)),
        put(group(MACHINES[name]), enabled=False),
        put(CLUSTER, enabled=True),
    )
    assert in_force(before, name) is False
    result = after(before, put(machine(name), enabled=False))
    assert stored_enabled(result, CLUSTER) is False


# -- lifting, rolling back, restoring ----------------------------------------------------------


@given(fleets(), machine_names)
def test_lifting_the_machines_override_later_restores_nothing_above(
    cluster: Cluster, name: str
) -> None:
    assume(stored_enabled(cluster, machine(name)) is not False)
    disabled = after(cluster, put(machine(name), enabled=False))
    for lift in (UnsetValues(machine(name), ("enabled",)), put(machine(name), enabled=True)):
        lifted = after(disabled, lift)
        assert all(stored_enabled(lifted, key) is False for key in above(name))


@given(fleets(), machine_names)
def test_rolling_the_commit_back_restores_every_level(cluster: Cluster, name: str) -> None:
    edited = apply_edits(cluster, [put(machine(name), enabled=False)])
    undo = undone(edited.cluster, cluster.revision, [(edited.level_changes, edited.topology)])
    back = after(edited.cluster, undo)
    for key in cluster.level_keys():
        assert back.stored_at(key).settings == cluster.stored_at(key).settings


@given(fleets(), machine_names)
def test_restoring_a_disabled_machine_sets_off_nothing(cluster: Cluster, name: str) -> None:
    wanted = Settings.of({**cluster.stored_at(machine(name)).settings, "enabled": False})
    edited = apply_edits(cluster, [RestoreLevels(1, {machine(name): wanted})])
    assert changed_levels(edited.level_changes) <= {machine(name)}
    assert not any(change.by_disable_rule for change in edited.level_changes)


# -- order of edits ----------------------------------------------------------------------------


@given(fleets(), machine_names)
def test_a_later_edit_of_the_same_commit_may_enable_a_level_again(
    cluster: Cluster, name: str
) -> None:
    edits = [put(machine(name), enabled=False), *(put(key, enabled=True) for key in above(name))]
    result = after(cluster, *edits)
    assert stored_enabled(result, machine(name)) is False
    assert all(stored_enabled(result, key) is True for key in above(name))
    by_rule = [c for c in apply_edits(cluster, edits).level_changes if c.by_disable_rule]
    assert not by_rule


@given(fleets(), machine_names)
def test_an_earlier_edit_of_the_same_commit_is_overridden_by_the_rule(
    cluster: Cluster, name: str
) -> None:
    assume(stored_enabled(cluster, machine(name)) is not False)
    edits = [*(put(key, enabled=True) for key in above(name)), put(machine(name), enabled=False)]
    result = after(cluster, *edits)
    assert all(stored_enabled(result, key) is False for key in above(name))


@given(machine_names, st.booleans())
def test_a_disable_that_the_operator_wrote_as_well_is_blamed_on_who_changed_the_value(
    name: str, operator_first: bool
) -> None:
    edits = [put(group(MACHINES[name]), enabled=False), put(machine(name), enabled=False)]
    if not operator_first:
        edits.reverse()
    changes = apply_edits(empty_fleet(), edits).level_changes
    by_rule = {change.key: change.by_disable_rule for change in changes}
    assert by_rule == {
        machine(name): False,
        group(MACHINES[name]): not operator_first,
        CLUSTER: True,
    }


@given(fleets())
def test_an_exported_fleet_applied_machines_first_to_an_empty_one_comes_out_the_same(
    cluster: Cluster,
) -> None:
    """This is why `apply` edits machines, then groups, then clusters. Upper levels without an
    `enabled` of their own say so, for the rule may have given them one."""
    edits: list[Edit] = []
    for key in cluster.level_keys():
        settings = cluster.stored_at(key).settings
        edits.append(put(key, **settings))
        if key.level is not Level.MACHINE and "enabled" not in settings:
            edits.append(UnsetValues(key, ("enabled",)))
    applied = after(empty_fleet(), *edits)
    for key in cluster.level_keys():
        assert applied.stored_at(key).settings == cluster.stored_at(key).settings


@given(fleets(), plain_edit_lists)
def test_the_rule_never_writes_anything_but_a_disable_above_a_machine(
    cluster: Cluster, edits: list[Edit]
) -> None:
    for change in apply_edits(cluster, edits).level_changes:
        if change.by_disable_rule:
            assert change.setting == "enabled"
            assert change.after is False
            assert change.key.level in (Level.GROUP, Level.CLUSTER)


def test_the_blast_radius_of_one_machine_is_shown_before_anything_is_committed() -> None:
    """Three machines in two groups; mx3's group has its own enabled = true."""
    cluster = after(enabled_fleet(), put(group("g2"), enabled=True))
    plan = make_plan(cluster, [put(machine("mx1"), enabled=False)])
    assert plan.stop_copying == ("mx1", "mx2", "mx5")
    assert plan.start_copying == ()
    assert [(str(c.key), c.before, c.after, c.by_disable_rule) for c in plan.levels] == [
        ("machine mx1", None, False, False),
        ("group g1", None, False, True),
        ("cluster c1", True, False, True),
    ]
    assert {name: in_force(plan.after, name) for name in MACHINES} == {
        "mx1": False, "mx2": False, "mx3": True, "mx4": True, "mx5": False,
    }  # fmt: skip
    assert set(GROUPS) == set(plan.after.groups)
