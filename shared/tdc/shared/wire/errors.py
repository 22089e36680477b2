"""PURE. The one exception of this room."""

from __future__ import annotations


class BadMessage(Exception):
    """The peer sent a message that means nothing to this version; the text says what."""
