"""Signals that must not get lost while no one handles them: as a program starts, ends, or begins
again in the same process.

A signal that is ignored is gone; one that is *blocked* stays pending, over an exec too, until it is
unblocked or waited for. Every thread has its own mask, which threads and children inherit: so block
before there is a thread, and unblock in a child.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

LATER = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
"""Blocked from where a program begins until it handles them: a log that is rotated just then, or a
terminal that closes, must not end it without a word."""

_END = signal.SIGRTMIN
"""Sent to our own thread, so that it ends."""


def block(*numbers: signal.Signals) -> None:
    """Keep these signals pending, for this thread and those that it starts."""
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)


def unblock(*numbers: signal.Signals) -> None:
    """Let these signals through again; pending ones arrive at once."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)


@contextlib.contextmanager
def received(
    numbers: tuple[signal.Signals, ...], take: Callable[[signal.Signals], object]
) -> Iterator[None]:
    """Call `take`, in a thread, for each of these signals that comes while the body runs.

    All threads must have them blocked. Those that come before or after it stay pending: no handler
    is ever removed, so there is no moment in which one is missing.
    """
    wanted = {*numbers, _END}

    def wait() -> None:
        while (number := signal.Signals(signal.sigwait(wanted))) != _END:
            take(number)

    block(*numbers, _END)
    thread = threading.Thread(target=wait, name="signals", daemon=True)
    thread.start()
    try:
        yield
    finally:
        assert thread.ident is not None
        signal.pthread_kill(thread.ident, _END)
        thread.join()
