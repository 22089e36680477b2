"""PURE. By what machines, groups and clusters are known in documents, and the removed ones."""

from __future__ import annotations

from collections.abc import Mapping

from tdc.manager.levels.fleet import RemovedMachine
from tdc.manager.store.encoding import count_of, object_of, text_of


def removed_in(document: Mapping[str, object]) -> dict[str, RemovedMachine]:
    """The removed machines of a shard, by their keys."""
    entries = object_of(document, "removed") if "removed" in document else {}
    return {
        name: RemovedMachine(
            count_of(entry, "revision"),
            entry.get("stops_copying") is True,
            slot_in(entry),
            count_of(entry, "born") if "born" in entry else None,
        )
        for name, entry in entries.items()
        if isinstance(entry, dict)
    }


def slot_in(entry: Mapping[str, object]) -> str:
    """The slot that is kept; empty if there is none."""
    return text_of(entry, "slot") if "slot" in entry else ""


def born_in(entry: Mapping[str, object]) -> int:
    """The revision that created it; 0 if that was not kept."""
    return count_of(entry, "born") if "born" in entry else 0


def plain_removed(removed: RemovedMachine) -> dict[str, object]:
    """What is kept of a removed machine."""
    stops = {"stops_copying": True} if removed.stops_copying else {}
    born = {} if removed.born is None else {"born": removed.born}
    return {"revision": removed.revision, **stops, **plain_slot(removed.slot), **born}


def plain_born(born: int) -> dict[str, object]:
    """The field of the revision that created it, where that is known."""
    return {"born": born} if born else {}


def plain_slot(slot: str) -> dict[str, object]:
    """The field of a slot, where there is one."""
    return {"slot": slot} if slot else {}
