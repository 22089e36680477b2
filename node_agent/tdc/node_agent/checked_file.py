"""agent.toml as it was checked, handed over to the program that is to be tried or executed.

What was checked is what is started: an edit that comes between the two waits for the next reload.
The text goes by a descriptor without a file (memfd_create(2)); the variable CHECKED names it, and
whom it is for: the process itself over an exec, or a child.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, MutableMapping

CHECKED = "TDC_CHECKED_FILE"


@contextlib.contextmanager
def handed_over(text: str, environment: MutableMapping[str, str]) -> Iterator[int]:
    """Have `take` find this text while the body runs; yields the descriptor. Raises OSError."""
    number = os.memfd_create("agent.toml")
    try:
        with os.fdopen(os.dup(number), "wb") as file:
            file.write(text.encode())
        os.set_inheritable(number, True)
        environment[CHECKED] = f"{os.getpid()}:{number}"
        yield number
    finally:
        environment.pop(CHECKED, None)
        os.close(number)


def take(environment: MutableMapping[str, str]) -> str | None:
    """The text that was handed over to this process; None if nothing was, or it can't be read.

    The variable is removed, as in `passed_sockets.take`.
    """
    whom, _, number = environment.pop(CHECKED, "").partition(":")
    if whom not in (str(os.getpid()), str(os.getppid())):
        return None
    try:
        with os.fdopen(int(number), "rb") as file:
            file.seek(0)
            return file.read().decode()
    except (OSError, ValueError):
        return None
