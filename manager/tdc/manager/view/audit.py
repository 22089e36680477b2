"""The audit log's head, as this manager sees it: what agents are to witness."""

from __future__ import annotations

import logging

from tdc.manager.store.audit_entry import read_mark
from tdc.manager.store.encoding import Damaged
from tdc.manager.store.keys import AUDIT_HEAD
from tdc.manager.view.following import How, Values
from tdc.shared.sync.audit import NO_ENTRY, AuditHead

log = logging.getLogger(__name__)


class KnownAudit:
    """The newest head that could be read."""

    def __init__(self) -> None:
        self.head: AuditHead = NO_ENTRY

    def take(self, values: Values, how: How) -> None:
        """Take what is stored; a head that was deleted or can't be read stays as last known."""
        raw = values.get(AUDIT_HEAD)
        if raw is None:
            return
        try:
            self.head = read_mark(AUDIT_HEAD, raw)
        except Damaged as error:
            log.error("%s can't be read: %s; run `tdc audit verify`", AUDIT_HEAD, error)
