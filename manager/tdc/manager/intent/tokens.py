"""Join tokens for operators: made for a machine that exists, shown once, stored hashed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from tdc.manager.etcd.errors import EtcdAnswerLost
from tdc.manager.identity.join import DEFAULT_LIFETIME, MAX_LIFETIME, new_token
from tdc.manager.intent.actor import Actor
from tdc.manager.intent.asked_by import asked_by
from tdc.manager.intent.changes import require_etcd
from tdc.manager.intent.errors import BadRequest, EtcdAway
from tdc.manager.intent.permissions import operation
from tdc.manager.intent.within import within
from tdc.manager.levels.identities import slot_of
from tdc.manager.store.joins import JoinStore, JoinToken, Withdrawal
from tdc.manager.view.fleet import FleetView
from tdc.manager.view.presence import Presence
from tdc.shared.edge.clock import Clock, wall
from tdc.shared.settings.text import render_duration

log = logging.getLogger(__name__)

REASON_LIMIT = 1_000
"""Characters of the reason for a withdrawal."""


@dataclass(frozen=True, slots=True)
class TokenMade:
    """A join token in clear, and host:port to use it at; `expires` is Unix seconds."""

    text: str = field(repr=False)
    expires: float
    enrol_address: str


@dataclass(frozen=True, slots=True)
class CertificateGone:
    """Whose certificate was withdrawn. `unheard`: managers that may not hear of it, and why."""

    cluster: str
    machine: str
    unheard: tuple[str, ...] = ()


class TokenOperations:
    """Makes join tokens, each with the signing CA's `fingerprint`. `enrol_address` is host:port."""

    def __init__(
        self,
        view: FleetView,
        joins: JoinStore,
        fingerprint: Callable[[], str],
        enrol_address: str,
        presence: Presence,
        clock: Clock = wall,
    ) -> None:
        self._presence = presence
        self._view = view
        self._joins = joins
        self._fingerprint = fingerprint
        self._enrol_address = enrol_address
        self._clock = clock

    @operation("tokens.withdraw")
    async def withdraw(
        self, actor: Actor, machine: str, cluster: str, reason: str
    ) -> CertificateGone:
        """Let no certificate of a machine be good any more; it comes back by a new join token.

        One without a certificate is denied all the same: what there is may not be known.

        Raises UnknownName, AmbiguousName, BadRequest, LostRace, EtcdError.
        """
        if len(reason) > REASON_LIMIT:
            raise BadRequest(f"a reason has at most {REASON_LIMIT} characters")
        found, known = within(self._view, actor).find_machine(machine, cluster)
        require_etcd(self._view)
        withdrawal = Withdrawal(actor.name, reason.strip())
        await self._joins.withdraw(
            found.name,
            known.name,
            known.born,
            slot_of(known),
            withdrawal,
            self._clock(),
            asked_by(actor),
        )
        log.info(
            "%s withdrew the certificate of machine %s of cluster %s: %r",
            actor.name, machine, found.name, reason,
        )  # fmt: skip
        await self._presence.ask_others()
        return CertificateGone(found.name, known.name, self._presence.unheard)

    @operation("tokens.create")
    async def create(self, actor: Actor, machine: str, cluster: str, lifetime: int) -> TokenMade:
        """Make a token good for `lifetime` seconds (0: the default).

        Raises UnknownName, AmbiguousName, BadRequest, EtcdError.
        """
        if not 0 <= lifetime <= MAX_LIFETIME:
            raise BadRequest(
                f"a join token lives 1s to {render_duration(MAX_LIFETIME)}, "
                f"not {render_duration(lifetime)}"
            )
        found, known = within(self._view, actor).find_machine(machine, cluster)
        if self._view.etcd_away:
            raise EtcdAway(
                "etcd is unreachable, so no join token can be made now. Try again when it is back "
                f"(unreachable since {self._view.etcd_away})"
            )
        token = new_token(self._fingerprint())
        expires = self._clock() + (lifetime or DEFAULT_LIFETIME)
        allowed = JoinToken(found.name, known.group, known.name, expires, known.born, known.slot)
        try:
            await self._joins.add(token.hash, allowed, asked_by(actor))
        except EtcdAnswerLost as error:
            # Stored or not, nobody has been shown it, so nobody can use it.
            log.warning("a join token for machine %s: %s", machine, error)
            raise EtcdAway(
                "etcd did not answer in time, so no token was made for you; run the command again"
            ) from error
        log.info(
            "%s made a join token for machine %s of cluster %s", actor.name, machine, found.name
        )
        return TokenMade(token.text, expires, self._enrol_address)
