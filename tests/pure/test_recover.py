"""What machines run, given back to a store that lost it."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st
from tdc.manager.levels.changes import AddMachine, Edit, MoveMachine, SetValues, UnsetValues
from tdc.manager.levels.edit import apply_edits
from tdc.manager.levels.fleet import Cluster, LevelKey, new_cluster
from tdc.manager.levels.recover import recovered
from tdc.manager.levels.resolve import resolve
from tdc.shared.settings.values import Level, Settings, Value

from tests.examples import examples
from tests.pure.dumb_levels import Dumb
from tests.stage.clusters import (
    CLUSTER,
    GROUPS,
    MACHINES,
    after,
    edit_lists,
    empty_fleet,
    group,
    machine,
    put,
)

moves: st.SearchStrategy[list[Edit]] = st.lists(
    st.builds(MoveMachine, st.sampled_from(sorted(MACHINES)), st.sampled_from(GROUPS)), max_size=2
)


def run_on(cluster: Cluster) -> dict[str, dict[str, Value | None]]:
    """What its machines run, by the dumb model of levels."""
    return {name: Dumb.of(cluster).effective(name) for name in cluster.machines}


@given(edit_lists, edit_lists, moves, st.sets(st.sampled_from(sorted(MACHINES))))
@examples(400)
def test_each_machine_that_answered_has_in_force_what_it_runs(
    kept: list[Edit], lost: list[Edit], moved: list[Edit], silent: set[str]
) -> None:
    """Whatever was committed since the backup, the disable rule and moves included."""
    store = after(empty_fleet(), *kept)
    fleet = after(empty_fleet(), *kept, *[each for each in lost if each not in kept], *moved)
    runs = {name: each for name, each in run_on(fleet).items() if name not in silent}
    runs = {name: each for name, each in runs.items() if name in store.machines}
    restored = apply_edits(store, recovered(store, runs)).cluster
    for name, each in runs.items():
        assert Dumb.of(restored).effective(name) == each
        assert resolve(restored, name).values() == each
    assert recovered(restored, runs) == (), "and then there is nothing left to do"


SMALL = "retry.initial"
LEVELS = [CLUSTER, group("g1"), group("g2"), *map(machine, ("mx1", "mx2", "mx3"))]
values = st.sampled_from([None, 1, 2])


def small(chosen: tuple[Value | None, ...]) -> Cluster:
    """One setting at a cluster, two groups and three machines."""
    cluster = empty_fleet()
    for key, value in zip(LEVELS, chosen, strict=True):
        if value is not None:
            cluster = after(cluster, SetValues(key, Settings.of({SMALL: value})))
    return cluster


@given(st.tuples(*[values] * 6), st.tuples(*[values] * 6))
@examples(60)
def test_no_fewer_changes_would_do(
    now: tuple[Value | None, ...], then: tuple[Value | None, ...]
) -> None:
    runs = {name: each for name, each in run_on(small(then)).items() if machine(name) in LEVELS}
    edits = recovered(small(now), runs)
    made = sum(
        len(each.settings) if isinstance(each, SetValues) else len(each.names) for each in edits
    )
    wanted = {name: each[SMALL] for name, each in runs.items()}

    def gives(chosen: tuple[Value | None, ...]) -> dict[str, Value | None]:
        at = dict(zip(LEVELS, chosen, strict=True))
        home = {name: group(MACHINES[name]) for name in wanted}
        return {
            name: next(
                (
                    value
                    for key in (machine(name), home[name], CLUSTER)
                    if (value := at[key]) is not None
                ),
                60,
            )
            for name in wanted
        }

    least = min(
        sum(one != other for one, other in zip(now, chosen, strict=True))
        for chosen in itertools.product([None, 1, 2, 60], repeat=6)
        if gives(chosen) == wanted
    )
    assert made == least


def test_a_value_that_all_run_goes_where_all_inherit_it() -> None:
    store = empty_fleet()
    to_all = after(store, put(CLUSTER, retry__initial=7))
    assert recovered(store, run_on(to_all)) == (put(CLUSTER, retry__initial=7),)
    to_group = after(store, put(group("g1"), retry__initial=7))
    assert recovered(store, run_on(to_group)) == (put(group("g1"), retry__initial=7),)
    to_one = after(store, put(machine("mx1"), retry__initial=7))
    assert recovered(store, run_on(to_one)) == (put(machine("mx1"), retry__initial=7),)


def test_the_last_commits_exceptions_are_kept_at_machines() -> None:
    """One machine of five was off during the commit: it is the exception, not the four."""
    store = after(empty_fleet(), put(CLUSTER, retry__initial=9))
    runs = run_on(after(store, put(CLUSTER, retry__initial=7))) | {
        "mx1": Dumb.of(store).effective("mx1")
    }
    assert recovered(store, runs) == (
        put(machine("mx1"), retry__initial=9),
        put(CLUSTER, retry__initial=7),
    )


def test_a_disabled_machine_disables_nothing_else_a_second_time() -> None:
    """Its cluster was enabled again since, so the rule must not act on what is given back."""
    store = after(empty_fleet(), put(CLUSTER, enabled=True, intake_address="j@intake.example"))
    fleet = after(store, put(machine("mx1"), enabled=False), put(CLUSTER, enabled=True))
    fleet = after(fleet, put(group("g1"), enabled=True))
    edits = recovered(store, run_on(fleet))
    assert edits[0] == put(machine("mx1"), enabled=False)
    restored = apply_edits(store, edits).cluster
    assert run_on(restored) == run_on(fleet)
    assert restored.stored.settings["enabled"] is True


def test_that_there_is_no_value_is_reached_by_unsetting_above() -> None:
    store = after(empty_fleet(), put(CLUSTER, report_from="a@corp.example"))
    edits = recovered(store, run_on(empty_fleet()))
    assert edits == (UnsetValues(CLUSTER, ("report_from",)),)
    one = run_on(store) | {"mx1": Dumb.of(empty_fleet()).effective("mx1")}
    assert run_on(apply_edits(store, recovered(store, one)).cluster) == one


def test_thousands_of_machines_with_values_of_their_own_are_given_them_back() -> None:
    cluster = new_cluster("c1")
    adds = [AddMachine(f"mx{each}", "Main_Group") for each in range(2_000)]
    cluster = apply_edits(cluster, adds).cluster
    default = Dumb.of(empty_fleet()).effective("mx1")
    runs = {
        name: default | {"retry.initial": 1 + each, "enabled": each > 5}
        for each, name in enumerate(cluster.machines)
    }
    edits = recovered(cluster, runs)
    assert len(edits) > 1_900
    home = LevelKey(Level.GROUP, "Main_Group")
    assert SetValues(home, Settings.of({"enabled": True})) in edits
    assert resolve(apply_edits(cluster, edits).cluster, "mx9").values() == runs["mx9"]
