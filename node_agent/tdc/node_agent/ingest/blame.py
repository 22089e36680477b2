"""PURE. Whose fault it is that a message was not accepted: the next hop's, or its own.

The next hop is judged by whether mail passes (`hop_state.py`). A refusal says more or less of it:
  - 421, a closed connection and most of 4yz (disk full, queue file, overload) are the hop's;
  - an address, a mailbox, a size or a content (X.1.z, X.2.z, X.3.4, X.6.z) are the message's, and
    so is what greylisting says to a recipient (450, or 450 and 451 with 4.7.z);
  - the rest may be either: 554 5.7.1 is said to spam, and to all mail of a gateway that the next
    hop does not relay for. Of those it takes more in a row.
"""

from __future__ import annotations

from enum import IntEnum

from tdc.node_agent.smtp.replies import Reply

_OF_THE_MESSAGE = ("1.", "2.", "6.")
_TOO_LARGE = 552
_TOO_MANY_RECIPIENTS = "5.3"
_GREYLISTING = (450, 451)


class Blame(IntEnum):
    """Whose fault a refusal is; a greater one says more of the next hop."""

    MESSAGE = 0
    MAYBE = 1
    HOP = 2


def blame(answer: Reply, *, recipient: bool) -> Blame:
    """Judge a refusal, of a recipient or else of the whole message."""
    code, detail = answer.code, answer.enhanced[2:]
    if code == 421:
        return Blame.HOP
    if detail.startswith(_OF_THE_MESSAGE) or detail == "3.4":
        return Blame.MESSAGE
    if code == _TOO_LARGE and not detail:
        return Blame.MESSAGE
    if answer.permanent:
        return Blame.MAYBE
    policy = detail.startswith("7.") or (code == 450 and not detail)
    if recipient and ((policy and code in _GREYLISTING) or detail == _TOO_MANY_RECIPIENTS):
        return Blame.MESSAGE
    return Blame.MAYBE if policy else Blame.HOP
