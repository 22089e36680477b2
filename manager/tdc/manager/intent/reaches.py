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
    """A reach by the names of now, of one as it is kept.

    What is not there has a name that nothing can have.
    """

    def name(place: str) -> str:
        cluster = view.cluster_at(place)
        if cluster is None:
            return _absent(place)
        return _absent(cluster.name) if cluster.deleted else cluster.name

    def group_name(place: str, slot: str) -> GroupKey:
        cluster = view.cluster_at(place)
        group = group_at(cluster, slot) if cluster is not None else None
        return name(place), group.name if group is not None else _absent(slot)

    return reach.by(name, group_name)


def _absent(was: str) -> str:
    return f"{was} (not there)"


def _named(name: str) -> str:
    if not name:
        raise UnknownName("a reach names its clusters and groups; nothing was changed")
    return name
