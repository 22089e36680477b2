"""PURE. The JSON contract of managers (docs/cli.md).

`documents` says what holds for all.
"""

from __future__ import annotations

import msgspec


class ManagerDocument(msgspec.Struct, frozen=True):
    """A manager. `machines` and `clock_ahead` (seconds) are None while it does not answer."""

    id: str
    name: str
    address: str
    version: str
    started: str | None
    certificate_ends: str | None
    asked: bool
    answers: bool
    problem: str
    machines: int | None
    clock_ahead: float | None
    owns: tuple[str, ...]


class EtcdDocument(msgspec.Struct, frozen=True):
    """The etcd of a manager. Sizes are bytes; `quota` is None where it is not known."""

    embedded: bool
    endpoints: tuple[str, ...]
    problem: str
    version: str
    size: int
    size_in_use: int
    quota: int | None
    alarms: tuple[str, ...]
    members: tuple[str, ...]


class WritesDocument(msgspec.Struct, frozen=True):
    """Writes to etcd within `seconds`, by who asked for them."""

    seconds: int
    by: dict[str, int]
    per_agent_hour: float


class ManagerStatusDocument(msgspec.Struct, frozen=True):
    """The manager that was asked, and its etcd."""

    manager: ManagerDocument
    etcd: EtcdDocument
    writes: WritesDocument
    warnings: tuple[str, ...]
