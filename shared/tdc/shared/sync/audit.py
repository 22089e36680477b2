"""PURE. The installation's audit log, as managers, agents and `tdc` know it: chain, head, witness.

Each entry has a chain value, SHA-256 over the value before it and the entry's content, so the
newest value names all entries. That finds whatever was changed inside, but not a tail that was cut
off, nor a log that was written again from some entry on: such a log is whole in itself. Therefore
the newest entry's number and value, its *head*, go to the agents with what they are wanted to run,
and each keeps what it saw. Rewriting the log in etcd does not rewrite what is on their disks.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

MOST_EARLIER = 8
"""Heads that an agent keeps beside the newest."""

CHAIN_DIGITS = 64


@dataclass(frozen=True, slots=True)
class AuditHead:
    """The newest entry of an audit log: its number, from 1, and its chain value; 0 without one."""

    number: int = 0
    chain: str = ""

    def __bool__(self) -> bool:
        return self.number > 0 and bool(self.chain)


NO_ENTRY = AuditHead()


@dataclass(frozen=True, slots=True)
class Witness:
    """What an agent saw of the audit log of the store `store_id`.

    `newest` came `at` (Unix seconds, by the agent's clock). `earlier`: heads that a manager's later
    word did not follow from, oldest first. It had a lower number, or the same with another value:
    that manager had not seen the newest entries yet, or the log was cut or rewritten. Which of the
    two, a comparison with the log says.
    """

    store_id: str = ""
    newest: AuditHead = NO_ENTRY
    at: float = 0.0
    earlier: tuple[AuditHead, ...] = ()

    @property
    def heads(self) -> tuple[AuditHead, ...]:
        """All that was seen and is kept, oldest first."""
        return tuple(each for each in (*self.earlier, self.newest) if each)

    def after(self, store_id: str, head: AuditHead, now: float) -> Witness:
        """What is kept once a manager of the store `store_id` has said that `head` is the newest.

        What was seen of another store is forgotten: revisions and entries of two stores can't be
        compared.
        """
        if not head or not store_id:
            return self
        if store_id != self.store_id or not self.newest:
            return Witness(store_id, head, now)
        if head.number > self.newest.number:
            return replace(self, newest=head, at=now)
        if head == self.newest or self.newest in self.earlier:
            return self
        return replace(self, earlier=(*self.earlier, self.newest)[-MOST_EARLIER:])


NOTHING_SEEN = Witness()


def chained(before: str, content: Mapping[str, object]) -> str:
    """The chain value of an entry with this content, after one whose value is `before`.

    The content is written as JSON with sorted names and no blanks, so that anybody can compute the
    value again from an exported line: all of it but `chain`.
    """
    whole = f"{before}\n{content_text(content)}".encode("utf-8", "surrogatepass")
    return hashlib.sha256(whole).hexdigest()


def content_text(content: Mapping[str, object]) -> str:
    """An entry's content as the one line of JSON that is chained and exported."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
