"""Owned tasks: the only place that creates asyncio tasks outside a TaskGroup.

Promise: every task has a name and an owner that ends it; a failure is never silent.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import TypeVar

Result = TypeVar("Result")


@contextlib.asynccontextmanager
async def running(
    work: Coroutine[object, object, None], *, name: str
) -> AsyncIterator[asyncio.Task[None]]:
    """Run `work` beside the body; cancel it and wait for its end when the body is left.

    If `work` fails while the body runs, the body is cancelled and the failure is raised here
    (inside an ExceptionGroup, as by asyncio.TaskGroup).
    """
    async with asyncio.TaskGroup() as group:
        task = group.create_task(work, name=name)
        try:
            yield task
        finally:
            task.cancel()


async def finished(work: Coroutine[object, object, Result], *, name: str) -> Result:
    """Return what `work` returns; it runs to its end even if the caller is cancelled meanwhile.

    The cancellation is raised after that. For steps that must not be left half done; `work` bounds
    its own waits.
    """
    task = asyncio.create_task(work, name=name)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


class GivenUp(Exception):
    """The work was given up before its end."""


async def unless(
    given_up: asyncio.Event, work: Coroutine[object, object, Result], *, name: str
) -> Result:
    """Return what `work` returns; once `given_up` is set, cancel it and raise GivenUp."""
    task = asyncio.create_task(work, name=name)
    end = asyncio.create_task(given_up.wait(), name=f"{name}: given up")
    try:
        await asyncio.wait((task, end), return_when=asyncio.FIRST_COMPLETED)
        if given_up.is_set():
            raise GivenUp
        return await task
    finally:
        task.cancel()
        end.cancel()
        await asyncio.wait((task, end))


async def apart(work: Coroutine[object, object, Result], *, name: str) -> Result:
    """Return what `work` returns; if the caller is cancelled, it goes on, and nobody is told how.

    For a read that must not be broken off: it ends when what it reads from is ended.
    """
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_noted)
    return await asyncio.shield(task)


def _noted(task: asyncio.Task[Result]) -> None:
    """Take note of how it ended: else asyncio logs what it raised as never looked at."""
    if not task.cancelled():
        task.exception()
