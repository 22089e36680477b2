"""Random edits of settings, groups and machines that can be applied to a cluster."""

from __future__ import annotations

from hypothesis import strategies as st
from tdc.manager.levels.changes import (
    AddGroup,
    AddMachine,
    CopyValues,
    DeleteValues,
    Edit,
    MoveMachine,
    RemoveGroup,
    RemoveMachine,
    RenameGroup,
    RenameMachine,
    ReplaceValues,
    UnsetValues,
)
from tdc.manager.levels.fleet import Cluster

from tests.pure.dumb_levels import Dumb
from tests.stage.clusters import CLUSTER, group, machine, put, some_settings

GROUP_NAMES = ("Main_Group", "g1", "g2", "g3", "g4")
MACHINE_NAMES = ("mx1", "mx2", "mx3", "mx4", "mx5", "mx6")


def valid_edits(cluster: Cluster, *, renaming: bool = False) -> st.SearchStrategy[list[Edit]]:
    """Edits that can be applied to this cluster, one after the other.

    With `renaming` machines are renamed too: then a name may be another machine's afterwards.
    """
    return edits_for(Dumb.of(cluster), renaming=renaming)


@st.composite
def edits_for(draw: st.DrawFn, model: Dumb, *, renaming: bool = False) -> list[Edit]:
    """Edits that can be applied to the cluster of a model, one after the other."""
    edits = list[Edit]()
    taken = set(model.levels)
    for _ in range(draw(st.integers(1, 5))):
        groups = sorted(name for level, name in model.levels if level == "group")
        machines = sorted(model.group_of)
        free_groups = [name for name in GROUP_NAMES if ("group", name) not in taken]
        free_machines = [name for name in MACHINE_NAMES if ("machine", name) not in taken]
        keys = [CLUSTER, *map(group, groups), *map(machine, machines)]
        options: list[st.SearchStrategy[Edit]] = [
            st.builds(lambda key, values: put(key, **values), st.sampled_from(keys), _values),
            st.builds(UnsetValues, st.sampled_from(keys), st.just(("enabled", "log.level"))),
        ]
        options.append(st.builds(DeleteValues, st.sampled_from(keys)))
        options.append(st.builds(ReplaceValues, st.sampled_from(keys), some_settings))
        if len(keys) > 1:
            pairs = st.permutations(keys).map(lambda keys: keys[:2])
            options.append(
                st.builds(
                    lambda pair, move: CopyValues(pair[0], pair[1], (), move), pairs, st.booleans()
                )
            )
        if free_groups:
            options.append(st.sampled_from([AddGroup(name) for name in free_groups]))
            options.append(
                st.builds(RenameGroup, st.sampled_from(groups), st.sampled_from(free_groups))
            )
        if free_machines:
            options.append(
                st.builds(AddMachine, st.sampled_from(free_machines), st.sampled_from(groups))
            )
        if machines:
            options.append(
                st.builds(MoveMachine, st.sampled_from(machines), st.sampled_from(groups))
            )
            if renaming and free_machines:
                old, new = st.sampled_from(machines), st.sampled_from(free_machines)
                options.append(st.builds(RenameMachine, old, new))
            options.append(st.builds(RemoveMachine, st.sampled_from(machines), st.booleans()))
        if len(groups) > 1:
            options.append(st.permutations(groups).map(lambda names: RemoveGroup(*names[:2])))
        edits.append(draw(st.one_of(options)))
        model = model.after(edits[-1:])
        taken |= set(model.levels)
    return edits


_values = some_settings.map(
    lambda settings: {name.replace(".", "__"): value for name, value in settings.items()}
)
