"""PURE. By what a line of our log and other logs name the same message."""

from __future__ import annotations

from typing import NamedTuple


class MessageIds(NamedTuple):
    """Both are empty where they are not known.

    `message_id` is the field's value, with its angle brackets; `queue_id` the MTA's own number.
    """

    message_id: str = ""
    queue_id: str = ""


NO_IDS = MessageIds()
