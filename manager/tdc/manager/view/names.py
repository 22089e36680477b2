"""PURE. Which cluster, group or machine a name means, and the sentence if none or several fit."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from tdc.manager.levels.fleet import Cluster, Group, Machine

Entry = TypeVar("Entry", Group, Machine)

MachineKey = tuple[str, str]
"""A machine of the installation: the name of its cluster, and its own."""

SAY_WHICH = "name one (tdc: --cluster NAME)"
NO_CLUSTER = (
    "there are no clusters, or none in your reach (tdc: `tdc whoami`); an administrator creates "
    "one with `tdc cluster create NAME`"
)
LONGEST_SHOWN = 80
"""Characters of an unknown name that are repeated."""


_CREATE = {
    "cluster": "create one with `tdc cluster create NAME`",
    "group": "create one with `tdc group create NAME`",
    "machine": "create one with `tdc machine create NAME --group GROUP`",
}


class UnknownName(LookupError):
    """No cluster, group or machine has that name; the text gives the nearest that exist."""


class AmbiguousName(LookupError):
    """The name exists in several clusters, and the request names no cluster."""


def find_cluster(clusters: Mapping[str, Cluster], name: str) -> Cluster:
    """Find the cluster called `name`; raises UnknownName.

    Without a name, the only cluster there is; raises AmbiguousName if there are several.
    """
    if name:
        if name in clusters:
            return clusters[name]
        if had := once_called(clusters, name):
            raise UnknownName(cluster_is_called(name, had))
        raise UnknownName(_unknown("cluster", name, clusters))
    if not clusters:
        raise UnknownName(NO_CLUSTER)
    if len(clusters) > 1:
        raise AmbiguousName(f"there are clusters {_listed(clusters)}: {SAY_WHICH}")
    return next(iter(clusters.values()))


def find_group(
    clusters: Mapping[str, Cluster], name: str, cluster: str = ""
) -> tuple[Cluster, Group]:
    """Find the group called `name` and its cluster; raises UnknownName, AmbiguousName."""
    return _find(clusters, "group", name, cluster, lambda each: each.groups)


def find_machine(
    clusters: Mapping[str, Cluster], name: str, cluster: str = ""
) -> tuple[Cluster, Machine]:
    """Find the machine called `name` and its cluster; raises UnknownName, AmbiguousName."""
    return _find(clusters, "machine", name, cluster, lambda each: each.machines)


def was_deleted(cluster: Cluster) -> str:
    """Say that a cluster of this name was deleted, and what is left of it."""
    return (
        f"cluster {cluster.name!r} was deleted by revision {cluster.revision}; what it was is in "
        f"its history (tdc: tdc commit history --cluster {cluster.name}), and `tdc cluster create "
        f"{cluster.name}` makes a new one"
    )


def once_called(clusters: Mapping[str, Cluster], name: str) -> list[Cluster]:
    """Those of these clusters that had a name, by the names that they have."""
    return sorted(
        (each for each in clusters.values() if name in each.former), key=lambda each: each.name
    )


def cluster_is_called(name: str, had: Sequence[Cluster]) -> str:
    """Say that clusters which had a name have others now."""
    now, first = _listed(each.name for each in had), had[0].name
    they = f"it is called {now}" if len(had) == 1 else f"those that were are called {now}"
    return (
        f"no cluster is called {name!r} any more: {they} now (`tdc commit history --cluster "
        f"{first}` says since when)"
    )


def find_history(clusters: Mapping[str, Cluster], name: str) -> Cluster:
    """Find a cluster, by a name that it had too; raises UnknownName, AmbiguousName."""
    had = once_called(clusters, name) if name not in clusters else []
    if len(had) > 1:
        raise AmbiguousName(
            f"clusters {_listed(each.name for each in had)} were called {name!r}: {SAY_WHICH}"
        )
    return had[0] if had else find_cluster(clusters, name)


def is_called(name: str, machine: Machine, cluster: str) -> str:
    """Say that the machine which had a name has another one now."""
    return (
        f"no machine is called {name!r} any more: that machine is called {machine.name!r} now "
        f"(cluster {cluster})"
    )


def _find(
    clusters: Mapping[str, Cluster],
    kind: str,
    name: str,
    cluster: str,
    entries: Callable[[Cluster], Mapping[str, Entry]],
) -> tuple[Cluster, Entry]:
    if not clusters:
        raise UnknownName(NO_CLUSTER)
    searched = [find_cluster(clusters, cluster)] if cluster else list(clusters.values())
    found = [(each, entries(each)[name]) for each in searched if name in entries(each)]
    if len(found) == 1:
        return found[0]
    if found:
        homes = _listed(each.name for each, _ in found)
        raise AmbiguousName(f"{kind} {name!r} is in clusters {homes}: {SAY_WHICH}")
    known = {each_name for each in searched for each_name in entries(each)}
    raise UnknownName(_unknown(kind, name, known) + (f" (cluster {cluster})" if cluster else ""))


def _unknown(kind: str, name: str, known: Iterable[str]) -> str:
    name = name[:LONGEST_SHOWN]  # it comes from a request, and goes into a status
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3)
    if near:
        return f"unknown {kind} {name!r}; did you mean {', '.join(near)}?"
    if not names:
        return (
            f"unknown {kind} {name!r}; there are no {kind}s, or none in your reach; {_CREATE[kind]}"
        )
    return f"unknown {kind} {name!r}; existing {kind}s: {_listed(names)}"


def _listed(names: Iterable[str], most: int = 10) -> str:
    ordered = sorted(names)
    more = f" and {len(ordered) - most} more" if len(ordered) > most else ""
    return ", ".join(ordered[:most]) + more
