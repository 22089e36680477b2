"""The first user of the console, made once by the address that `tdc-manager init` printed.

It is no operation, for nobody asks yet: who has the address is who set the manager up.
Promise: it opens for a while only, and never once there is an administrator of everything; what it
does is in the audit log like any other.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass

from tdc.manager.intent.actor import Actor, Means
from tdc.manager.intent.users import UserOperations
from tdc.manager.people.reach import EVERYWHERE, Role
from tdc.manager.view.fleet import FleetView
from tdc.shared.edge.clock import Clock, wall

LASTS = 900.0
"""Seconds for which a set-up address is good."""

_WHO = "set-up address"


class NotOpen(Exception):
    """There is no set-up here, or not any more, or not by this address."""


@dataclass(frozen=True, slots=True)
class SetupKey:
    """What is kept of a set-up address: the SHA-256 of its key, and when it ends, Unix seconds."""

    id: str
    ends: float


def key_id(key: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(key.encode(errors="replace")).hexdigest()


class FirstUser:
    """Makes the first user."""

    def __init__(
        self,
        view: FleetView,
        users: UserOperations,
        kept: Callable[[], SetupKey | None],
        clock: Clock = wall,
    ) -> None:
        """`kept` gives what `init` left, None if nothing."""
        self._view = view
        self._users = users
        self._kept = kept
        self._clock = clock

    def check(self, key: str) -> None:
        """Raise NotOpen unless the first user can be made by this key."""
        people = self._view.people
        if people.damaged or any(each.administers_all for each in people.users.values()):
            raise NotOpen
        kept = self._kept()
        if kept is None or not 0 < kept.ends - self._clock() <= LASTS:
            raise NotOpen
        if not hmac.compare_digest(kept.id, key_id(key)):
            raise NotOpen

    async def make(self, key: str, name: str, password: str, *, origin: str) -> None:
        """Make an administrator of everything; raises NotOpen, and as `create_user` does."""
        self.check(key)
        actor = Actor(_WHO, Role.ADMINISTRATOR, EVERYWHERE, origin, Means.SETUP, key_id(key))
        await self._users.create_user(actor, name, Role.ADMINISTRATOR, EVERYWHERE, password)
