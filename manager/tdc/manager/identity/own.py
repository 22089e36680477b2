"""A manager's own certificates: its server's, and the one by which it calls the others.

Made when it starts, and again at half of their life and whenever another CA signs, while it runs:
new connections get the new ones, and open ones go on.
In: the CAs. Out: what servers show and channels use, as it is now.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from tdc.manager.identity.authorities import Authorities
from tdc.manager.identity.authority import SERVER_LIFETIME, Issued
from tdc.manager.identity.expiry import end_of_pem
from tdc.shared.edge.clock import Clock, wall

log = logging.getLogger(__name__)

LOOK_EVERY = 3_600.0
"""Seconds between two looks at the clock, at most: it may be set."""


@dataclass(frozen=True, slots=True)
class ServerIdentity:
    """PEM of the manager's own certificate and key, and of the CAs that clients' must be from.

    `open_certificate` is the certificate with the chain for clients that have none.
    """

    certificate: bytes
    key: bytes = field(repr=False)
    ca: bytes
    open_certificate: bytes = b""


class OwnCertificates:
    """Keeps a manager's certificates fresh; `run` once. `lifetime` is in seconds."""

    def __init__(
        self,
        authorities: Authorities,
        manager: str,
        names: tuple[str, ...],
        *,
        lifetime: float = SERVER_LIFETIME,
        clock: Clock = wall,
    ) -> None:
        """`manager` is this manager's id, as `self.manager`; `names` are those of its server."""
        self._authorities = authorities
        self.manager = manager
        self._names = names
        self._lifetime = lifetime
        self._clock = clock
        self._changed = asyncio.Event()
        self._listeners: list[Callable[[], None]] = []
        authorities.on_change(self._make_again)
        self._make()

    def _make(self) -> None:
        known, life = self._authorities, self._lifetime
        made = known.signing.issue_server(self._names, lifetime=life, chain=b"")
        self.server = ServerIdentity(
            certificate=made.certificate_pem + known.chain,
            key=made.key_pem,
            ca=known.ca_pem,
            open_certificate=made.certificate_pem + known.open_chain,
        )
        self.client: Issued = known.signing.issue_manager(self.manager, lifetime=life)
        self.ends = end_of_pem(made.certificate_pem)
        self._made_at = self._clock()

    @property
    def ca_pem(self) -> bytes:
        """The CAs that other managers' certificates must be from."""
        return self.server.ca

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener` after each change; it must not block."""
        self._listeners.append(listener)

    def due_in(self) -> float:
        """Seconds until they are made again; 0 or less if that is due, or the clock went back."""
        now = self._clock()
        if now < self._made_at:
            return 0.0
        return self._made_at + (self.ends - self._made_at) / 2 - now

    async def run(self) -> None:
        """Make them again whenever that is due, until cancelled."""
        while True:
            wait = self.due_in()
            if wait <= 0:
                self._make_again()
                log.info("this manager's own certificates were renewed")
                wait = self.due_in()
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(max(wait, _LEAST), LOOK_EVERY)):
                    await self._changed.wait()

    def _make_again(self) -> None:
        self._make()
        self._changed.set()
        for listener in self._listeners:
            listener()


_LEAST = 0.5
"""Seconds between two looks at least: where the CA itself ends, its certificates are short."""
