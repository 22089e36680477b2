"""Standard input, output and error of a program that was started with one of them closed.

Python then has None there, and the first word of the program would end it; and the next file that
is opened, a mail connection perhaps, would get the number 2, to which libraries write.
"""

from __future__ import annotations

import os
import sys

_STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


def open_closed_ones() -> None:
    """Open /dev/null in the place of each that is closed."""
    for number, (name, mode) in enumerate(_STREAMS):
        try:
            os.fstat(number)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)
            os.set_inheritable(number, True)  # as these are
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))
