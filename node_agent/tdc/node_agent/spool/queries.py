"""The texts of queries.sql, by name."""

from __future__ import annotations

import functools
import re
from pathlib import Path

_FOLDER = Path(__file__).parent


@functools.cache
def queries() -> dict[str, str]:
    """Name -> text, of queries.sql."""
    parts = re.split(r"^-- name: (\w+)$", (_FOLDER / "queries.sql").read_text("utf-8"), flags=re.M)
    return {name: text.strip() for name, text in zip(parts[1::2], parts[2::2], strict=True)}


@functools.cache
def repeated(name: str, rows: int) -> str:
    """An insert of so many rows at once."""
    head, row = queries()[name].split("\nVALUES ")
    return f"{head}\nVALUES {', '.join([row] * rows)}"


@functools.cache
def schema() -> str:
    """The script that makes a new file."""
    return (_FOLDER / "schema.sql").read_text("utf-8")


@functools.cache
def upgrade_from(version: int) -> tuple[str, ...]:
    """The statements that bring a file of `version` to the next."""
    script = (_FOLDER / f"upgrade_from_{version}.sql").read_text("utf-8")
    lines = (line for line in script.splitlines() if not line.startswith("--"))
    return tuple(filter(None, (part.strip() for part in "\n".join(lines).split(";\n"))))
