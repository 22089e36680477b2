"""Plans: the whole outcome, its fingerprint, what refuses it, and how commits are undone."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from tdc.manager.levels import plan as plan_module
from tdc.manager.levels.changes import (
    AddGroup,
    AddMachine,
    Edit,
    MoveMachine,
    RemoveGroup,
    RemoveMachine,
    RenameGroup,
    RenameMachine,
    Step,
    UnsetValues,
)
from tdc.manager.levels.edit import apply_edits
from tdc.manager.levels.fleet import Cluster, LevelKey, new_cluster
from tdc.manager.levels.impact import Problem, impact_of
from tdc.manager.levels.plan import make_plan
from tdc.manager.levels.resolve import resolve
from tdc.manager.levels.undo import undone
from tdc.manager.messages import wire
from tdc.shared.settings.canonical import Plain, plain
from tdc.shared.settings.validate import faults_of
from tdc.shared.settings.values import Level, Origin, Policy, PolicyAction, Value
from tdc.shared.wire.settings import settings_from_wire, value_to_wire
from tdc.v1 import settings_pb2

from tests.pure.dumb_levels import Dumb
from tests.stage.clusters import (
    CLUSTER,
    MACHINES,
    after,
    edit_lists,
    empty_fleet,
    enabled_fleet,
    fleets,
    group,
    machine,
    plain_edit_lists,
    put,
)


@given(fleets(), edit_lists)
def test_the_changes_on_machines_are_those_of_the_dumb_model(
    cluster: Cluster, edits: list[Edit]
) -> None:
    plan = make_plan(cluster, edits)
    found = {
        (change.machine, change.setting, change.before, change.after)
        for change in plan.machines
        if change.machine in cluster.machines
    }
    model = Dumb.of(cluster)
    assert found == model.machine_changes(model.after(edits))
    assert len(set(plan.machines)) == len(plan.machines)


@given(fleets(), edit_lists)
def test_a_change_on_a_machine_carries_the_origin_that_resolution_gives(
    cluster: Cluster, edits: list[Edit]
) -> None:
    plan = make_plan(cluster, edits)
    for change in plan.machines:
        in_force = resolve(plan.after, change.machine).settings[change.setting]
        assert (change.after, change.origin) == (in_force.value, in_force.origin)


@given(fleets(), edit_lists)
def test_machines_that_stop_and_start_copying_are_named(
    cluster: Cluster, edits: list[Edit]
) -> None:
    plan = make_plan(cluster, edits)
    before = {name for name in cluster.machines if resolve(cluster, name).values()["enabled"]}
    now = {name for name in plan.after.machines if resolve(plan.after, name).values()["enabled"]}
    assert set(plan.stop_copying) == before - now
    assert set(plan.start_copying) == now - before


@given(fleets(), edit_lists)
def test_every_fault_of_a_machine_that_the_commit_touches_is_a_problem(
    cluster: Cluster, edits: list[Edit]
) -> None:
    plan = make_plan(cluster, edits)
    touched = {change.machine for change in plan.machines}
    touched |= plan.after.machines.keys() - cluster.machines.keys()
    expected = {
        Problem(name, fault.setting, fault.reason)
        for name in touched
        for fault in faults_of(resolve(plan.after, name).values())
    }
    assert {problem for problem in plan.problems if problem.machine} == expected


# -- the fingerprint ---------------------------------------------------------------------------


@given(fleets(), plain_edit_lists, plain_edit_lists)
def test_the_fingerprint_is_that_of_the_outcome(
    cluster: Cluster, edits: list[Edit], others: list[Edit]
) -> None:
    """Equal exactly if level changes, topology and changes in force are, whatever the way."""

    def outcome(plan_edits: list[Edit]) -> tuple[object, str]:
        plan = make_plan(cluster, plan_edits)
        levels = [(c.key, c.setting, repr(c.before), repr(c.after)) for c in plan.levels]
        machines = [(c.machine, c.setting, repr(c.before), repr(c.after)) for c in plan.machines]
        return (levels, plan.topology, machines), plan.fingerprint

    (one, first), (other, second) = outcome(edits), outcome(others)
    assert (one == other) == (first == second)


@given(fleets(), edit_lists)
def test_an_unrelated_commit_in_between_leaves_the_fingerprint(
    cluster: Cluster, edits: list[Edit]
) -> None:
    later = after(cluster, put(group("g2"), report_from="tdc@corp.example"))
    assert later.revision > cluster.revision
    assert make_plan(later, edits).fingerprint == make_plan(cluster, edits).fingerprint


def test_a_commit_in_between_that_alters_an_affected_machine_alters_the_fingerprint() -> None:
    edits = [put(machine("mx1"), enabled=False)]
    cluster = enabled_fleet()
    planned = make_plan(cluster, edits).fingerprint
    for between in (
        put(group("g2"), enabled=True),  # mx3 and mx4 would go on copying
        put(machine("mx2"), enabled=True),
        UnsetValues(CLUSTER, ("enabled",)),
        AddMachine("mx6", "g1"),  # would stop copying too
    ):
        assert make_plan(after(cluster, between), edits).fingerprint != planned


def test_the_fingerprint_tells_what_a_removed_machine_does() -> None:
    name = sorted(MACHINES)[0]
    cluster = enabled_fleet()
    planned = {
        make_plan(cluster, [RemoveMachine(name, stop_copying=stops)]).fingerprint
        for stops in (False, True)
    }
    assert len(planned) == 2


_SWAPS: dict[str, tuple[Edit, Edit, Edit]] = {
    "machine": (
        RenameMachine("mx1", "mx0"), RenameMachine("mx2", "mx1"), RenameMachine("mx0", "mx2")
    ),
    "group": (RenameGroup("g1", "g0"), RenameGroup("g2", "g1"), RenameGroup("g0", "g2")),
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "edit"),
    [
        ("machine", RemoveMachine("mx1")),
        ("machine", put(machine("mx1"), log__level="debug")),
        ("machine", MoveMachine("mx1", "Main_Group")),
        ("machine", RenameMachine("mx1", "edge1")),
        ("machine", put(CLUSTER, log__level="debug")),
        ("group", RemoveGroup("g1")),
        ("group", put(group("g1"), log__level="debug")),
        ("group", RenameGroup("g1", "edge")),
        ("group", AddMachine("mx9", "g1")),
        ("group", MoveMachine("mx1", "g1")),
    ],
)
def test_the_fingerprint_tells_which_has_a_name(kind: str, edit: Edit) -> None:
    """They were created by one commit, and have nothing else by which to tell them apart."""
    homes = ("g1", "g2") if kind == "machine" else ("Main_Group", "Main_Group")
    made: list[Edit] = [AddGroup("g1"), AddGroup("g2")]
    made += [AddMachine("mx1", homes[0]), AddMachine("mx2", homes[0])]
    cluster = after(new_cluster("c1"), *made)
    fingerprint = make_plan(cluster, [edit]).fingerprint
    for each in _SWAPS[kind]:
        cluster = after(cluster, each)
    assert make_plan(cluster, [edit]).fingerprint != fingerprint
    for each in _SWAPS[kind]:
        cluster = after(cluster, each)
    assert make_plan(cluster, [edit]).fingerprint == fingerprint


def test_the_fingerprint_tells_what_was_created_again_by_its_name() -> None:
    cluster = after(new_cluster("c1"), AddGroup("g1"), AddMachine("mx1", "Main_Group"))
    edits = [put(machine("mx1"), log__level="debug"), put(group("g1"), log__level="debug")]
    plans = [make_plan(cluster, [each]).fingerprint for each in edits]
    cluster = after(cluster, RemoveMachine("mx1"), RemoveGroup("g1"))
    cluster = after(cluster, AddGroup("g1"), AddMachine("mx1", "Main_Group"))
    for edit, fingerprint in zip(edits, plans, strict=True):
        assert make_plan(cluster, [edit]).fingerprint != fingerprint
    first, again = new_cluster("c1"), new_cluster("c1", revision=3)
    for own in (put(CLUSTER, log__level="debug"), AddGroup("g1")):
        assert make_plan(first, [own]).fingerprint != make_plan(again, [own]).fingerprint


def test_the_fingerprint_tells_values_and_clusters_apart_where_no_machine_is_touched() -> None:
    """A cluster without machines: the level changes alone are what the operator saw."""

    def fingerprint(name: str, initial: int) -> str:
        edits = [put(LevelKey(Level.CLUSTER, name), retry__initial=initial)]
        return make_plan(new_cluster(name), edits).fingerprint

    assert fingerprint("corp", 90) == fingerprint("corp", 90)
    assert fingerprint("corp", 90) != fingerprint("corp", 91)
    edits = [AddGroup("branch")]
    assert (
        make_plan(new_cluster("corp"), edits).fingerprint
        != make_plan(new_cluster("other"), edits).fingerprint
    )


# -- refused -----------------------------------------------------------------------------------


def test_enabling_without_an_intake_address_names_every_machine_and_the_setting() -> None:
    plan = make_plan(empty_fleet(), [put(CLUSTER, enabled=True)])
    assert [(problem.machine, problem.setting) for problem in plan.problems] == [
        (name, "intake_address") for name in sorted(MACHINES)
    ]
    assert "enabled is true but there is no intake_address" in plan.problems[0].reason


def test_a_commit_that_is_invalid_on_one_machine_only_names_that_machine() -> None:
    cluster = after(enabled_fleet(), put(machine("mx4"), retry__maximum=60))
    plan = make_plan(cluster, [put(CLUSTER, retry__initial=120)])
    assert [(problem.machine, problem.setting) for problem in plan.problems] == [
        ("mx4", "retry.initial")
    ]


def test_taking_the_intake_address_away_where_it_is_needed_is_a_problem() -> None:
    plan = make_plan(enabled_fleet(), [UnsetValues(CLUSTER, ("intake_address",))])
    assert {problem.machine for problem in plan.problems} == set(MACHINES)


def test_a_new_machine_is_judged_with_what_it_inherits() -> None:
    cluster = after(new_cluster("c1"), AddGroup("g1"))
    good = make_plan(cluster, [AddMachine("mx1", "g1")])
    assert (good.problems, good.machines, good.start_copying) == ((), (), ())
    edits: list[Edit] = [
        put(CLUSTER, enabled=True, intake_address="j@intake.example"),
        AddMachine("mx1", "g1"),
    ]
    plan = make_plan(cluster, edits)
    assert plan.start_copying == ("mx1",)
    assert {change.setting for change in plan.machines} == {"enabled", "intake_address"}
    assert plan.machines[0].origin == Origin(CLUSTER.level, "c1", plan.after.revision)


def test_a_levels_own_contradiction_is_refused_even_where_no_machine_shows_it() -> None:
    overrides = [put(machine(name), retry__initial=60) for name in MACHINES]
    cluster = after(empty_fleet(), *overrides)
    plan = make_plan(cluster, [put(CLUSTER, retry__initial=7_200, retry__maximum=3_600)])
    assert [(problem.machine, problem.setting) for problem in plan.problems] == [
        ("", "retry.initial")
    ]
    assert plan.problems[0].reason.startswith("cluster c1: retry.initial")


def test_an_empty_cluster_can_not_be_enabled_without_an_intake_anywhere() -> None:
    cluster = after(new_cluster("c1"), AddGroup("g1"))
    refused = make_plan(cluster, [put(CLUSTER, enabled=True)])
    assert [problem.setting for problem in refused.problems] == ["intake_address"]
    with_intake = after(cluster, put(group("g1"), intake_address="j@intake.example"))
    assert make_plan(with_intake, [put(CLUSTER, enabled=True)]).problems == ()


def test_an_empty_group_without_intake_does_not_stand_in_the_way_of_the_others() -> None:
    cluster = after(
        new_cluster("c1"),
        AddGroup("g1"),
        AddMachine("mx1", "g1"),
        put(group("g1"), intake_address="j@intake.example"),
    )
    assert make_plan(cluster, [put(CLUSTER, enabled=True)]).problems == ()
    refused = make_plan(cluster, [put(group("Main_Group"), enabled=True)])
    assert refused.problems[0].reason.startswith("group Main_Group: enabled is true")


def test_an_old_fault_elsewhere_does_not_refuse_a_commit_that_does_not_touch_it() -> None:
    broken = after(empty_fleet(), put(machine("mx1"), enabled=True))
    assert make_plan(broken, [put(machine("mx2"), log__level="debug")]).problems == ()
    assert make_plan(broken, [put(machine("mx1"), log__level="debug")]).problems != ()


# -- nothing, undo, sharing --------------------------------------------------------------------


@given(fleets())
def test_a_plan_that_changes_nothing_says_so(cluster: Cluster) -> None:
    edits = [put(key, **cluster.stored_at(key).settings) for key in cluster.level_keys()]
    plan = make_plan(cluster, edits)
    assert plan.changes_nothing
    assert (plan.levels, plan.machines, plan.problems) == ((), (), ())
    assert plan.after.revision == plan.base_revision == cluster.revision


@given(fleets(), plain_edit_lists, plain_edit_lists, edit_lists)
def test_undoing_commits_newest_first_gives_what_every_level_held(
    cluster: Cluster, first: list[Edit], second: list[Edit], third: list[Edit]
) -> None:
    now = cluster
    history: list[Step] = []
    for edits in (first, second, third):
        edited = apply_edits(now, edits)
        history.insert(0, (edited.level_changes, edited.topology))
        now = edited.cluster
    back = after(now, undone(now, cluster.revision, history))
    for key in cluster.level_keys():
        assert back.stored_at(key).settings == cluster.stored_at(key).settings
    for key in set(back.level_keys()) - set(cluster.level_keys()):
        assert len(back.stored_at(key).settings) == 0


@given(fleets(), plain_edit_lists)
def test_rolling_back_puts_in_force_what_was(cluster: Cluster, edits: list[Edit]) -> None:
    plan = make_plan(cluster, edits)
    assume(not plan.changes_nothing)
    undo = undone(plan.after, cluster.revision, [(plan.levels, plan.topology)])
    back = make_plan(plan.after, [undo])
    assert {(c.machine, c.setting, repr(c.before), repr(c.after)) for c in back.machines} == {
        (c.machine, c.setting, repr(c.after), repr(c.before)) for c in plan.machines
    }
    assert back.stop_copying == plan.start_copying
    assert back.start_copying == plan.stop_copying


def test_undo_leaves_out_levels_that_are_gone_and_levels_that_were_not_changed() -> None:
    cluster = empty_fleet()
    changes = apply_edits(
        cluster, [put(machine("mx1"), log__level="debug"), put(machine("mx2"), log__level="debug")]
    ).level_changes
    assert set(undone(new_cluster("c1"), 1, [(changes, ())]).levels) == set()
    assert set(undone(cluster, 1, [(changes, ())]).levels) == {machine("mx1"), machine("mx2")}


@pytest.mark.parametrize("machines", [10, 400])
def test_machines_with_equal_inputs_share_one_resolve(machines: int) -> None:
    """The work of a cluster-wide change grows with different inputs, not with machines."""
    edits: list[Edit] = [AddMachine(f"m{n}", f"g{n % 2 + 1}") for n in range(machines)]
    edits += [put(machine("m0"), retry__initial=30), put(machine("m2"), retry__initial=30)]
    cluster = after(enabled_fleet(), *edits)
    edited = apply_edits(cluster, [put(CLUSTER, enabled=False)])
    impact = impact_of(cluster, edited.cluster, edited.level_changes)
    assert len(impact.machines) == machines + len(MACHINES)
    assert impact.resolves == len(["g1", "g1 with retry", "g2", "Main_Group"])


def test_machines_that_no_changed_level_reaches_are_not_resolved() -> None:
    edited = apply_edits(enabled_fleet(), [put(group("g1"), enabled=False)])
    impact = impact_of(enabled_fleet(), edited.cluster, edited.level_changes)
    assert impact.resolves == 1


def test_a_value_that_many_machines_share_is_written_down_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A list of policies for ten thousand machines must not stop the manager for half a minute."""
    written: list[Value | None] = []

    def counted(value: Value | None) -> Plain:
        written.append(value)
        return plain(value)

    def counted_to_wire(name: str, value: Value | None) -> settings_pb2.Settings:
        written.append(value)
        return value_to_wire(name, value)

    monkeypatch.setattr(plan_module, "plain", counted)
    monkeypatch.setattr(wire, "value_to_wire", counted_to_wire)
    policy = Policy("p", PolicyAction.NO_SCAN, recipients=("a.example",))
    fleet = after(empty_fleet(), *(AddMachine(f"m{number}", "g1") for number in range(50)))
    plan = make_plan(fleet, [put(CLUSTER, policies=(policy,))])
    assert len(plan.machines) >= 50
    message = wire.plan_to_wire(plan)
    assert len(written) < 10
    sent = {each.machine: settings_from_wire(each.after)["policies"] for each in message.machines}
    assert sent == {each.machine: each.after for each in plan.machines}
