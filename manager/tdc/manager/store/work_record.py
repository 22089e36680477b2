"""PURE. Work on queues, as a commit record holds it, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from tdc.manager.store.encoding import Damaged, count_of, list_of, object_of, text_of
from tdc.shared.sync.queue_work import (
    CountedCopies,
    DropCopies,
    MoveCopies,
    OrderedWork,
    QueueChange,
    RetryCopies,
    Selection,
    kind_of,
)


def plain_work(ordered: OrderedWork) -> dict[str, object]:
    """What a record holds of it."""
    chosen = ordered.work.selection
    return {
        "kind": kind_of(ordered.work),
        "from": chosen.intake,
        "to": ordered.work.to_intake if isinstance(ordered.work, MoveCopies) else "",
        "waiting": chosen.waiting,
        "dead": chosen.dead,
        "mids": list(chosen.mids),
        "machines": {
            each.machine: {"copies": each.copies, "bytes": each.bytes} for each in ordered.machines
        },
    }


def work_from(document: Mapping[str, object]) -> OrderedWork:
    """Read it; raises Damaged."""
    selection = Selection(
        intake=text_of(document, "from"),
        mids=tuple(_mid(each) for each in list_of(document, "mids")),
        waiting=document.get("waiting") is True,
        dead=document.get("dead") is True,
    )
    machines = object_of(document, "machines")
    return OrderedWork(
        _work(text_of(document, "kind"), selection, text_of(document, "to")),
        tuple(_counted(name, item) for name, item in machines.items()),
    )


def _work(kind: str, selection: Selection, to_intake: str) -> QueueChange:
    match kind:
        case "retry":
            return RetryCopies(selection)
        case "move":
            return MoveCopies(selection, to_intake)
        case "drop":
            return DropCopies(selection)
    raise Damaged(f"{kind!r} is no work on queues that this version knows")


def _mid(item: object) -> int:
    if isinstance(item, bool) or not isinstance(item, int):
        raise Damaged("the number of a copy in it is no number")
    return item


def _counted(name: str, item: object) -> CountedCopies:
    if not isinstance(item, dict):
        raise Damaged(f"what it says of machine {name!r} is not an object")
    counts = cast("Mapping[str, object]", item)
    return CountedCopies(name, count_of(counts, "copies"), count_of(counts, "bytes"))
