"""Passwords that people type, or that a file has: never in the arguments, never shown."""

from __future__ import annotations

import asyncio
import getpass
import sys
from pathlib import Path
from typing import Annotated

import typer
from tdc.manager.cli.errors import Refused, WrongUsage
from tdc.manager.cli.render import is_terminal
from tdc.shared.edge.os_words import os_reason

LONGEST_FILE = 4_096

PasswordFile = Annotated[
    Path | None,
    typer.Option(
        "--password-file",
        metavar="FILE",
        help="Read the password from this file, - for standard input (default: ask for it).",
        show_default=False,
    ),
]


_A_FILE = "--password-file FILE (- for standard input)"


async def asked(
    what: str, file: Path | None, *, twice: bool = False, instead: str = _A_FILE
) -> str:
    """A secret, typed without echo or read from a file; raises Refused, WrongUsage.

    `instead` is the option that gives it where there is no terminal.
    """
    if file is not None:
        return in_file(file)
    if not is_terminal(sys.stdin):
        raise Refused(f"Not a terminal to ask for: {what.lower()}. Use {instead}.")
    password = await asyncio.to_thread(_typed, f"{what}: ")
    if twice and await asyncio.to_thread(_typed, f"{what}, again: ") != password:
        raise Refused("The two were not the same. Nothing was changed.")
    return password


def _typed(prompt: str) -> str:
    try:
        return getpass.getpass(prompt, stream=sys.stderr)
    except EOFError:
        raise Refused("Nothing was typed. Nothing was changed.") from None


def in_file(file: Path) -> str:
    """The first line of a file, - for standard input; raises WrongUsage."""
    try:
        if str(file) == "-":
            text = sys.stdin.readline(LONGEST_FILE)
        else:
            text = file.read_text(encoding="utf-8")[:LONGEST_FILE]
    except OSError as error:
        raise WrongUsage(f"Can't read {file}: {os_reason(error)}.") from None
    except UnicodeDecodeError:
        raise WrongUsage(f"{file} is not UTF-8.") from None
    password = text.splitlines()[0] if text.splitlines() else ""
    if not password:
        raise WrongUsage(f"{file} has no password or secret in its first line.")
    return password
