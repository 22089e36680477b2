"""PURE. The name that the keys of a cluster have, and what the cluster is called."""

from __future__ import annotations

from typing import Protocol


class Places(Protocol):
    """Knows which cluster has which place (`levels/identities.py`), as of now."""

    def place(self, cluster: str) -> str:
        """The name that the keys of a cluster have, by what it is called."""

    def called(self, place: str) -> str:
        """What the cluster is called that has `place` in its keys."""


class _AsNamed:
    def place(self, cluster: str) -> str:
        return cluster

    def called(self, place: str) -> str:
        return place


AS_NAMED: Places = _AsNamed()
"""For clusters that were never renamed."""
