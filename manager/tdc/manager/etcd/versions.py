"""PURE. What is known to be wrong with versions of etcd, from its changelogs.

Only what can cost a store data or let somebody in: other faults are no reason to stop.
A release that the table does not name at all is too new to be in it, and taken for good.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

Version = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class VersionFault:
    """A fault: by release, the first version that does not have it. `alone`: of one member too.

    A release of which all versions have it is not in `fixed`, if it is older than one that is.
    """

    text: str
    fixed: tuple[Version, ...]
    alone: bool = True
    since: Version = (0, 0, 0)

    def is_in(self, version: Version) -> bool:
        """Whether a version has it."""
        if version < self.since:
            return False
        of_release = [each for each in self.fixed if each[:2] == version[:2]]
        return version < of_release[0] if of_release else version < max(self.fixed)


LOSES_WRITES = VersionFault(
    "a member that is alone can lose writes that it acknowledged, in a crash",
    ((3, 4, 21), (3, 5, 5)),
)
DATA_LOSS = (
    VersionFault(
        "members can come to hold different data after a crash under load",
        ((3, 5, 3),),
        since=(3, 5, 0),
    ),
    LOSES_WRITES,
    VersionFault(
        "members can come to hold different revisions if one crashes while it is defragmented",
        ((3, 5, 6),),
        since=(3, 5, 0),
        alone=False,
    ),
    VersionFault(
        "a member that is defragmented while it gets a snapshot can spoil its data",
        ((3, 4, 38), (3, 5, 23), (3, 6, 5)),
        alone=False,
    ),
    VersionFault(
        "a member that was frozen can answer a read with old data",
        ((3, 4, 42), (3, 5, 28), (3, 6, 9)),
        alone=False,
    ),
)
"""Worst first."""
ACCESS = VersionFault("its access control has known faults", ((3, 5, 33), (3, 6, 14)))


def parsed(text: str) -> Version | None:
    """The version that a text begins with; None if it does not begin with one."""
    found = re.match(r"(\d+)\.(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2]), int(found[3])) if found is not None else None


def data_loss(version: Version, members: int) -> tuple[VersionFault, ...]:
    """The faults of a version that can cost a store of so many members data."""
    return tuple(each for each in DATA_LOSS if each.is_in(version) and (each.alone or members > 1))
