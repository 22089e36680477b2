"""The version of this software, as reported to the manager."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def _installed() -> str:
    try:
        return version("threat-defense-connector")
    except PackageNotFoundError:
        return "unknown"


VERSION = _installed()
