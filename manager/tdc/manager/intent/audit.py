"""The audit log for operators: who did what, from where, and whether the log is as it was written.

In: filters, a cursor. Out: pages of entries; a verdict.
It names people, addresses and what was refused, so it is for administrators. Reading it is not
written down, nor is any other read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tdc.manager.intent.actor import Actor
from tdc.manager.intent.errors import BadRequest, UnknownEntry
from tdc.manager.intent.past import require_history
from tdc.manager.intent.permissions import operation
from tdc.manager.store.audit_check import AuditVerdict, Word, contradicts
from tdc.manager.store.audit_reading import AuditPage, AuditReader, Row
from tdc.manager.view.fleet import FleetView
from tdc.manager.view.presence import Presence
from tdc.shared.sync.audit_entry import DONE, REFUSED, AuditFault, UnreadableEntry
from tdc.shared.sync.words import moment_words

DEFAULT_ENTRIES = 100
MOST_ENTRIES = 500


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries are meant; what is empty or None leaves none out.

    `operation` is a whole name, or its part before the dot. Times are Unix seconds.
    """

    who: str = ""
    operation: str = ""
    cluster: str = ""
    outcome: str = ""
    since: float | None = None
    until: float | None = None

    def takes(self, row: Row) -> bool:
        """Whether an entry passes; what can't be read passes, for nobody knows what it is."""
        if isinstance(row, UnreadableEntry):
            return True
        event = row.event
        return (
            self.who in ("", event.by.name)
            and self.cluster in ("", event.cluster)
            and self.outcome in ("", event.outcome)
            and self.operation in ("", event.operation, event.operation.partition(".")[0])
            and (self.since is None or row.time >= self.since)
            and (self.until is None or row.time < self.until)
        )


@dataclass(frozen=True, slots=True)
class Uncompared:
    """A machine whose agent's word could not be compared, and why."""

    cluster: str
    machine: str
    reason: str


@dataclass(frozen=True, slots=True)
class AuditVerified:
    """What the log says of itself, and what commits and agents say against it."""

    verdict: AuditVerdict
    contradictions: tuple[AuditFault, ...]
    agreeing: int
    uncompared: tuple[Uncompared, ...]


class AuditOperations:
    """Reads the log, and what agents report to have seen of it."""

    def __init__(self, view: FleetView, presence: Presence, reader: AuditReader) -> None:
        self._view = view
        self._presence = presence
        self._reader = reader

    @operation("audit.list")
    async def list_entries(
        self, actor: Actor, wanted: AuditFilter, *, limit: int, cursor: int, oldest_first: bool
    ) -> AuditPage:
        """A page of entries; `limit` 0 means DEFAULT_ENTRIES. Raises BadRequest, EtcdError."""
        if limit < 0 or cursor < 0:
            raise BadRequest("limit and cursor must be 0 or more")
        if wanted.outcome not in ("", DONE, REFUSED):
            raise BadRequest(f"an outcome is {DONE} or {REFUSED}, not {wanted.outcome!r}")
        require_history(self._view)
        most = min(limit or DEFAULT_ENTRIES, MOST_ENTRIES)
        return await self._reader.page(
            wanted.takes, limit=most, cursor=cursor, oldest_first=oldest_first
        )

    @operation("audit.read")
    async def read_entry(self, actor: Actor, number: int) -> Row:
        """Read one entry; raises UnknownEntry, EtcdError."""
        require_history(self._view)
        found = await self._reader.entry(number) if 0 < number < 10**12 else None
        if found is None:
            raise UnknownEntry(
                f"the audit log has no entry {number}; `tdc audit list` shows the newest, and old "
                "ones are trimmed"
            )
        return found

    @operation("audit.verify")
    async def verify(self, actor: Actor, *, against_agents: bool) -> AuditVerified:
        """Check the whole log, and compare it with what commits and agents say of it."""
        require_history(self._view)
        if against_agents:
            await self._presence.ask_others()
        known = (*self._view.clusters.values(), *self._view.deleted.values())
        words = await self._reader.commits_words(sorted(known, key=lambda each: each.name))
        machines: dict[tuple[str, str], list[Word]] = {}
        uncompared: list[Uncompared] = []
        for cluster, machine, found in self._agents() if against_agents else ():
            if isinstance(found, str):
                uncompared.append(Uncompared(cluster, machine, found))
            else:
                machines[cluster, machine] = found
        agents = [word for each in machines.values() for word in each]
        verdict = await self._reader.check([*words, *agents])
        of_commits = [fault for word in words if (fault := contradicts(word, verdict))]
        of_agents = {
            key: [fault for word in each if (fault := contradicts(word, verdict))]
            for key, each in machines.items()
        }
        return AuditVerified(
            verdict,
            (*of_commits[:1], *(fault for each in of_agents.values() for fault in each)),
            sum(not faults for faults in of_agents.values()),
            tuple(uncompared),
        )

    def _agents(self) -> Iterator[tuple[str, str, list[Word] | str]]:
        """Each machine with what its agent saw, or why that is not known or can't be compared."""
        for cluster in self._view.clusters.values():
            for name in sorted(cluster.machines):
                facts = self._presence.facts(cluster.name, name)
                if facts.status is None:
                    yield cluster.name, name, "it has not reported to a manager that answers"
                    continue
                seen = facts.status.audit
                if seen is None or not seen.heads:
                    yield cluster.name, name, "it has seen nothing of the audit log yet"
                elif seen.store_id != self._view.store_id:
                    yield cluster.name, name, "what it saw is of another store"
                else:
                    newest = f"machine {name} saw at {moment_words(seen.at)} by its clock"
                    yield (
                        cluster.name,
                        name,
                        [
                            Word(
                                newest if head == seen.newest else f"machine {name} saw before",
                                head,
                                "agents",
                            )
                            for head in seen.heads
                        ],
                    )
