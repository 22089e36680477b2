"""Work that may hang for longer than anybody wants to wait: a resolver, a disk, a child.

The event loop's own threads are waited for when it is closed, and a lookup that meets dead
nameservers takes half a minute: so a program that is to stop, or to begin again, stood still.
A daemon thread is simply left behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


async def in_daemon_thread(
    work: Callable[Arguments, Result], *arguments: Arguments.args, **named: Arguments.kwargs
) -> Result:
    """Return what `work` returns, or raise what it raises. Who is cancelled leaves it behind.

    Raises OSError where the system lets us have no thread.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Result] = loop.create_future()

    def tell(result: Result | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]  # of this type if there is no error

    def run() -> None:
        result: Result | None = None
        error: BaseException | None = None
        try:
            result = work(*arguments, **named)
        except BaseException as raised:  # it belongs to who waits
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(tell, result, error)

    thread = threading.Thread(target=run, name="work", daemon=True)
    try:
        thread.start()
    except RuntimeError:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from None
    return await done
