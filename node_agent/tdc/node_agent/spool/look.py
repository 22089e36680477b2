"""Read for people: the dead copies, the history of a copy. Times are steady seconds here."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

from tdc.node_agent.spool.database import Database
from tdc.node_agent.spool.rows import dead_letter
from tdc.node_agent.spool.sqlite_errors import faults
from tdc.node_agent.spool.values import CopyEvent, CopyState, DeadLetter

START = 64 * 1024
"""Bytes of a content in which its Message-ID is looked for."""


def dead_letters(
    database: Database,
    limit: int,
    intake: str,
    mids: tuple[int, ...],
    message_id: Callable[[bytes], str],
) -> list[DeadLetter]:
    """The dead copies of an intake (of all, if empty) and with these MIDs, newest first.

    `message_id` finds the original's Message-ID in the start of its content.
    """
    with faults():
        rows = database.ask("list_dead", intake, json.dumps(mids) if mids else None, limit)
        letters = [dead_letter(row) for row in rows]
    return [
        replace(letter, message_id=message_id(database.start_of(letter.mid, START)))
        for letter in letters
    ]


def history(database: Database, mid: int) -> list[CopyEvent]:
    """What happened to a copy, oldest first."""
    with faults():
        stored = database.ask("taken_of", mid).fetchone()
        finished = database.ask("finished_of", mid).fetchone()
        events = [CopyEvent(*row) for row in database.ask("events_of", mid)]
    if finished is not None:
        taken_at, finished_at, outcome, text = finished
        return [CopyEvent(taken_at, "taken"), *events, CopyEvent(finished_at, outcome, text)]
    if stored is None:
        return events
    taken_at, state, next_at, reason = stored
    dropped = [CopyEvent(next_at, state, reason)] if state == CopyState.DROPPED else []
    return [CopyEvent(taken_at, "taken"), *events, *dropped]
