"""PURE. How long the content filter waits for the next hop: each step, and its steps together."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HopTimeouts:
    """Seconds. The steps have those of RFC 5321 4.5.3.2; `connect` is short, for a neighbour.

    `opening` is for banner and EHLO together; `opening_hurried` is for connection, banner and EHLO
    while another next hop can be tried. `envelope` is for all waits of a transaction before its
    body. A body has `block` seconds and one more for each `rate` octets. `avoid` is how long a next
    hop that failed is tried last, doubled each time up to `avoid_longest`.
    """

    connect: float = 10.0
    greeting: float = 300.0
    command: float = 300.0
    data: float = 120.0
    block: float = 180.0
    final_dot: float = 600.0
    opening: float = 300.0
    opening_hurried: float = 5.0
    envelope: float = 1_800.0
    rate: float = 100_000.0
    idle: float = 60.0  # far below the peer's 5 minutes (RFC 5321 4.5.3.2.7)
    avoid: float = 30.0
    avoid_longest: float = 480.0

    @property
    def silence(self) -> float:
        """How long without a reply a stage before the body may be, while another can be tried.

        30 s: an MTA that asks another server about a sender or a recipient before it replies
        often gives it that long. Shorter, and a sound next hop would be given up for a mute one.
        """
        return self.command / 10

    @property
    def long(self) -> float:
        """How long a message waits for a reply before the body until that is reported."""
        return self.command / 20

    @property
    def long_for_body(self) -> float:
        """The same for the reply to the final dot, and for room to send the body."""
        return self.final_dot / 10

    @property
    def late(self) -> float:
        """How long a next hop may take to say that it takes no mail, and be asked first again."""
        return self.opening_hurried / 5

    @property
    def trial(self) -> float:
        """How long one message may try a next hop that has failed, without others beside it."""
        return max(self.avoid, self.opening_hurried + self.silence + self.long_for_body)

    def for_body(self, size: int) -> float:
        """How long a body may take in all."""
        return self.block + size / self.rate

    def avoid_after(self, failures: int) -> float:
        """How long to avoid a next hop that failed so many times in a row."""
        return min(self.avoid * 2.0 ** min(failures - 1, 16), self.avoid_longest)
