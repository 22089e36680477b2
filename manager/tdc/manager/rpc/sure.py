"""PURE. What a manager answers that does not know which CA signs now: ask another one.

One that is cut off from etcd may be several steps of a rotation late. A certificate that it made
would be by a CA that goes, or has gone, and the CAs that it named would be those of before.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

Unsure = Callable[[], Awaitable[str]]
"""Why it is not known which CA signs now; empty if it is."""


class NotSure(Exception):
    """This manager makes no certificates now."""

    def __init__(self, why: str) -> None:
        super().__init__(
            f"this manager makes no certificates now: it can't see in etcd which CA signs ({why}). "
            "Nothing was changed: ask another manager, or try again later"
        )


async def sure() -> str:
    """Say that it is known."""
    return ""


async def require(unsure: Unsure) -> None:
    """Raise NotSure unless it is known."""
    if why := await unsure():
        raise NotSure(why)
