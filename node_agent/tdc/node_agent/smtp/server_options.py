"""PURE. The limits of a session that a server serves."""

from __future__ import annotations

from dataclasses import dataclass

MAX_ERRORS = 20  # refusals of our own in one session
IDLE = 0.5
"""Seconds without a command after which a stop may end a session. An MTA that gets a 421 as it
begins a message puts it aside for minutes; one that is idle, or has its 250, connects again."""
SITS = 1.0
"""As IDLE, within a transaction: seconds without the next command. Who is at work sends it sooner;
who sits there must not keep a restart, and so everybody else, waiting."""


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Limits of a session; times are seconds.

    `command_timeout` is the wait for the next whole command (RFC 5321 4.5.3.2.7), `block_timeout`
    for the next part of a message (4.5.3.2.5). `message_timeout` is for the body of a message, and
    once more for all that the client takes before it, since its last message. A body has
    `block_timeout` and one second more for each `minimum_rate` octets of it that have come.
    """

    hostname: str
    max_recipients: int
    command_timeout: float
    block_timeout: float
    message_timeout: float
    minimum_rate: float
