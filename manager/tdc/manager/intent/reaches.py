"""A reach by names, as people ask for it, and as it is kept: by what nothing loses with its name.

Promise: a reach goes along with what is renamed, and never to another that gets a name which that
left. So nothing is kept of a name that means nothing now.
"""

from __future__ import annotations

from tdc.manager.levels.identities import group_at, slot_of
from tdc.manager.people.reach import GroupKey, Reach
from tdc.manager.view.fleet import FleetView
from tdc.manager.view.names import UnknownName


def kept(view: FleetView, reach: Reach) -> Reach:
    """A reach as it is kept, of one by names; raises UnknownName."""

    def place(name: str) -> str:
        return view.find_cluster(_named(name)).home

    def slot(home: str, name: str) -> GroupKey:
        cluster, group = view.find_group(_named(name), _named(home))
        return cluster.home, slot_of(group)

    return reach.by(place, slot)


def of_now(view: FleetView, reach: Reach) -> Reach:
    """A reach by the names of now, of one as it is kept; what is not there is `gone`."""
    if reach.everywhere:
        return reach
    clusters, groups, gone = set[str](), set[GroupKey](), set[GroupKey]()
    for place in reach.clusters:
        home = view.cluster_at(place)
        if home is not None and not home.deleted:
            clusters.add(home.name)
        else:
            gone.add((home.name if home is not None else place, ""))
    for place, slot in reach.groups:
        home = view.cluster_at(place)
        group = group_at(home, slot) if home is not None else None
        if home is not None and group is not None:
            groups.add((home.name, group.name))
        else:
            gone.add((home.name if home is not None else place, slot))
    return Reach(clusters=frozenset(clusters), groups=frozenset(groups), gone=frozenset(gone))


def _named(name: str) -> str:
    if not name:
        raise UnknownName("a reach names its clusters and groups; nothing was changed")
    return name
