"""Random clusters and edits, small enough that levels, names and values collide all the time."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import strategies as st
from tdc.manager.levels.changes import AddGroup, AddMachine, Edit, SetValues, UnsetValues
from tdc.manager.levels.edit import apply_edits
from tdc.manager.levels.fleet import Cluster, LevelKey, new_cluster
from tdc.shared.settings.values import NONE, Level, Policy, PolicyAction, Settings, Value

CLUSTER = LevelKey(Level.CLUSTER, "c1")
GROUPS = ("Main_Group", "g1", "g2")
MACHINES = {"mx1": "g1", "mx2": "g1", "mx3": "g2", "mx4": "g2", "mx5": "Main_Group"}

_VALUES: dict[str, list[Value]] = {
    "enabled": [True, False],
    "intake_address": ["journal@intake.example", "other@intake.example", NONE],
    "incoming_domains": [(), ("corp.example",), ("corp.example", "intake.example")],
    "policies": [
        (),
        (Policy("p1", PolicyAction.NO_SCAN, recipients=("ceo@corp.example",)),),
        (Policy("p1", PolicyAction.NO_SCAN),),
    ],
    "retry.initial": [60, 7_200],
    "log.level": ["info", "debug"],
}


def machine(name: str) -> LevelKey:
    return LevelKey(Level.MACHINE, name)


def group(name: str) -> LevelKey:
    return LevelKey(Level.GROUP, name)


def put(level: LevelKey, **values: Value) -> SetValues:
    return SetValues(level, Settings.of({name.replace("__", "."): v for name, v in values.items()}))


def after(cluster: Cluster, *edits: Edit) -> Cluster:
    return apply_edits(cluster, edits).cluster


def empty_fleet() -> Cluster:
    """c1 with Main_Group, g1, g2 and five machines, nothing set."""
    adds: list[Edit] = [AddGroup("g1"), AddGroup("g2")]
    adds += [AddMachine(name, its_group) for name, its_group in MACHINES.items()]
    return after(new_cluster("c1"), *adds)


def enabled_fleet() -> Cluster:
    """The same with an intake, and enabled, at the cluster."""
    return after(empty_fleet(), put(CLUSTER, enabled=True, intake_address="journal@intake.example"))


levels = st.sampled_from([CLUSTER, *map(group, GROUPS), *map(machine, MACHINES)])
machine_names = st.sampled_from(sorted(MACHINES))
group_names = st.sampled_from(GROUPS)
some_settings = st.fixed_dictionaries(
    {}, optional={name: st.sampled_from(values) for name, values in _VALUES.items()}
).map(Settings.of)
setting_names = st.sampled_from(sorted(_VALUES))
sets = st.builds(SetValues, levels, some_settings)
unsets = st.builds(UnsetValues, levels, st.lists(setting_names, max_size=3).map(tuple))
adds = st.sampled_from([AddGroup("g3"), AddMachine("mx9", "g1")])


def _without_second_adds(edits: Iterable[Edit]) -> list[Edit]:
    seen: list[Edit] = []
    for edit in edits:
        if not (isinstance(edit, AddGroup | AddMachine) and edit in seen):
            seen.append(edit)
    return seen


some_edits: st.SearchStrategy[Edit] = st.one_of(sets, sets, unsets, adds)
edit_lists = st.lists(some_edits, max_size=6).map(_without_second_adds)
plain_edit_lists = st.lists(st.one_of(sets, unsets), max_size=5)


@st.composite
def fleets(draw: st.DrawFn) -> Cluster:
    """A cluster that has been through a few commits, so that its set_by revisions differ."""
    cluster = empty_fleet()
    for edits in draw(st.lists(plain_edit_lists, max_size=3)):
        cluster = after(cluster, *edits)
    return cluster
