"""PURE. One entry of the audit log as a value: who, from where, what, and what came of it.

The log is one chain for the whole installation (`audit` has how it is computed). An entry is
bounded: what a commit record has in full is named by the record's key and chain value, and only its
first changes are repeated here. It never holds a secret: a join token is named by the hash that it
is stored under, a password or an API token by the name of its owner.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from tdc.shared.sync.audit import AuditHead, chained

DONE, REFUSED = "done", "refused"

MOST_ROWS = 20
"""Changes that an entry repeats; the others are counted."""
_WORD = 200
_SENTENCE = 1_000
_SHOWN = 300


@dataclass(frozen=True, slots=True)
class By:
    """Who asks, as the connection has proven it; stores take it as it is, and write it down.

    `kind` says what `name` names: an operator, a machine, a manager (work that it does by itself),
    or nobody that is known. `means` is how it was proven. `origin` is where the call came from.
    """

    name: str
    kind: str = "operator"
    role: str = ""
    means: str = ""
    origin: str = ""


UNKNOWN = By("", kind="unknown")


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One thing that was changed: of what, which part, and what it was before and is after."""

    target: str
    part: str = ""
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """What is to be written down. `operation` is that of the permission table.

    `what` is a sentence for people. `commit` is the key of the commit record that has it all, and
    `digest` its chain value. `reason`: why it was refused. `count`: how many alike it stands for.
    """

    operation: str
    by: By
    what: str = ""
    cluster: str = ""
    rows: tuple[AuditRow, ...] = ()
    rows_left_out: int = 0
    comment: str = ""
    revision: int = 0
    request_id: str = ""
    commit: str = ""
    digest: str = ""
    outcome: str = DONE
    reason: str = ""
    count: int = 1


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """An event as the log keeps it. `time` is Unix seconds by the clock of its manager.

    `note` says what was wrong with the log when the entry was written; empty if nothing was.
    """

    number: int
    time: float
    event: AuditEvent
    note: str = ""
    chain: str = ""

    def plain(self) -> dict[str, object]:
        """It as a JSON object, with its chain value."""
        return plain_entry(self)

    @property
    def head(self) -> AuditHead:
        """The log's head while this is the newest entry."""
        return AuditHead(self.number, self.chain)


@dataclass(frozen=True, slots=True)
class UnreadableEntry:
    """An entry that can't be read, and why."""

    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class AuditFault:
    """Something that is not as it was written: what, what it means, what to do.

    `number` is the entry's, 0 where it is of none. `source`: whose word it is, that of the log
    itself, of commits or of agents.
    """

    number: int
    what: str
    meaning: str
    advice: str
    source: str = "log"


def bounded(rows: Iterable[AuditRow]) -> tuple[tuple[AuditRow, ...], int]:
    """The rows that an entry repeats, and how many it leaves out."""
    every = tuple(rows)
    return every[:MOST_ROWS], max(0, len(every) - MOST_ROWS)


def entry_after(head: AuditHead, event: AuditEvent, time: float, note: str = "") -> AuditEntry:
    """The entry of `event` that follows `head`, with its chain value."""
    entry = AuditEntry(head.number + 1, time, _cut(event), note)
    return replace(entry, chain=chained(head.chain, plain_entry(entry)))


def follows(entry: AuditEntry, before: str) -> bool:
    """Whether an entry is what the chain says, after one whose chain value is `before`."""
    return entry.chain == chained(before, plain_entry(replace(entry, chain="")))


def plain_entry(entry: AuditEntry) -> dict[str, object]:
    """An entry as a JSON object: the form that is chained and exported; what is empty is absent."""
    event, by = entry.event, entry.event.by
    fields: dict[str, object] = {
        "number": entry.number,
        "time": entry.time,
        "operation": event.operation,
        "outcome": event.outcome,
        "who": by.name,
        "kind": by.kind,
    }
    texts = {
        "role": by.role,
        "means": by.means,
        "origin": by.origin,
        "what": event.what,
        "cluster": event.cluster,
        "comment": event.comment,
        "request_id": event.request_id,
        "commit": event.commit,
        "digest": event.digest,
        "reason": event.reason,
        "note": entry.note,
        "chain": entry.chain,
    }
    counts = {"revision": event.revision, "rows_left_out": event.rows_left_out}
    fields |= {name: value for name, value in texts.items() if value}
    fields |= {name: value for name, value in counts.items() if value}
    if event.count != 1:
        fields["count"] = event.count
    if event.rows:
        fields["rows"] = [_plain_row(row) for row in event.rows]
    return fields


def cut(text: str, most: int = _SENTENCE) -> str:
    """A text with its control characters made visible, cut to `most` characters."""
    shown = text if text.isprintable() else "".join(_visible(each) for each in text[:most])
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def _visible(character: str) -> str:
    return character if character.isprintable() else ascii(character)[1:-1]


def _cut(event: AuditEvent) -> AuditEvent:
    """The event with every text bounded: what a caller sent may be as long as a message."""
    by = event.by
    kept, left_out = bounded(event.rows)
    return replace(
        event,
        by=By(
            cut(by.name, _WORD),
            by.kind,
            cut(by.role, _WORD),
            cut(by.means, _WORD),
            cut(by.origin, _WORD),
        ),
        what=cut(event.what),
        cluster=cut(event.cluster, _WORD),
        comment=cut(event.comment),
        request_id=cut(event.request_id, _WORD),
        reason=cut(event.reason),
        rows=tuple(
            AuditRow(
                cut(row.target, _WORD),
                cut(row.part, _WORD),
                cut(row.before, _SHOWN),
                cut(row.after, _SHOWN),
            )
            for row in kept
        ),
        rows_left_out=event.rows_left_out + left_out,
    )


def _plain_row(row: AuditRow) -> dict[str, object]:
    texts = {"part": row.part, "before": row.before, "after": row.after}
    return {"target": row.target, **{name: value for name, value in texts.items() if value}}
