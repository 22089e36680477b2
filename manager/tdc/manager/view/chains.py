"""What this manager's history has at the revision that an agent runs.

In: what an agent reports. Out: a chain value for the Welcome. A commit never changes, so each is
read from etcd once, until the store is replaced.
"""

from __future__ import annotations

import asyncio

from tdc.manager.etcd.errors import EtcdError
from tdc.manager.store.history import History
from tdc.manager.store.record import CommitRecord
from tdc.manager.view.fleet import FleetView
from tdc.shared.sync.values import BEHIND, Running

LOOKUP_TIMEOUT = 2.0
"""Seconds that an agent waits for its Welcome because of this."""
_MOST_KNOWN = 10_000


class KnownChains:
    """The chain values of commits that agents run."""

    def __init__(self, view: FleetView, history: History) -> None:
        self._view = view
        self._history = history
        self._known: dict[tuple[str, int], str] = {}
        view.on_replaced(self._known.clear)

    async def at(self, cluster: str, running: Running) -> str:
        """The value at what `running` says; empty if that can't be compared or is not known."""
        if not running.history or running.store_id != self._view.store_id:
            return ""
        newest = self._view.revision(cluster)
        if not newest:
            return ""
        if running.revision > newest:
            return BEHIND
        if running.revision == newest:
            return self._view.chain(cluster)
        return await self._read(cluster, running.revision)

    async def _read(self, cluster: str, revision: int) -> str:
        key = (self._view.place(cluster), revision)  # another may get its name
        if key not in self._known and not self._view.etcd_away:
            try:
                async with asyncio.timeout(LOOKUP_TIMEOUT):
                    record = await self._history.commit_record(cluster, revision)
            except (EtcdError, TimeoutError):
                return ""
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[key] = record.chain if isinstance(record, CommitRecord) else ""
        return self._known.get(key, "")
