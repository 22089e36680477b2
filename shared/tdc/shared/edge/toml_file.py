"""TOML text of a file that somebody edits: read, or refused in one sentence, whatever it holds."""

from __future__ import annotations

import tomllib


def parsed(text: str) -> dict[str, object]:
    """What a TOML text says; raises ValueError, never anything else."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
