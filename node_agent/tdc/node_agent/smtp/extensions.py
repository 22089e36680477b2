"""PURE. What a server offers in its EHLO reply (RFC 5321 4.1.1.1)."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from tdc.node_agent.smtp.replies import Reply


@dataclass(frozen=True, slots=True)
class Extensions:
    """Keyword -> its parameters, both in upper case; a keyword given twice counts as the last."""

    keywords: dict[str, str] = field(default_factory=dict)

    def __contains__(self, keyword: str) -> bool:
        return keyword in self.keywords

    def covers(self, keywords: AbstractSet[str]) -> bool:
        """Whether all of these are offered."""
        return self.keywords.keys() >= keywords

    @property
    def size(self) -> int | None:
        """The largest message in octets (RFC 1870): 0 for no bound stated, None if not offered."""
        value = self.keywords.get("SIZE")
        if value is None:
            return None
        first = value.partition(" ")[0]
        return int(first) if first.isascii() and first.isdigit() else 0

    @classmethod
    def from_reply(cls, hello: Reply) -> Extensions:
        """Read a positive reply to EHLO; its first line is the server's name."""
        words = [line.upper().split() for line in hello.lines[1:]]
        return cls({line[0]: " ".join(line[1:]) for line in words if line})
