"""What the agent of a removed machine is told, as trailing metadata of a denied call, and back.

A manager of before `REMOVED_BY` tells only what the agent is to do.
"""

from __future__ import annotations

from collections.abc import Iterable

from tdc.shared.sync.values import Removed

REMOVED = "tdc-removed"
"""What it does from now on."""
KEEP_RUNNING, STOP_COPYING = "keep-running", "stop-copying"
REMOVED_BY = "tdc-removed-by"
"""The revision that removed the machine, a blank, and the id of the store that it counts in."""

Metadata = tuple[tuple[str, str], ...]


def removed_to_metadata(removed: Removed | None) -> Metadata:
    """The metadata that tells it; none for a machine that was not removed."""
    if removed is None:
        return ()
    does = STOP_COPYING if removed.stops_copying else KEEP_RUNNING
    return (REMOVED, does), (REMOVED_BY, f"{removed.revision} {removed.store_id}")


def removed_from_metadata(metadata: Iterable[tuple[str, str | bytes]]) -> Removed | None:
    """What was told; None if nothing was."""
    told = {key: value for key, value in metadata if isinstance(value, str)}
    if REMOVED not in told:
        return None
    revision, _, store_id = told.get(REMOVED_BY, "").partition(" ")
    known = revision.isascii() and revision.isdigit() and len(revision) <= 16
    by = (store_id, int(revision)) if known else ("", 0)
    return Removed(told[REMOVED] == STOP_COPYING, *by)
