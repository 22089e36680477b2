"""PURE. Which reports are this machine's own: a proof in the loop header (docs/journal-report.md).

In: a machine's secret, and bytes that anybody may have written. Promise: without the secret nobody
can make a line that passes for this machine's, so no sender can keep a message from being copied
by writing the header into it.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

from tdc.node_agent.journal.headers import LoopLine, loop_lines

KEY_BYTES = 32
"""Length of a loop key: that of an HMAC-SHA256 (RFC 2104 3)."""


@dataclass(frozen=True, slots=True)
class Reporter:
    """Who makes reports: the domain of its addresses, the secret that proves which are its own."""

    domain: str
    loop_key: bytes = field(repr=False)


def signed(report_id: str, key: bytes) -> LoopLine:
    """The loop line of the report `report_id`, made with this machine's key."""
    return LoopLine(report_id, hmac.digest(key, report_id.encode(), hashlib.sha256).hex())


def is_own_report(content: bytes, key: bytes) -> bool:
    """Whether `content` is a report made with `key`, or a report around such a report.

    Only the outermost header counts: a user who forwards a report as an attachment sends an
    ordinary message. A message without a well-formed line costs no HMAC, any other at most
    MAX_LOOP_LINES of them.
    """
    return any(
        hmac.compare_digest(line.proof, signed(line.report_id, key).proof)
        for line in loop_lines(content)
    )
