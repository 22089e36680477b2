"""PURE. The JSON contract: what `tdc -o json` prints, as frozen types (docs/cli.md).

One class for each document, one field for each key, in the order in which keys are printed. A field
may be added; none is renamed or removed. `answers` makes them from tdc.v1 messages; whatever else
shows the same facts as JSON uses these types too, so that there is one contract and not two.

Absent is None. A setting's value is in its plain form (`settings.canonical`). A time is RFC 3339 in
UTC with milliseconds. A revision counts the commits of one cluster, from 1.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from tdc.shared.settings.canonical import Plain
from tdc.shared.settings.values import Level
from tdc.shared.wire.settings_documents import OriginDocument
from tdc.shared.wire.suspension_documents import SuspensionDocument


class _Document(msgspec.Struct, frozen=True):
    """What all documents have in common: they don't change."""


# -- changes --------------------------------------------------------------------------------------


class LevelChangeDocument(_Document, frozen=True):
    """A setting changed at a level."""

    level: Level
    name: str
    setting: str
    before: Plain
    after: Plain
    by_disable_rule: bool


class MachineChangeDocument(_Document, frozen=True):
    """A setting changed in force on a machine; `origin` is that of the value after."""

    name: str
    setting: str
    before: Plain
    after: Plain
    origin: OriginDocument


class TopologyChangeDocument(_Document, frozen=True):
    """A cluster, group or machine that changes; groups are a machine's, `stops_copying` too."""

    level: Level
    name: str
    group: str
    change: Literal["created", "renamed", "moved", "removed"]
    before_name: str
    before_group: str
    stops_copying: bool


class ProblemDocument(_Document, frozen=True):
    """Why a commit would be refused, or is warned of; `machine` is empty where it is of a level."""

    machine: str
    setting: str
    reason: str


GOES_ON = "the intake goes; they keep its last address, route and TLS settings"
NEW_FACTS = "the intake stays; they go by its new route and TLS settings"


class PlannedBacklogDocument(_Document, frozen=True):
    """Copies on a machine that wait for an intake which changes, and what then happens to them."""

    machine: str
    intake: str
    copies: int
    oldest: str | None
    happens: str


class PlanDocument(_Document, frozen=True):
    """What a commit would do; it would be refused if there are `problems`.

    `backlogs` are as the machines last reported; `warnings` keep nothing from being committed;
    `author` asked for the plan.
    """

    cluster: str
    base_revision: int
    fingerprint: str
    levels: tuple[LevelChangeDocument, ...]
    machines: tuple[MachineChangeDocument, ...]
    topology: tuple[TopologyChangeDocument, ...]
    stop_copying: tuple[str, ...]
    start_copying: tuple[str, ...]
    problems: tuple[ProblemDocument, ...]
    backlogs: tuple[PlannedBacklogDocument, ...]
    warnings: tuple[ProblemDocument, ...]
    author: str = ""


class DifferenceDocument(_Document, frozen=True):
    """What differs between two revisions, as if one commit led from the first to the second."""

    cluster: str
    from_revision: int
    to_revision: int
    levels: tuple[LevelChangeDocument, ...]
    machines: tuple[MachineChangeDocument, ...]
    topology: tuple[TopologyChangeDocument, ...]
    stop_copying: tuple[str, ...]
    start_copying: tuple[str, ...]


class CommittedDocument(_Document, frozen=True):
    """The end of a change; where nothing was committed, `revision` is what the cluster is at."""

    cluster: str
    revision: int
    committed: bool


class ChangeDocument(CommittedDocument, frozen=True):
    """The end of a change that was planned."""

    plan: PlanDocument


class CountedDocument(_Document, frozen=True):
    """Copies that were counted on a machine before work was ordered there."""

    machine: str
    copies: int
    bytes: int


class OrderedWorkDocument(_Document, frozen=True):
    """Work on queues, as it was recorded before it was sent: `kind` is retry, move or drop.

    Empty `from_intake` means every intake, no `mids` every copy. `machines` is empty in a history.
    """

    kind: str
    from_intake: str
    to_intake: str
    waiting: bool
    dead: bool
    mids: tuple[int, ...]
    copies: int
    machines: tuple[CountedDocument, ...]


class CommitDocument(_Document, frozen=True):
    """A commit in a history; `machines_changed` counts those where something in force changed.

    `work` is None unless it ordered work on queues; then it changed no setting.
    """

    cluster: str
    revision: int
    author: str
    time: str | None
    comment: str
    request_id: str
    machines_changed: int
    work: OrderedWorkDocument | None


class WholeCommitDocument(CommitDocument, frozen=True):
    """One commit with its changes."""

    levels: tuple[LevelChangeDocument, ...]
    topology: tuple[TopologyChangeDocument, ...]


# -- the fleet ------------------------------------------------------------------------------------


class ClusterDocument(_Document, frozen=True):
    """A cluster in a list; groups and machines are counts."""

    name: str
    revision: int
    groups: int
    machines: int


class GroupMembersDocument(_Document, frozen=True):
    """A group within its cluster."""

    name: str
    machines: tuple[str, ...]


class ClusterDetailDocument(_Document, frozen=True):
    """One cluster with its groups and their machines."""

    name: str
    revision: int
    groups: tuple[GroupMembersDocument, ...]


class GroupDocument(_Document, frozen=True):
    """A group with its machines."""

    name: str
    cluster: str
    machines: tuple[str, ...]


class MachineDocument(_Document, frozen=True):
    """A machine; `overrides` names the settings present at the machine itself."""

    name: str
    group: str
    cluster: str
    enrolled: bool
    overrides: tuple[str, ...]


class MissedDocument(_Document, frozen=True):
    """Copies missed for one reason in one run of trouble (tdc.v1.Missed)."""

    reason: str
    count: int
    since: str | None
    last: str | None


class HealthProblemDocument(_Document, frozen=True):
    """One thing that is wrong with a machine; `since` is None if it is not known."""

    kind: str
    severity: str
    text: str
    since: str | None


class StatusDocument(_Document, frozen=True):
    """How a machine does; from `copying` on, but for `health`, it is from its last report.

    `health` is the worst severity of `problems`, "ok" without any; it is "unknown" from a manager
    of a version that does not judge it. `applied_revision` is 0 while the machine has reported
    nothing, `since` None until it enrols. `unknown_settings` are in force there, other than by
    default, and not known to its agent. `suspension` is None if nothing is suspended, and nothing
    ever was resumed. `manager` is the name of the one that has its stream, "" while none is known.
    """

    name: str
    group: str
    cluster: str
    state: str
    wanted_revision: int
    applied_revision: int
    since: str | None
    copying: bool
    queued: int
    reason: str
    warnings: tuple[str, ...]
    agent_version: str
    health: str
    problems: tuple[HealthProblemDocument, ...]
    dead: int
    missed: tuple[MissedDocument, ...]
    delivered_at: str | None
    oldest_queued: str | None
    spool_full: str
    suspension: SuspensionDocument | None = None
    unknown_settings: tuple[str, ...] = ()
    manager: str = ""


class MachineDetailDocument(MachineDocument, frozen=True):
    """A machine with its status."""

    status: StatusDocument | None


class WithdrawnDocument(_Document, frozen=True):
    """Whose certificate was withdrawn, and managers that may not hear of it, in sentences."""

    machine: str
    cluster: str
    unheard: tuple[str, ...] = ()


class TokenDocument(_Document, frozen=True):
    """A join token, with the line to paste on the machine."""

    machine: str
    token: str
    expires: str | None
    enrol_address: str
    command: str
