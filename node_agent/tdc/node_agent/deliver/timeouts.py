"""PURE. How long delivery waits for an intake: a bound for each step, and one for all of them.

A step bound alone can be renewed: an intake that sends a byte now and then, or answers each command
at the last moment, would keep a connection and a copy for as long as it likes. So a step lasts
until a whole reply is here, and the steps together have a bound too.
"""

from __future__ import annotations

from dataclasses import dataclass

from tdc.node_agent.smtp.dialogue import Stage


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. The steps have those of RFC 5321 4.5.3.2; `connect` is for one address.

    `opening` is for all steps from the banner to the EHLO inside TLS, `opening_hurried` the same
    while another host is left to try, `envelope_hurried` then for MAIL, RCPT and DATA: nothing of a
    message is there yet, so that to give up repeats none. A message has `message` seconds in all,
    and one more for each `rate` octets of its content.
    """

    connect: float = 5.0
    banner: float = 300.0
    tls: float = 60.0
    command: float = 300.0  # EHLO, STARTTLS, MAIL, RCPT, RSET
    data: float = 120.0
    block: float = 180.0
    dot: float = 600.0
    opening: float = 600.0
    opening_hurried: float = 30.0
    envelope_hurried: float = 30.0
    message: float = 1_800.0
    rate: float = 10_000.0
    goodbye: float = 2.0  # for the reply to QUIT
    idle: float = 20.0  # an unused connection is closed

    def of(self, stage: Stage | None) -> float:
        """How long to wait for the reply at a stage."""
        if stage is Stage.BANNER:
            return self.banner
        if stage is Stage.DATA:
            return self.data
        return self.dot if stage is Stage.DOT else self.command

    def for_message(self, size: int) -> float:
        """How long one message may take in all."""
        return self.message + size / self.rate
