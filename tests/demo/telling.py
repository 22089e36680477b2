"""What the demo prints, and a sign of progress in each silence."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from tdc.shared.edge.tasks import running

SILENCE = 3.0
"""Seconds without a line after which a sign of progress is shown."""


class _Told:
    at = 0.0


def say(text: str) -> None:
    """Print the heading of an act."""
    tell(f"\n== {text}")


def note(text: str) -> None:
    """Print what an act means, or how far it is."""
    tell(f"   {text}")


def tell(text: str) -> None:
    """Print lines."""
    print(text, flush=True)
    _Told.at = time.monotonic()


@contextlib.asynccontextmanager
async def signs_of_progress(silence: float = SILENCE) -> AsyncIterator[None]:
    """Show, while the body runs, that it is not over where nothing else does."""
    began = _Told.at = time.monotonic()

    async def show() -> None:
        while True:
            await asyncio.sleep(silence / 10)
            if time.monotonic() - _Told.at >= silence:
                note(f"... {time.monotonic() - began:.0f} s")

    async with running(show(), name="signs of progress"):
        yield
