"""The question before something is changed.

Promise: no answer but yes is taken for yes; without a terminal nobody is asked, and nothing done.
"""

from __future__ import annotations

import asyncio
import sys

from tdc.manager.cli.errors import Refused
from tdc.manager.cli.render import is_terminal
from tdc.shared.wire.printable import printable


async def confirm(question: str, undone: str, *, dry_run: bool) -> None:
    """Ask on the terminal; raises Refused with the sentence `undone` unless the answer is yes.

    `dry_run`: the command has that option, so it can be advised.
    """
    if not is_terminal(sys.stdin):
        instead = ", or --dry-run" if dry_run else ""
        raise Refused(f"Not a terminal: use --yes to go on without asking{instead}. {undone}")
    print(f"{printable(question)} [y/N] ", end="", file=sys.stderr, flush=True)
    if (await _typed_line()).strip().lower() not in ("y", "yes"):
        raise Refused(undone)


async def agreed(question: str, *, yes: bool) -> None:
    """Ask before something is taken away for good, unless `yes`; raises Refused."""
    if not yes:
        await confirm(question, "Nothing was changed.", dry_run=False)


async def _typed_line() -> str:
    """The next line typed; empty at the end of input.

    The event loop waits, not a read: a Ctrl-C just before a blocking read would be lost.
    """
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(sys.stdin, readable.set)
    line = ""
    try:
        await readable.wait()  # as long as the operator thinks; Ctrl-C cancels it
        line = sys.stdin.readline()  # a terminal delivers whole lines
    finally:
        loop.remove_reader(sys.stdin)
        if not line.endswith("\n"):  # Ctrl-C, Ctrl-D: what follows begins a new line
            print(file=sys.stderr, flush=True)
    return line
