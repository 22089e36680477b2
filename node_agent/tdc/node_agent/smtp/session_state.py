"""PURE. The states of a server's session, and which command is refused in which.

    CONNECTED -EHLO-> READY -MAIL-> TRANSACTION -DATA, 354-> CONTENT -final dot-> READY
                        ^               |
                        +--RSET, EHLO---+--the backend gives it up--> LOST (MAIL, RSET leave it)

The table has only the refusals: whatever is not in it is allowed. LOST is there for the client
that pipelines. It may be in the middle of a transaction that is over already, and what it still
sends for it is refused for now; "send MAIL first" would be for good, and would make the client
return the message to its sender.
"""

from __future__ import annotations

from enum import Enum, auto

from tdc.node_agent.smtp.replies import Reply, reply


class State(Enum):
    """Where a session is. In CONTENT and CLOSING no command is read."""

    CONNECTED = auto()  # no EHLO yet
    READY = auto()  # between transactions
    TRANSACTION = auto()  # MAIL was given, and not refused
    LOST = auto()  # the backend gave a transaction up
    CONTENT = auto()  # DATA was answered 354: what comes is content
    CLOSING = auto()  # replies given are sent, and nothing more is read


_NO_MAIL = reply("503 5.5.1 Send MAIL first")

OUT_OF_ORDER: dict[tuple[bytes, State], Reply] = {
    (b"MAIL", State.CONNECTED): reply("503 5.5.1 Send EHLO first"),
    (b"MAIL", State.TRANSACTION): reply("503 5.5.1 Nested MAIL command"),
    (b"RCPT", State.CONNECTED): _NO_MAIL,
    (b"RCPT", State.READY): _NO_MAIL,
    (b"DATA", State.CONNECTED): _NO_MAIL,
    (b"DATA", State.READY): _NO_MAIL,
    (b"XFORWARD", State.TRANSACTION): reply("503 5.5.1 XFORWARD within a transaction"),
}


def out_of_order(verb: bytes, state: State, lost: Reply | None) -> Reply | None:
    """The refusal of a command in this state, None if it is allowed; `lost` is what LOST says."""
    if state is State.LOST and verb in (b"RCPT", b"DATA"):
        return lost
    return OUT_OF_ORDER.get((verb, state))
