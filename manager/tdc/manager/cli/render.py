"""What is printed: a document as JSON or YAML, or as lines and grids for people.

In: a document, and pieces made from it. Out: text on the two output streams.
Promises: data is ASCII in every locale; colours only on a terminal, and not with NO_COLOR
(https://no-color.org); a closed pipe is an error of its own, never a traceback.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TextIO

import msgspec
from tdc.manager.cli.errors import CliError, OutputClosed, OutputFailed
from tdc.manager.cli.layout import Line, Piece, as_text
from tdc.shared.edge.os_words import os_reason

UNBOUNDED = 10**9
"""Columns where output is not a terminal: one row a line, for grep and awk."""


class OutputFormat(StrEnum):
    """Output format."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


def as_json(document: object) -> str:
    """JSON in ASCII: the same data in every locale, and nothing that a terminal acts on."""
    return json.dumps(msgspec.to_builtins(document), indent=2, ensure_ascii=True)


def as_yaml(document: object) -> str:
    """YAML in ASCII, of the same data as `as_json`."""
    import yaml  # noqa: PLC0415  # needed here only

    # The same dumper over libyaml, where PyYAML has it, is ten times as fast.
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text = yaml.dump(
        msgspec.to_builtins(document), Dumper=dumper, sort_keys=False, allow_unicode=False
    )
    return str(text).rstrip("\n")


@dataclass(frozen=True, slots=True)
class Out:
    """Standard output and standard error, each as wide and colourful as what it is."""

    form: OutputFormat

    def emit(self, document: object, pieces: Iterable[Piece]) -> None:
        """Print the document, or its pieces for people; raises OutputClosed."""
        if self.form is OutputFormat.JSON:
            write(as_json(document))
        elif self.form is OutputFormat.YAML:
            write(as_yaml(document))
        else:
            self.show(pieces)

    def show(self, pieces: Iterable[Piece]) -> None:
        """Print pieces on standard output, whatever the form; raises OutputClosed."""
        write(
            as_text(pieces, width=width_of(is_terminal(sys.stdout)), colour=colourful(sys.stdout))
        )

    def tell(self, pieces: Iterable[Piece]) -> None:
        """Print pieces on standard error: what is for the operator and not part of the data.

        If that fails, the exit code still tells how the command ended.
        """
        text = as_text(
            pieces, width=width_of(is_terminal(sys.stderr)), colour=colourful(sys.stderr)
        )
        try:
            print(text, file=sys.stderr or io.StringIO(), flush=True)
        except OSError:
            _silence(sys.stderr)


def write(text: str) -> None:
    """Print on standard output and flush; raises OutputClosed once its reader went away.

    Raises OutputFailed if writing fails otherwise, as on a full disk.
    """
    if sys.stdout is None:  # started with it closed, as by ``>&-``
        raise OutputClosed("Standard output is closed.")
    try:
        print(text, flush=True)
    except OSError as error:
        raise _not_written(error) from None


def _not_written(error: OSError) -> CliError:
    """Drop what is left to write, and say how the command ends."""
    _silence(sys.stdout)
    if isinstance(error, BrokenPipeError):
        return OutputClosed("Standard output was closed early.")
    return OutputFailed(f"Can't write the output: {os_reason(error)}.")


def unwritten(error: OSError | CliError) -> int:
    """Say that something could not be printed, and return the exit code."""
    ended = _not_written(error) if isinstance(error, OSError) else error
    if not isinstance(ended, OutputClosed):
        Out(OutputFormat.TABLE).tell([Line(f"tdc: {ended}", "red")])
    return ended.exit_code


def _silence(stream: TextIO) -> None:
    """Drop what is still buffered: the interpreter's own flush at exit would fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def is_terminal(stream: io.TextIOBase | object) -> bool:
    """Whether a stream is a terminal; None is a stream closed from the start."""
    isatty = getattr(stream, "isatty", None)
    return isatty is not None and bool(isatty())


def width_of(terminal: bool) -> int:
    """Columns that a line may have; COLUMNS wins, as everywhere."""
    if terminal or os.environ.get("COLUMNS", "").isdigit():
        return max(20, shutil.get_terminal_size((80, 24)).columns)
    return UNBOUNDED


def colourful(stream: io.TextIOBase | object) -> bool:
    """Whether a stream is a terminal that takes colours."""
    wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"
    return wanted and is_terminal(stream)
