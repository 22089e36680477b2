"""PURE. The JSON contract of suspensions (docs/cli.md).

`documents` says what holds for all.
"""

from __future__ import annotations

import msgspec


class SuspendedPartDocument(msgspec.Struct, frozen=True):
    """Who suspended copying or delivery of a machine; `until` is None without an end."""

    by: str
    reason: str
    since: str | None
    until: str | None


class SuspensionDocument(msgspec.Struct, frozen=True):
    """What is suspended on a machine: `copying` and `delivery` as it reports, None where it works.

    `wanted_copying` and `wanted_delivery` are as operators want it; `pending` is why it does not do
    so, empty if it does, which `in_force` says. `resumed_by` is empty if nobody ever resumed it.
    """

    copying: SuspendedPartDocument | None
    delivery: SuspendedPartDocument | None
    wanted_copying: SuspendedPartDocument | None
    wanted_delivery: SuspendedPartDocument | None
    in_force: bool
    pending: str
    resumed_by: str
    resumed_at: str | None


class SuspensionRowDocument(msgspec.Struct, frozen=True):
    """One machine after `tdc machine suspend` or `resume`; `waits` is why it is not so at once."""

    machine: str
    changed: bool
    copying: SuspendedPartDocument | None
    delivery: SuspendedPartDocument | None
    waits: str


class SuspensionsDocument(msgspec.Struct, frozen=True):
    """What became of machines of one cluster; `done` is false where it was only looked at."""

    cluster: str
    done: bool
    machines: tuple[SuspensionRowDocument, ...]
