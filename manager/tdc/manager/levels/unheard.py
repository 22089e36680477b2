"""PURE. What a plan that removes machines says of managers that may not hear of it.

A removal ends a machine's stream and denies its certificate at every manager that follows the
store. One that is cut off from etcd serves the machine on until it is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tdc.manager.levels.changes import TopologyChange
from tdc.manager.levels.impact import Problem


def unheard_removal(
    topology: Iterable[TopologyChange], unheard: Sequence[str]
) -> tuple[Problem, ...]:
    """Warn once for each of the managers that are `unheard`: their names, and why, in words."""
    if not any(change.removed for change in topology):
        return ()
    return tuple(
        Problem(
            "",
            "",
            f"{each}. A machine that is removed and connected there goes on there, and its "
            "certificate stays good there, until that manager hears of this commit. Stop that "
            "manager if that must not be",
        )
        for each in unheard
    )
