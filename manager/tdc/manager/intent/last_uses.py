"""When sessions, API tokens and certificates were last used: kept here, and stored now and then.

Promise: a call never waits for it; each is stored at most every USE_WRITTEN_EVERY seconds, so what
other managers know of it is that old at most. What could not be stored is tried again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from tdc.manager.etcd.errors import EtcdError
from tdc.manager.people.user import (
    USE_WRITTEN_EVERY,
    ApiToken,
    OperatorCertificate,
    Session,
)
from tdc.manager.store.errors import StoreError
from tdc.manager.store.people import PeopleStore
from tdc.manager.view.fleet import FleetView
from tdc.shared.sync.identity import Operator

log = logging.getLogger(__name__)

LOOK_EVERY = 5.0
"""Seconds between two looks for what is to be stored."""
MOST_KEPT = 10_000


@dataclass(slots=True)
class _Use:
    """The last use (Unix seconds), how it is stored, and when that was done last."""

    at: float
    store: Callable[[float], Awaitable[object]]
    stored: float


class LastUses:
    """The last uses at this manager; `run` stores them."""

    def __init__(self, view: FleetView, store: PeopleStore) -> None:
        self._view = view
        self._store = store
        self._uses: dict[str, _Use] = {}

    def last(self, proof: str, stored: float) -> float:
        """When it was last used, Unix seconds; `stored` is what the store says."""
        use = self._uses.get(proof)
        return max(use.at, stored) if use is not None else stored

    def session(self, session: Session, now: float) -> None:
        """Note that a session was used."""

        async def store(at: float) -> None:
            await self._store.note_session_used(replace(session, used=at))

        self._note(session.id, now, store, session.used)

    def token(self, token: ApiToken, now: float) -> None:
        """Note that an API token was used."""

        async def store(at: float) -> None:
            await self._store.note_token_used(replace(token, used=at))

        self._note(token.id, now, store, token.used or 0.0)

    def certificate(self, operator: Operator, now: float) -> None:
        """Note that an operator's certificate was used."""
        known = self._view.people.certificates.get(operator.fingerprint)

        def used(before: OperatorCertificate, at: float) -> OperatorCertificate:
            first = before.first if before.first is not None else at
            whose = replace(before, name=operator.name, issuer=operator.issuer)
            return replace(whose, issued=operator.issued, ends=operator.ends, first=first, used=at)

        async def store(at: float) -> None:
            await self._store.note_operator(
                operator.fingerprint,
                lambda before: used(before, at),
                self._view.people.certificates.get(operator.fingerprint),
            )

        stored = known.used if known is not None and known.used is not None else 0.0
        self._note(operator.fingerprint, now, store, stored)

    def _note(
        self, proof: str, now: float, store: Callable[[float], Awaitable[object]], stored: float
    ) -> None:
        use = self._uses.get(proof)
        if use is None:
            if len(self._uses) >= MOST_KEPT:
                self._uses.pop(next(iter(self._uses)))
            self._uses[proof] = _Use(now, store, stored)
        else:
            use.at, use.store = max(use.at, now), store

    async def run(self) -> None:
        """Store what is due, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            await self.store_due()

    async def store_due(self) -> None:
        """Store each use that is so much later than the one that is stored."""
        if self._view.etcd_away:
            return
        for proof, use in list(self._uses.items()):
            if use.at - use.stored < USE_WRITTEN_EVERY:
                continue
            at = use.at
            try:
                await use.store(at)
            except (EtcdError, StoreError) as error:
                log.warning("the last use of %s… was not stored: %s", proof[:12], error)
                return
            use.stored = at
