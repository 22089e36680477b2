"""What the event loop itself reports: a fault of ours, or of a library, that no caller heard of.

Such a fault may leave a connection on which nothing happens any more, for whose next step somebody
waits as long as a peer may take. So the connection is ended, and who waits for it learns that.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from typing import Any

from tdc.node_agent.log.lines import TdcLog

FRAMES = 3
"""How many places of the code a line names, the innermost first."""


def reporter(log: TdcLog) -> Callable[[asyncio.AbstractEventLoop, dict[str, Any]], None]:
    """Return what an event loop calls with each fault: one line in the log, and no connection."""

    def report(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if (abort := getattr(context.get("transport"), "abort", None)) is not None:
            abort()
        log.error(f"a fault in the agent: {in_words(context)}")

    return report


def in_words(context: dict[str, Any]) -> str:
    """What happened, the exception, and where in the code."""
    error = context.get("exception")
    if not isinstance(error, BaseException):
        return str(context.get("message", "no reason given"))
    places = [
        f"{place.filename.rpartition('/')[2]} line {place.lineno}"
        for place in reversed(traceback.extract_tb(error.__traceback__, limit=-FRAMES))
    ]
    what = ": ".join(filter(None, (context.get("message"), type(error).__name__, str(error))))
    return f"{what} ({', '.join(places)})" if places else what
