"""PURE. Which reports are this machine's own: a proof in the loop header (docs/journal-report.md).

In: a machine's secret and bytes that anybody may have written. Promise: nobody without the secret
can make a line that is taken for this machine's, so no sender can keep a message from being
copied by writing the header into it.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

from tdc.node_agent.journal.headers import LoopLine, loop_lines

KEY_BYTES = 32
"""Length of a loop key: as long as what HMAC-SHA256 gives (RFC 2104 3)."""


@dataclass(frozen=True, slots=True)
class Reporter:
    """Who makes reports: the machine's name, and the secret that proves them to be its own."""

    machine: str
    loop_key: bytes = field(repr=False)


def signed(report_id: str, key: bytes) -> LoopLine:
    """Return the loop line of the report `report_id`, made with this machine's key."""
    return LoopLine(report_id, hmac.digest(key, report_id.encode(), hashlib.sha256).hex())


def is_own_report(content: bytes, key: bytes) -> bool:
    """Say whether `content` is a report made with `key`, or one around such a report.

    Only the outermost header counts: a user who forwards a report as an attachment sends an
    ordinary message. A message without a well-formed line costs no HMAC, any other at most
    MAX_LOOP_LINES of them.
    """
    return any(
        hmac.compare_digest(line.proof, signed(line.report_id, key).proof)
        for line in loop_lines(content)
    )
