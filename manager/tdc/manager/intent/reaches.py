"""A reach as people ask for it, by names, and as it is kept, by what a cluster never loses.

Promise: a reach goes along with a cluster that is renamed, and never to another that gets a name
which it left. So nothing is kept of a name that means nothing now.
"""

from __future__ import annotations

from functools import partial

from tdc.manager.people.reach import Reach
from tdc.manager.view.fleet import FleetView
from tdc.manager.view.names import UnknownName


def kept(view: FleetView, reach: Reach) -> Reach:
    """A reach as it is kept, of one by names; raises UnknownName."""
    for home, group in reach.groups:
        view.find_group(group, _named(home))
    return reach.by(lambda name: view.find_cluster(_named(name)).home)


def of_now(view: FleetView, reach: Reach) -> Reach:
    """A reach by the names of now, of one as it is kept.

    What is not there has a name that no cluster can have.
    """
    return reach.by(partial(_name_at, view))


def _name_at(view: FleetView, place: str) -> str:
    return view.found_at(place) or f"{place} (not there)"


def _named(cluster: str) -> str:
    if not cluster:
        raise UnknownName("a reach names its clusters; nothing was changed")
    return cluster
