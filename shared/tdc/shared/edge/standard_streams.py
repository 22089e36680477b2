"""Standard input, output and error of a program that was started with one of them closed.

Python then has None there, and the first word of the program would end it; and the next file that
is opened, a mail connection perhaps, would get the number 2, to which libraries write.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection

_STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


def open_closed_ones(*, but_none: Collection[str] = ()) -> None:
    """Open /dev/null in the place of each that is closed.

    In `sys` those named `but_none` stay None: to the program it makes a difference that nobody
    reads what it says, or that there is nothing to read.
    """
    for number, (name, mode) in enumerate(_STREAMS):
        try:
            os.fstat(number)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)
            os.set_inheritable(number, True)  # as these are
        if getattr(sys, name) is None and name not in but_none:
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))
