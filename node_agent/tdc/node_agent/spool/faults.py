"""PURE. What can be wrong with the spool's file, in operators' words."""

from __future__ import annotations

from dataclasses import dataclass


class DatabaseFault(Exception):
    """The file could not be read or written; the text is the reason in operator's words."""


class DatabaseUnreadable(DatabaseFault):
    """The file is not a spool of ours, or is damaged: nothing can be trusted in it."""


class DatabaseTooNew(DatabaseFault):
    """The file was written by a newer version of the agent."""


@dataclass(frozen=True, slots=True)
class DamagedCopy:
    """A copy whose row can't be trusted, in place of the copy."""

    mid: int
    reason: str
