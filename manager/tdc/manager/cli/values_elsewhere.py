"""Values that are not on the command line: ``setting=@FILE`` and ``setting=-``."""

from __future__ import annotations

import sys
from pathlib import Path

from tdc.manager.cli.assignments import FROM_FILE, STANDARD_INPUT
from tdc.manager.cli.errors import WrongUsage
from tdc.shared.edge.os_words import os_reason

LONGEST = 4 * 1024**2
"""Bytes of one value: a manager takes no longer request."""


class ValueReader:
    """Reads values for `parse_assignments`. Standard input can be read once."""

    def __init__(self) -> None:
        self._read_input = False

    def __call__(self, name: str, source: str) -> str:
        """Read the text of the setting `name` from where `source` says; raises WrongUsage."""
        if source == STANDARD_INPUT:
            return self._from_input(name)
        path = source.removeprefix(FROM_FILE)
        try:
            with Path(path).open("rb") as file:
                raw = file.read(LONGEST + 1)
        except (OSError, ValueError) as error:
            why = os_reason(error) if isinstance(error, OSError) else str(error)
            raise WrongUsage(
                f"{name}: {path!r} can't be read: {why}. {name}=@FILE reads the value from a file; "
                "leave the @ out to type the value itself. Nothing was changed."
            ) from None
        return _text(raw, f"{name}: {path!r}")

    def _from_input(self, name: str) -> str:
        if self._read_input:
            raise WrongUsage(
                f"{name}: only one setting can be read from standard input (-). "
                "Nothing was changed."
            )
        self._read_input = True
        if sys.stdin is None:  # started with it closed, as by ``<&-``
            raise WrongUsage(f"{name}: standard input (-) is closed. Nothing was changed.")
        try:
            raw = sys.stdin.buffer.read(LONGEST + 1)
        except OSError as error:
            raise WrongUsage(
                f"{name}: standard input (-) can't be read: {os_reason(error)}. "
                "Nothing was changed."
            ) from None
        return _text(raw, f"{name}: standard input")


def _text(raw: bytes, place: str) -> str:
    if len(raw) > LONGEST:
        raise WrongUsage(
            f"{place} has more than {LONGEST // 1024**2} MiB, which is more than a manager takes. "
            "Nothing was changed."
        )
    try:
        return raw.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise WrongUsage(f"{place} is not UTF-8. Nothing was changed.") from None
