"""Login: a name, a password and perhaps a one-time code -> a session.

It is no operation, for nobody asks yet: what it does is to find out who.
Promise: a wrong name, a wrong password and a wrong code are answered alike, at the same cost; who
failed waits longer each time, and no account is locked; a code is good once, at all managers. Only
who has shown the right password is told that a code is needed, or that his was used before, and it
counts as a try: else he could guess codes without a wait.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from tdc.manager.identity.credentials import new_secret
from tdc.manager.identity.passwords import Passwords, is_old
from tdc.manager.identity.sealing import NotOpened, Sealing
from tdc.manager.intent.changes import CATCH_UP, require_etcd
from tdc.manager.intent.errors import BadRequest, NotKnown, TooManyTries
from tdc.manager.intent.own_acts import OwnActs
from tdc.manager.intent.reaches import of_now
from tdc.manager.people.password import LONGEST
from tdc.manager.people.reach import Reach, Role
from tdc.manager.people.secret import Kind
from tdc.manager.people.throttle import Throttle
from tdc.manager.people.totp import step_of
from tdc.manager.people.user import Session, User
from tdc.manager.store.errors import StoreError
from tdc.manager.store.people import PeopleStore
from tdc.manager.view.fleet import FleetView
from tdc.shared.edge.clock import Clock, monotonic, wall
from tdc.shared.sync.audit_entry import REFUSED, AuditEvent, By

log = logging.getLogger(__name__)

LOGIN = "people.log_in"
"""As what a login is written down: it is no operation of the table."""

_WRONG = "the name, the password or the one-time code is wrong"
_USED = "this one-time code was used already: wait for the next one, which comes within 30 s"


@dataclass(frozen=True, slots=True)
class SessionMade:
    """A session's secret in clear; `ends` is Unix seconds, at the latest."""

    secret: str = field(repr=False)
    name: str
    role: Role
    reach: Reach
    ends: float


@dataclass(frozen=True, slots=True)
class CodeNeeded:
    """The password is right, no code was given, and the user has one-time codes."""


class Login:
    """Begins sessions."""

    def __init__(
        self,
        view: FleetView,
        store: PeopleStore,
        passwords: Passwords,
        sealing: Sealing,
        refused: Callable[[AuditEvent], None],
        acts: OwnActs,
        steady: Clock = monotonic,
    ) -> None:
        """`refused` hears of logins that failed; `steady` is what waits are measured by."""
        self._view = view
        self._store = store
        self._passwords = passwords
        self._sealing = sealing
        self._refused = refused
        self._acts = acts
        self._steady = steady
        self.throttle = Throttle()

    async def log_in(
        self, name: str, password: str, code: str, *, origin: str, address: str
    ) -> SessionMade | CodeNeeded:
        """Begin a session; `address` is whom the caller is counted as.

        Raises NotKnown, TooManyTries, TooManyActs, BadRequest, EtcdAway, StoreError, an EtcdError.
        """
        if not 0 < len(name) <= 64 or len(password) > LONGEST:
            raise BadRequest("a login has a name, and a password of at most 1024 characters")
        require_etcd(self._view)
        now = self._steady()
        given = By(name, kind="unknown", means="password", origin=origin)  # he has proven nothing
        wait = self.throttle.wait(name, address, now)
        if wait:
            why = f"too many logins failed; the next one is looked at in {math.ceil(wait)} s"
            self._refused(AuditEvent(LOGIN, given, outcome=REFUSED, reason=why))
            raise TooManyTries(why)
        self.throttle.tried(name, address, now)
        people = self._view.people
        user = None if people.is_doubted(name) else people.users.get(name)
        good = await self._passwords.fits(password, _password_of(user))
        at = wall()
        step = _code_step(self._sealing, user, code, at)
        if user is not None and good and user.second_factor and not code.strip():
            log.info("%s from %s has the right password and is asked for a code", name, origin)
            return CodeNeeded()
        if user is None or not good or step is None:
            before = replace(user, last_step=0) if user is not None and good else None
            used = before is not None and _code_step(self._sealing, before, code, at) is not None
            said = _USED if used else _WRONG
            log.warning("login refused: %r from %s", name, origin)
            self._refused(AuditEvent(LOGIN, given, outcome=REFUSED, reason=said))
            raise NotKnown(said)
        self._acts.take(name)
        rehashed = await self._passwords.hashed(password) if is_old(user.password) else ""
        secret = new_secret(Kind.SESSION)

        def logged_in(stored: User) -> User:
            if (
                stored.deleted
                or stored.password != user.password
                or (
                    stored.second_factor != user.second_factor
                    or (user.second_factor and stored.last_step >= step)
                )
            ):
                raise NotKnown(_WRONG)  # changed meanwhile, or the code was used elsewhere
            return replace(
                stored,
                number=stored.number + 1,
                password=rehashed or stored.password,
                last_login=at,
                last_step=max(step, stored.last_step),
            )

        made = Session(secret.id, name, user.epoch, at, at, origin)
        by = By(name, role=str(user.role), means="password", origin=origin)
        try:
            made = await self._store.log_in(
                name, logged_in, made, AuditEvent(LOGIN, by, "logged in")
            )
        except NotKnown as error:
            self._refused(AuditEvent(LOGIN, given, outcome=REFUSED, reason=str(error)))
            raise
        except StoreError as error:
            log.warning("login of %r from %s: %s", name, origin, error)
            raise
        self.throttle.succeeded(name, address)
        log.info("%s logged in from %s", name, origin)
        await self._view.knows(lambda known: made.id in known.sessions, CATCH_UP)
        reach = of_now(self._view, user.reach)
        return SessionMade(secret.text, name, user.role, reach, made.ends)


def _password_of(user: User | None) -> str:
    return user.password if user is not None and not user.deleted else ""


def _code_step(sealing: Sealing, user: User | None, code: str, now: float) -> int | None:
    """The step of a one-time code, 0 where none is needed; None if it is wrong."""
    if user is None or not user.second_factor:
        return 0
    try:
        return step_of(sealing.open(user.second_factor, user.name), code, now, user.last_step)
    except NotOpened as error:
        log.error(
            "the one-time codes of %s can't be checked: %s. An administrator takes them away "
            "(`tdc user remove-codes`), and the user makes new ones",
            user.name,
            error,
        )
        return None
