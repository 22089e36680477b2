"""PURE. Roles, and how far they reach: the whole installation, or named clusters and groups.

The policy
----------
Who reaches a cluster reaches all of it. Who reaches a group reaches that group and its machines; of
the cluster above he sees what is in force on them, and changes nothing. So a machine that is moved
goes with its new group.

A reach is asked for, held against and shown by names. It is *kept* by what they never lose, the
place of a cluster and the slot of a group (`levels/identities.py`). So what is renamed stays in
reach, and another that gets its old name does not come into it. Users and API tokens have it as it
is kept; actors have it by the names of the moment.

Reaches only ever narrow: an API token reaches what its own reach *and* its user's have in common.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum

GroupKey = tuple[str, str]
"""A group of the installation: the name of its cluster, and its own."""


class Role(IntEnum):
    """What an operator is trusted with; each role includes those below it."""

    HELP_DESK = 1
    """Status and delivery: how machines do, and nothing of how they are set."""
    READ_ONLY = 2
    """Every read, and plans and drafts, which change nothing."""
    OPERATOR = 3
    """Commits, suspensions, work on queues."""
    ADMINISTRATOR = 4
    """Clusters, people, and the identities of machines."""

    def __str__(self) -> str:
        return self.name.lower().replace("_", " ")


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a role reaches: everywhere, or as far as these clusters and groups."""

    everywhere: bool = False
    clusters: frozenset[str] = frozenset()
    groups: frozenset[GroupKey] = frozenset()
    gone: frozenset[GroupKey] = frozenset()
    """What it was given for besides and is not there, for who reads it; of a cluster, no group."""

    @property
    def is_nothing(self) -> bool:
        """Whether nothing at all is in reach, which is not to be mistaken for everything."""
        return not (self.everywhere or self.clusters or self.groups)

    def has_cluster(self, cluster: str) -> bool:
        """Whether all of a cluster is in reach, its own settings too."""
        return self.everywhere or cluster in self.clusters

    def has_group(self, cluster: str, group: str) -> bool:
        """Whether a group is in reach, with its machines."""
        return self.has_cluster(cluster) or (cluster, group) in self.groups

    def touches(self, cluster: str) -> bool:
        """Whether anything of a cluster is in reach."""
        return self.has_cluster(cluster) or any(home == cluster for home, _ in self.groups)

    def groups_in(self, cluster: str) -> frozenset[str]:
        """The groups of a cluster that are named here; of one that is in reach they say nothing."""
        return frozenset(group for home, group in self.groups if home == cluster)

    def by(self, cluster: Callable[[str], str], group: Callable[[str, str], GroupKey]) -> Reach:
        """The same with other words for its clusters and groups."""
        if self.everywhere:
            return self
        clusters = frozenset(map(cluster, self.clusters))
        return Reach(clusters=clusters, groups=frozenset(group(*key) for key in self.groups))

    def __and__(self, other: Reach) -> Reach:
        """What both reach."""
        if self.everywhere or other.everywhere:
            return other if self.everywhere else self
        return Reach(
            clusters=self.clusters & other.clusters,
            groups=frozenset(
                key
                for key in self.groups | other.groups
                if self.has_group(*key) and other.has_group(*key)
            ),
        )

    def __le__(self, other: Reach) -> bool:
        """Whether all that this reaches is in the other's reach too."""
        if self.everywhere or other.everywhere:
            return other.everywhere
        return self.clusters <= other.clusters and all(other.has_group(*key) for key in self.groups)

    def __str__(self) -> str:
        if self.everywhere:
            return "the whole installation"
        named = [*(f"cluster {name}" for name in sorted(self.clusters))]
        named += [f"group {group} of cluster {home}" for home, group in sorted(self.groups)]
        for home, group in sorted(self.gone):
            what = f"group {group} of cluster {home}" if group else f"cluster {home}"
            named.append(f"{what} (not there)")
        return ", ".join(named) or "nothing"


EVERYWHERE = Reach(everywhere=True)
"""The whole installation."""


def reach_of(clusters: Iterable[str], groups: Iterable[GroupKey]) -> Reach:
    """The reach of what is named; the whole installation if nothing is."""
    named = Reach(clusters=frozenset(clusters), groups=frozenset(groups))
    return named if named.clusters or named.groups else EVERYWHERE
