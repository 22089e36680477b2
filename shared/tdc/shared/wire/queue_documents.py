"""PURE. The JSON contract of queues and work on them (docs/cli.md).

`documents` says what holds for all.
"""

from __future__ import annotations

import msgspec
from tdc.shared.wire.suspension_documents import SuspendedPartDocument


class DeadCopyDocument(msgspec.Struct, frozen=True):
    """A copy that is no longer tried (tdc.v1.DeadCopy)."""

    mid: int
    report_id: str
    message_id: str
    intake: str
    sender: str
    recipients: tuple[str, ...]
    size: int
    taken_at: str | None
    dead_at: str | None
    attempts: int
    reason: str


class MachineDeadDocument(msgspec.Struct, frozen=True):
    """A machine's dead copies, newest first; `copies` counts all, also those that `dead` lacks.

    `problem` says why they are not known; empty if they are.
    """

    machine: str
    cluster: str
    problem: str
    copies: int
    bytes: int
    dead: tuple[DeadCopyDocument, ...]


class MachineWorkDocument(msgspec.Struct, frozen=True):
    """What work on queues chose on a machine. `problem` says why it was not done, or not known.

    `intakes` are those in force there, where the machine refused. `waits` says why it has no effect
    yet, as while delivery is suspended.
    """

    machine: str
    cluster: str
    problem: str
    copies: int
    bytes: int
    intakes: tuple[str, ...]
    waits: str


class WorkDocument(msgspec.Struct, frozen=True):
    """Work on queues: `committed` if it was ordered; then `revision` is that of its record."""

    kind: str
    from_intake: str
    to_intake: str
    cluster: str
    revision: int
    committed: bool
    machines: tuple[MachineWorkDocument, ...]


class CountersDocument(msgspec.Struct, frozen=True):
    """A machine's totals since its agent started (tdc.v1.Counters)."""

    originals_passed: int
    originals_refused: int
    copies_taken: int
    copies_missed: int
    copies_not_due: int
    delivered: int
    deferred: int
    dead: int
    maybe_duplicate: int


class DeliveryDocument(msgspec.Struct, frozen=True):
    """A machine's delivery to one destination, as of its last report (tdc.v1.Destination)."""

    machine: str
    cluster: str
    time: str | None
    domain: str
    intake_domain: str
    host_status: str
    latest_host: str
    active_recipients: int
    connections_out: int
    delivered: int
    deferred: int
    dead: int
    oldest_queued: str | None
    last_reply: str
    last_tls_version: str
    held_reason: str
    held_since: str | None
    next_probe: str | None
    counters: CountersDocument
    suspended: SuspendedPartDocument | None = None
