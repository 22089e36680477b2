"""PURE. The table: what a 4yz or 5yz reply is about, by stage, code and enhanced code.

`row_for` gives the first row that fits. What follows from it is decided in `trouble` (with the
situation), `evidence` (with what else happened) and `settle`.

The order is that of certainty. The enhanced code comes before the code, for it was made to say what
a failure is about (RFC 3463: 1 address, 2 mailbox, 3 mail system, 4 network, 5 protocol, 6 content,
7 security and policy). Codes that name a command or a host (50x, 455, 521, 555) come before those
that name nothing. Only what is left at the end of data, 550 and 554 without a word why, is charged
to the message, and then only for as long as others pass.

Rows that surprise
==================
- *The first rows.* Whatever the reply to STARTTLS says, there is no TLS; 530 with no more than
  "5.7.0" asks for STARTTLS (RFC 3207 4). 421 may come at any time and ends the session (RFC 5321
  3.8); a host that greets with a refusal is a host to leave, whatever its reasons.
- *552* is the size only if it says so, or says nothing (RFC 1870 6); 552 5.2.2 is a full mailbox.
- *5.5.z* and the codes 500 to 504, 455 and 555 mean a command or a parameter that the intake does
  not know after all. So does 550 5.5.z: some write the code of a refusal in front of it.
- *5.1.z, 5.2.z, 5.7.z at the end of data* are about the intake as they are in reply to RCPT: some
  look at the recipient and at the sender's rights only then.
- *Greylisting* wants the same envelope again after some minutes, and an earlier attempt may
  restart its clock: the next probe waits for GREYLIST_WAIT at least.
- *452, 4.3.1, 4.5.3* complain of load: fewer connections from now on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from tdc.node_agent.smtp.dialogue import Stage
from tdc.node_agent.smtp.replies import Reply

GREYLIST_WAIT = 300.0
"""Least wait in seconds after a greylisting reply."""


class About(StrEnum):
    """What a failure is about."""

    CONNECTION = "the connection: it has carried enough, or ends for reasons of its own"
    HOST = "the host: another one may do better"
    INTAKE = "the intake: it would answer every report so"
    COMMAND = "a command or parameter that the intake does not know after all"
    FORM = "how the message is written"
    SIZE = "the size of the message, if that is plausible"
    MESSAGE = "the message"


@dataclass(frozen=True, slots=True)
class Row:
    """`stages`, `codes`, `topics`: when the row fits; empty for all.

    A code is a number, or the beginning of one. A topic is the end of an enhanced code
    ("7.1"), its subject alone ("7"), or "" for a reply without one. `says`: a word of the text.
    """

    stages: tuple[Stage, ...]
    codes: tuple[str, ...]
    topics: tuple[str, ...]
    about: About
    reason: str
    says: str = ""
    fewer: bool = False
    at_least: float = 0.0

    def fits(self, stage: Stage, reply: Reply) -> bool:
        """Say whether the row is about this reply."""
        return (
            (not self.stages or stage in self.stages)
            and str(reply.code).startswith(self.codes or ("",))
            and (not self.topics or not _topics(reply).isdisjoint(self.topics))
            and self.says in reply.text.lower()
        )


ENVELOPE = (Stage.RSET, Stage.MAIL, Stage.RCPT, Stage.DATA)
GREETING = (Stage.BANNER, Stage.EHLO)
_ANY_STAGE: tuple[Stage, ...] = ()
_ANY_CODE: tuple[str, ...] = ()
_ANY_TOPIC: tuple[str, ...] = ()
_NO_TOPIC = ("", "0")  # X.0.0 says no more than none
_MAIL, _DOT = (Stage.MAIL,), (Stage.DOT,)

ROWS: tuple[Row, ...] = (
    Row((Stage.STARTTLS,), _ANY_CODE, _ANY_TOPIC, About.HOST, "TLS Error"),
    Row(_ANY_STAGE, ("530",), ("", "7.0"), About.HOST, "TLS Error"),
    Row(ENVELOPE, ("421",), _ANY_TOPIC, About.CONNECTION, "Intake Busy", fewer=True),
    Row(_DOT, ("421",), _ANY_TOPIC, About.MESSAGE, "Intake Busy"),
    Row(_ANY_STAGE, ("421",), _ANY_TOPIC, About.HOST, "Intake Busy", fewer=True),
    Row(GREETING, _ANY_CODE, _ANY_TOPIC, About.HOST, "Host Refused"),
    # What the enhanced code says
    Row(_ANY_STAGE, _ANY_CODE, ("3.4", "2.3"), About.SIZE, "too-large"),
    Row(_ANY_STAGE, ("552",), _NO_TOPIC, About.SIZE, "too-large"),
    Row(_ANY_STAGE, ("5",), ("6",), About.FORM, "Message Refused"),
    Row(_ANY_STAGE, ("4",), ("6",), About.MESSAGE, "Message Deferred"),
    Row(_ANY_STAGE, _ANY_CODE, ("2.2",), About.INTAKE, "Intake Full"),
    Row(_ANY_STAGE, ("5",), ("3.1",), About.HOST, "Intake Full"),
    # What the code says of the command or the host
    Row(_ANY_STAGE, ("50", "455", "555"), _ANY_TOPIC, About.COMMAND, "Intake Refused"),
    Row(_ANY_STAGE, ("5",), ("5",), About.COMMAND, "Intake Refused"),
    Row(_ANY_STAGE, ("452",), _ANY_TOPIC, About.INTAKE, "Intake Busy", fewer=True),
    Row(_ANY_STAGE, ("4",), ("3.1", "5.3"), About.INTAKE, "Intake Busy", fewer=True),
    Row(_ANY_STAGE, ("521",), _ANY_TOPIC, About.HOST, "Intake Refused"),
    Row(_ANY_STAGE, ("5",), ("3", "4"), About.HOST, "Intake Refused"),
    Row(_ANY_STAGE, ("4",), ("3", "4"), About.HOST, "Intake Deferred"),
    Row(_MAIL, ("4",), _ANY_TOPIC, About.HOST, "Intake Deferred"),
    Row(_ANY_STAGE, ("4",), ("7.1", "2.0"), About.INTAKE, "Intake Deferred",
        at_least=GREYLIST_WAIT),
    Row(_ANY_STAGE, ("4",), _ANY_TOPIC, About.INTAKE, "Intake Deferred", "greylist",
        at_least=GREYLIST_WAIT),
    # What is left at the end of data: with a word why, it is the intake's
    Row(_DOT, ("550", "554"), _NO_TOPIC, About.MESSAGE, "Message Refused"),
    Row(_DOT, ("4",), (*_NO_TOPIC, "5"), About.MESSAGE, "Message Deferred"),
    # The rest is the intake's: all reports have the same envelope
    Row(_ANY_STAGE, ("4",), _ANY_TOPIC, About.INTAKE, "Intake Deferred"),
    Row(_ANY_STAGE, _ANY_CODE, _ANY_TOPIC, About.INTAKE, "Intake Refused"),
)  # fmt: skip

_SUBJECT = re.compile(r"[245]\.(([0-9]+)\.[0-9]+)")


def row_for(stage: Stage, reply: Reply) -> Row:
    """Give the first row that fits; the last one fits everything."""
    return next(row for row in ROWS if row.fits(stage, reply))


def _topics(reply: Reply) -> set[str]:
    match = _SUBJECT.fullmatch(reply.enhanced)
    return {match[1], match[2]} if match else {""}
