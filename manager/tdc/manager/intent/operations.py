"""Every operation there is, by noun: what an adapter (gRPC, REST, console) is built over."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from tdc.manager.intent.audit import AuditOperations
from tdc.manager.intent.changes import ChangeOperations
from tdc.manager.intent.drafts import DraftOperations
from tdc.manager.intent.fleet import FleetOperations
from tdc.manager.intent.history import HistoryOperations
from tdc.manager.intent.managers import ManagerOperations
from tdc.manager.intent.monitoring import MonitoringOperations
from tdc.manager.intent.permissions import check_operations
from tdc.manager.intent.proofs import ProofOperations
from tdc.manager.intent.queue import QueueOperations
from tdc.manager.intent.recovery import RecoveryOperations
from tdc.manager.intent.settings import SettingsOperations
from tdc.manager.intent.suspensions import SuspensionOperations
from tdc.manager.intent.tokens import TokenOperations
from tdc.manager.intent.users import UserOperations


@dataclass(frozen=True, slots=True)
class Operations:
    """All rooms together. Making it raises PermissionTableError unless the table fits them."""

    changes: ChangeOperations
    history: HistoryOperations
    drafts: DraftOperations
    settings: SettingsOperations
    fleet: FleetOperations
    monitoring: MonitoringOperations
    queue: QueueOperations
    recovery: RecoveryOperations
    suspensions: SuspensionOperations
    tokens: TokenOperations
    users: UserOperations
    proofs: ProofOperations
    audit: AuditOperations
    managers: ManagerOperations

    def __post_init__(self) -> None:
        check_operations([getattr(self, each.name) for each in dataclasses.fields(self)])
