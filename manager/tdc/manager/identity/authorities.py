"""The CAs that one manager has: one, or two while one is replaced (the policy is `ca_state`).

In: the data folder, and later states as they become known. Out: certificates of the CA that signs,
and what is trusted. Promise: a state is on disk before it counts; all that asks for the CA gets
what counts now.
Failures: AuthorityMissing, AuthorityUnusable, durable_file.NotWritten.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from tdc.manager.identity import ca_folder
from tdc.manager.identity.authority import MACHINE_LIFETIME, Authority, Issued, fingerprint_of
from tdc.manager.identity.ca_state import CaState, Phase
from tdc.shared.edge.clock import Clock, wall


class Issuing(Protocol):
    """What issues certificates to machines. `ca_pem` is what they are to trust."""

    @property
    def ca_pem(self) -> bytes:
        """The trusted CAs' certificates, PEM, the one that signs first."""

    def check_request(self, csr_pem: bytes | str, /) -> None:
        """Raise RequestRefused if `issue_machine` would."""

    def issue_machine(
        self,
        csr_pem: bytes | str,
        cluster: str,
        machine: str,
        enrolment: str,
        *,
        lifetime: float = MACHINE_LIFETIME,
    ) -> bytes:
        """Issue a machine's certificate, PEM; raises RequestRefused."""


class Authorities:
    """The CAs in memory; see `load`."""

    def __init__(self, folder: Path, state: CaState, *, clock: Clock = wall) -> None:
        """Raises AuthorityUnusable."""
        self._folder = folder
        self._clock = clock
        self._listeners: list[Callable[[], None]] = []
        self._replaced: list[Callable[[], None]] = []
        self.replaced = False
        """Whether all of them were replaced without this manager: none counts any more."""
        self._set(state)

    @classmethod
    def load(cls, folder: Path, *, clock: Clock = wall) -> Authorities:
        """Read the CAs of `folder`; raises AuthorityMissing, AuthorityUnusable."""
        return cls(folder, ca_folder.read(folder), clock=clock)

    def _set(self, state: CaState) -> None:
        where = str(self._folder)
        self._all = tuple(Authority.of(each, where, clock=self._clock) for each in state.pairs)
        self._state = state

    @property
    def state(self) -> CaState:
        """What counts now."""
        return self._state

    @property
    def signing(self) -> Authority:
        """The CA that signs."""
        return self._all[0]

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the CA that signs: what join tokens carry."""
        return self.signing.fingerprint

    @property
    def trusted(self) -> tuple[str, ...]:
        """SHA-256 of each trusted CA, the one that signs first."""
        return tuple(each.fingerprint for each in self._all)

    @property
    def key_ids(self) -> frozenset[str]:
        """By what certificates name a trusted CA; none once all were replaced."""
        return frozenset(() if self.replaced else (each.key_id for each in self._all))

    @property
    def ca_pem(self) -> bytes:
        """The trusted CAs' certificates, PEM, the one that signs first."""
        return b"".join(each.ca_pem for each in self._all)

    def keys_for(self, purpose: str) -> tuple[bytes, ...]:
        """For each trusted CA what `Authority.key_for` gives, of the one that signs first."""
        return tuple(each.key_for(purpose) for each in self._all)

    @property
    def chain(self) -> bytes:
        """What a server shows after its own certificate, PEM.

        While the new CA signs and the old one is trusted, a peer that trusts either finds a way. A
        bridge stands before the CAs: of two with one name and key, clients follow the first.
        """
        if self._switched_back:
            # Join tokens that were made meanwhile name the CA that signed then.
            return self._chain((self._all[1].bridge_to(self.signing),))
        bridges = self._state.bridges[:1] if self._state.phase is Phase.SWITCHED else ()
        return self._chain(bridges)

    @property
    def _switched_back(self) -> bool:
        """Whether the new CA signed, and the old one does again."""
        return self._state.phase is Phase.PREPARED and self._state.used

    @property
    def open_chain(self) -> bytes:
        """The same where clients have no certificate: who trusts an earlier CA finds a way."""
        begun = self._state.phase is Phase.PREPARED  # its bridge leads to a CA that signs nothing
        return self._chain(self._state.bridges[1:] if begun else self._state.bridges)

    def _chain(self, bridges: tuple[str, ...]) -> bytes:
        others = b"".join(each.ca_pem for each in self._all[1:])
        begun = self._state.phase is Phase.PREPARED and not self._switched_back
        roots = self.signing.ca_pem if begun else others + self.signing.ca_pem
        return "".join(bridges).encode() + roots

    def check_request(self, csr_pem: bytes | str) -> None:
        """As `Authority.check_request`."""
        self.signing.check_request(csr_pem)

    def issue_machine(
        self,
        csr_pem: bytes | str,
        cluster: str,
        machine: str,
        enrolment: str,
        *,
        lifetime: float = MACHINE_LIFETIME,
    ) -> bytes:
        """As `Authority.issue_machine`, by the CA that signs."""
        return self.signing.issue_machine(csr_pem, cluster, machine, enrolment, lifetime=lifetime)

    def issue_operator(self, name: str) -> Issued:
        """As `Authority.issue_operator`, by the CA that signs."""
        return self.signing.issue_operator(name)

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener` after each change of what is trusted or signs; it must not block."""
        self._listeners.append(listener)

    def on_replaced(self, listener: Callable[[], None]) -> None:
        """Call `listener` once all of them were replaced; it must not block."""
        self._replaced.append(listener)

    def give_up(self) -> None:
        """Let none of them count from now on: all were replaced without this manager."""
        self.replaced = True
        for listener in self._replaced:
            listener()

    async def adopt(self, state: CaState) -> None:
        """Let a later state count, once it is on disk; raises NotWritten, AuthorityUnusable."""
        await asyncio.to_thread(ca_folder.write, self._folder, state)
        self._set(state)
        for listener in self._listeners:
            listener()


def trusted_in(ca_pem: bytes) -> tuple[str, ...]:
    """SHA-256 of each certificate of a PEM text; raises ValueError."""
    end = b"-----END CERTIFICATE-----\n"
    return tuple(fingerprint_of(each + end) for each in ca_pem.split(end) if each.strip())
