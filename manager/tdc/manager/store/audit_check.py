"""PURE. Whether an audit log is as it was written: the chain inside, and the words of others.

Three kinds of words are compared. The *log's own*: each entry fits its seal and follows from the
one before, from the anchor (up to where old entries were trimmed) to the head. That finds an entry
that was edited, deleted, put in another place or added, unless all that follows was written again,
head included. The *commits'*: each commit record names the head before its own entry, and is
chained itself. The *agents'*: each keeps on its disk what it saw. The last two contradict a log
whose tail was cut off, or rewritten with fitting chain values.

Keys must come in their order, which is: anchor, head, entries.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tdc.manager.store.audit_entry import read_entry, read_mark
from tdc.manager.store.encoding import Damaged, NewerSchema, unpack_any
from tdc.manager.store.keys import AUDIT_ANCHOR, AUDIT_HEAD, parse_audit_key
from tdc.shared.sync.audit import CHAIN_DIGITS, NO_ENTRY, AuditHead
from tdc.shared.sync.audit_entry import AuditFault, follows

MOST_FAULTS = 100
"""Faults that are described; all are counted."""
_MOST_REMARKS = 100

_KEEP = "Keep an export of what is left, and compare it with the copies in syslog"


@dataclass(frozen=True, slots=True)
class Word:
    """What somebody says of the log: `head` was its newest entry once. `who` begins a sentence."""

    who: str
    head: AuditHead
    source: str


@dataclass(frozen=True, slots=True)
class AuditVerdict:
    """What was found. `chains` has the values at the numbers that were asked for."""

    entries: int
    first: int
    newest: AuditHead
    trimmed: AuditHead
    faults: tuple[AuditFault, ...]
    fault_count: int
    remarks: tuple[str, ...]
    chains: Mapping[int, str]


@dataclass(slots=True)
class AuditCheck:
    """Goes through a log: `take` each of its keys in order, then ask for the `verdict`.

    `of_interest`: numbers whose chain values are to be kept for a comparison.
    """

    of_interest: frozenset[int] = frozenset()
    _entries: int = 0
    _first: int = 0
    _expected: int = 1
    _chain: str | None = ""
    """The value that the next entry follows; None where that can't be known."""
    _last: AuditHead = NO_ENTRY
    _anchor: AuditHead = NO_ENTRY
    _head: AuditHead | None = None
    _head_there: bool = False
    _faults: list[AuditFault] = field(default_factory=list)
    _count: int = 0
    _remarks: list[str] = field(default_factory=list)
    _chains: dict[int, str] = field(default_factory=dict)

    def take(self, key: str, raw: bytes) -> None:
        """Look at one key and its value."""
        if key == AUDIT_ANCHOR:
            self._take_anchor(raw)
        elif key == AUDIT_HEAD:
            self._take_head(raw)
        else:
            self._take_entry(key, raw)

    def verdict(self) -> AuditVerdict:
        """What was found, once every key was taken."""
        faults, count = list(self._faults), self._count
        for fault in self._of_head():
            faults.append(fault)
            count += 1
        return AuditVerdict(
            self._entries,
            self._first,
            self._last,
            self._anchor,
            tuple(faults[-MOST_FAULTS:] if len(faults) > MOST_FAULTS else faults),
            count,
            tuple(self._remarks),
            self._chains,
        )

    def _take_anchor(self, raw: bytes) -> None:
        try:
            self._anchor = read_mark(AUDIT_ANCHOR, raw)
        except Damaged as error:
            self._fault(
                0,
                f"the anchor, {AUDIT_ANCHOR}, was edited or damaged: {error}",
                "where the log was trimmed can't be known, so entries at its beginning could be "
                "missing without a trace",
                "Compare the first entry with your exports",
            )
            self._expected, self._chain = 0, None
            return
        self._expected, self._chain = self._anchor.number + 1, self._anchor.chain
        self._keep(self._anchor)

    def _take_head(self, raw: bytes) -> None:
        self._head_there = True
        try:
            self._head = read_mark(AUDIT_HEAD, raw)
        except Damaged as error:
            self._fault(
                0,
                f"the head, {AUDIT_HEAD}, was edited or damaged: {error}",
                "which entry was the newest can't be known from it",
                "The next change writes it again, after the newest entry, and says so there",
            )

    def _take_entry(self, key: str, raw: bytes) -> None:
        number = parse_audit_key(key)
        if number is None:
            self._fault(
                0,
                f"{key!r} is not a key of an entry",
                "somebody wrote it by hand; it is no part of the log",
                "Delete the key in etcd",
            )
            return
        self._entries += 1
        self._first = self._first or number
        if self._expected and number > self._expected:
            self._missing(self._expected, number - 1)
        elif number < self._expected:
            self._fault(
                number,
                f"entry {number} lies before the anchor",
                "it was trimmed, and put back by hand",
                "Delete the key in etcd",
            )
            return
        chain = self._checked(number, key, raw)
        self._expected, self._chain = number + 1, chain
        self._last = AuditHead(number, chain or "")
        self._keep(self._last)

    def _checked(self, number: int, key: str, raw: bytes) -> str | None:
        """The chain value after an entry; None where it can't be known."""
        try:
            entry = read_entry(key, raw)
        except NewerSchema as error:
            self._fault(number, f"entry {number} can't be read: {error}", *_newer())
            return _chain_in(raw)
        except Damaged as error:
            self._fault(number, *_edited(number, raw, error))
            return _chain_in(raw)
        if entry.note and len(self._remarks) < _MOST_REMARKS:
            self._remarks.append(f"entry {number}: {entry.note}")
        if self._chain is not None and not follows(entry, self._chain):
            self._fault(
                number,
                f"entry {number} does not follow from the one before it",
                "it, or the one before it, was put in its place by somebody who computed its seal: "
                "that is no mistake",
                _KEEP,
            )
        return entry.chain

    def _missing(self, first: int, last: int) -> None:
        which = f"entry {first}" if first == last else f"entries {first} to {last}"
        are = "is" if first == last else "are"
        self._fault(
            first,
            f"{which} {are} missing",
            "deleted by hand: what was done then is not in the log",
            _KEEP,
        )
        self._chain = None

    def _of_head(self) -> Iterable[AuditFault]:
        last, head = self._last.number, self._head
        if not self._head_there and (self._entries or self._anchor):
            yield AuditFault(
                0,
                f"the head, {AUDIT_HEAD}, is missing",
                "deleted by hand, so entries at the end could be missing without a trace",
                "Run `tdc audit verify --against-agents`; the next change writes it again, after "
                "the newest entry, and says so there",
            )
        if head is None:
            return
        if head.number > max(last, self._anchor.number):
            first = max(last, self._anchor.number) + 1
            which = f"entries {first} to {head.number}"
            yield AuditFault(
                first,
                f"{which if first < head.number else f'entry {first}'}, the end of the log, "
                f"{'are' if first < head.number else 'is'} missing",
                "deleted by hand: what was done last is not in the log",
                _KEEP,
            )
        elif head.number < last:
            yield AuditFault(
                head.number,
                f"the head says that entry {head.number} is the newest, and there is entry {last}",
                "the head was set back by hand, or entries were added by hand",
                "The next change goes on after the newest entry, and says so there",
            )
        elif self._last.chain and head.number == last and head.chain != self._last.chain:
            yield AuditFault(
                last,
                f"entry {last}, the newest, is not the one that the head names",
                "the entry or the head was replaced by somebody who computed its seal: that is no "
                "mistake",
                _KEEP,
            )

    def _keep(self, head: AuditHead) -> None:
        if head.number in self.of_interest:
            self._chains[head.number] = head.chain

    def _fault(self, number: int, what: str, meaning: str, advice: str) -> None:
        self._count += 1
        if len(self._faults) < MOST_FAULTS:
            self._faults.append(AuditFault(number, what, meaning, advice))


def contradicts(word: Word, verdict: AuditVerdict) -> AuditFault | None:
    """What a word says against the log; None if it agrees, or is of entries that were trimmed."""
    head, end = word.head, verdict.newest.number
    saw = f"{word.who} entry {head.number} (chain {head.chain[:12]}…)"
    if head.number > max(end, verdict.trimmed.number):
        return AuditFault(
            head.number,
            f"{saw}; the log ends at entry {end}",
            "its end was cut off, or an older state of the store was restored: what was done after "
            f"entry {end} is not in the log",
            _RESTORED,
            word.source,
        )
    stored = verdict.chains.get(head.number)
    if stored and stored != head.chain:
        return AuditFault(
            head.number,
            f"{saw}; the log has another entry {head.number} (chain {stored[:12]}…)",
            "the log was written again from that entry or an earlier one on: what it says from "
            "there is not what was done",
            _RESTORED,
            word.source,
        )
    return None


_RESTORED = (
    "If you restored a backup, `tdc-manager adopt` says so to the agents; else somebody who can "
    "write to etcd has done this: restrict access to it, keep an export, compare it with syslog"
)


def _newer() -> tuple[str, str]:
    return "a newer manager wrote it", "Upgrade this manager, and verify again"


def _edited(number: int, raw: bytes, error: Damaged) -> tuple[str, str, str]:
    """What, meaning and advice of an entry whose bytes are not what was written."""
    try:
        inside = unpack_any(raw).get("number")
    except Damaged:
        inside = None
    if isinstance(inside, int) and inside != number:
        return (
            f"the key of entry {number} holds entry {inside}",
            "entries were put in another order by hand",
            _KEEP,
        )
    return (
        f"entry {number} was edited or damaged: {error}",
        "what it says is not what was written",
        _KEEP,
    )


def _chain_in(raw: bytes) -> str | None:
    """The chain value that a doubtful entry carries: the next entry shows whether it is right."""
    try:
        chain = unpack_any(raw).get("chain")
    except Damaged:
        return None
    return chain if isinstance(chain, str) and len(chain) == CHAIN_DIGITS else None
