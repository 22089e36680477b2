"""How a command ends when it is not done: one class for each exit code, flat.

The text of each is for the operator: what happened, what it means, what to do.
"""

from __future__ import annotations


class CliError(Exception):
    """A command that ends without being done. `exit_code` is the process's."""

    exit_code = 1


class Refused(CliError):
    """The manager, or the operator, said no; or the manager could not do it."""

    exit_code = 1


class WrongUsage(CliError):
    """What was typed is wrong whatever the manager holds: unknown setting, bad value."""

    exit_code = 2


class NoConnection(CliError):
    """No answer from a manager that is trusted: nothing configured, not reached, too late."""

    exit_code = 3


class Interrupted(CliError):
    """Ctrl-C; the text says whether anything may have been committed."""

    exit_code = 130


class OutputClosed(CliError):
    """Whoever read our output went away (`tdc … | head`); nobody is left to be told."""

    exit_code = 141


def sentence(text: str) -> str:
    """Return `text` with a full stop, unless it ends with a mark of its own."""
    return text if text.endswith((".", "?", "!")) else text + "."
