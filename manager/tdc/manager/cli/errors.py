"""How a command ends: the exit codes, and one exception for each that is not 0.

docs/cli.md has the same codes for operators; a test compares the two. The text of an exception is
for the operator: what happened, what it means, what to do.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of `tdc`."""

    DONE = 0
    REFUSED = 1
    WRONG_USAGE = 2  # what typer and click use too
    NO_CONNECTION = 3
    PARTIAL = 4
    INTERRUPTED = 130  # 128 + SIGINT, as a shell reports it
    OUTPUT_CLOSED = 141  # 128 + SIGPIPE


class CliError(Exception):
    """A command that ends without being done."""

    exit_code = ExitCode.REFUSED


class Refused(CliError):
    """The manager or the operator said no, or the manager could not do it."""

    exit_code = ExitCode.REFUSED


class NotKnown(Refused):
    """The manager does not know the session or API token, or not any more."""


class NotPermitted(Refused):
    """The manager said that this operator may not do it."""


class WrongUsage(CliError):
    """What was typed is wrong, whatever the manager holds: unknown setting, bad value."""

    exit_code = ExitCode.WRONG_USAGE


class NoConnection(CliError):
    """No answer from a trusted manager: not configured, not reached, or too late."""

    exit_code = ExitCode.NO_CONNECTION


class Partial(CliError):
    """Done on some machines and not, or not certainly, on others; the output names them."""

    exit_code = ExitCode.PARTIAL


class Interrupted(CliError):
    """Ctrl-C; the text says whether anything may have been committed."""

    exit_code = ExitCode.INTERRUPTED


class OutputFailed(Refused):
    """The output could not be written, as on a full disk."""


class OutputClosed(CliError):
    """The reader of our output went away (`tdc … | head`)."""

    exit_code = ExitCode.OUTPUT_CLOSED


def sentence(text: str) -> str:
    """`text` with a full stop, unless it already ends like a sentence."""
    return text if text.endswith((".", "?", "!")) else text + "."
