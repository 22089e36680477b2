"""Users: made, given a role and a reach, a password, one-time codes; and deleted.

Promise: a change is made on all users as they are by then, at any manager, so an administrator of
the whole installation is always left once there is one; what a change takes away is not good any
more as soon as a manager's view knows it; no secret is logged or shown.
"""

from __future__ import annotations

import logging
import math
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from tdc.manager.identity.passwords import Passwords
from tdc.manager.identity.sealing import Sealing
from tdc.manager.intent.actor import Actor, Means
from tdc.manager.intent.asked_by import asked_by
from tdc.manager.intent.changes import CATCH_UP, require_etcd
from tdc.manager.intent.errors import (
    BadRequest,
    LastAdministrator,
    NotKnown,
    NotPermitted,
    PersonExists,
    TooManyTries,
    UnknownPerson,
)
from tdc.manager.intent.own_acts import OwnActs
from tdc.manager.intent.permissions import operation
from tdc.manager.intent.reaches import kept, of_now
from tdc.manager.people import totp
from tdc.manager.people.password import check_password
from tdc.manager.people.reach import Reach, Role
from tdc.manager.people.throttle import UNBOUND, Throttle
from tdc.manager.people.user import User, certificates_shut, check_user_name
from tdc.manager.store.people import PeopleStore, Users
from tdc.manager.view.fleet import FleetView
from tdc.shared.edge.clock import Clock, monotonic, wall
from tdc.shared.sync.audit_entry import AuditEvent

log = logging.getLogger(__name__)

ISSUER = "TDC"
"""What an authenticator app shows beside the name."""

_HIMSELF = "himself"
"""In place of an address: who is known is counted wherever he calls from."""


@dataclass(frozen=True, slots=True)
class UserRow:
    """A user as others see him, without hashes. Times are Unix seconds."""

    name: str
    role: Role
    reach: Reach
    has_password: bool
    has_second_factor: bool
    created: float
    created_by: str
    last_login: float | None


@dataclass(frozen=True, slots=True)
class SecondFactor:
    """One-time codes: the secret as an app takes it, empty once they are in force."""

    secret: str = field(default="", repr=False)
    uri: str = field(default="", repr=False)
    in_force: bool = False


class UserOperations:
    """Changes users. Reads the view, writes the store."""

    def __init__(
        self,
        view: FleetView,
        store: PeopleStore,
        passwords: Passwords,
        sealing: Sealing,
        acts: OwnActs,
        clock: Clock = wall,
        steady: Clock = monotonic,
    ) -> None:
        """`clock` gives Unix seconds; `steady` is what waits are measured by."""
        self._view = view
        self._store = store
        self._passwords = passwords
        self._sealing = sealing
        self._acts = acts
        self._clock = clock
        self._steady = steady
        self._throttle = Throttle(free_of_address=UNBOUND)

    @operation("people.list_users")
    async def list_users(self, actor: Actor, name: str) -> Sequence[UserRow]:
        """List users by name, or one; raises UnknownPerson."""
        users = self._view.people.users
        found = [users[each] for each in sorted(users) if name in ("", each)]
        rows = [self._row(each) for each in found if not each.deleted]
        if name and not rows:
            raise _unknown(name)
        return rows

    @operation("people.create_user")
    async def create_user(
        self, actor: Actor, name: str, role: Role | None, reach: Reach, password: str
    ) -> UserRow:
        """Make a user, without a password if that is empty.

        Raises PeopleError, UnknownName, PersonExists, EtcdAway, LostRace, an EtcdError.
        """
        check_user_name(name)
        role, stored = _given(role), kept(self._view, reach)
        hashed = await self._hashed(password, name) if password else ""
        now = self._clock()

        def made(users: Users) -> User:
            before = users.get(name)
            if before is not None and not before.deleted:
                raise PersonExists(f"there is a user {name} already; nothing was changed")
            earlier = before or User(name, role, number=0, epoch=0)
            if before is None and self._view.people.is_doubted(name):  # whoever he was
                earlier = replace(earlier, epoch=int(now), deleted=True)
            since = max(earlier.certificates_from, math.floor(now)) if earlier.deleted else 0.0
            return User(
                name,
                role,
                stored,
                hashed,
                born=max(now, earlier.born + 0.001),
                made_by=actor.name,
                number=earlier.number + 1,
                epoch=earlier.epoch + 1,
                certificates_from=since,
            )

        return await self._change(
            actor, "people.create_user", name, made, f"made the user {name}, {role} for {reach}"
        )

    @operation("people.set_role")
    async def set_role(self, actor: Actor, name: str, role: Role | None, reach: Reach) -> UserRow:
        """Set what a user may do; raises UnknownPerson, LastAdministrator, as `create_user`."""
        await self._look_after(actor, name)
        role, stored = _given(role), kept(self._view, reach)

        def changed(users: Users) -> User:
            before = _known(users, name)
            after = replace(before, role=role, reach=stored)
            return before if after == before else _renewed(after)

        said = f"made {name} {role} for {reach}"
        return await self._change(actor, "people.set_role", name, _keeping_one(changed), said)

    @operation("people.delete_user")
    async def delete_user(self, actor: Actor, name: str) -> UserRow:
        """Delete a user with all that is his; raises as `set_role`."""
        await self._look_after(actor, name)

        def changed(users: Users) -> User:
            user, known = _known(users, name), self._view.people.certificates.values()
            newest = max((each.issued or 0.0 for each in known if each.name == name), default=0.0)
            gone = replace(user, deleted=True, password="", second_factor="")
            shut = certificates_shut(user, self._clock(), newest)
            return _renewed(replace(gone, certificates_from=shut))

        return await self._change(
            actor, "people.delete_user", name, _keeping_one(changed), f"deleted the user {name}"
        )

    @operation("people.set_password")
    async def set_password(
        self, actor: Actor, name: str, password: str, old_password: str
    ) -> UserRow:
        """Set the actor's own password, with the old one, or another's.

        His first one he sets by his certificate; an administrator by certificate needs no old one.
        Raises NotKnown for a wrong old password, NotPermitted, PeopleError, UnknownPerson, as
        `create_user`.
        """
        name = name or actor.name
        own = name == actor.name
        await self._look_after(actor, name)
        known = _known(self._view.people.users, name)
        hashed = await self._hashed(password, name)
        if own:
            await self._require_old(actor, known, old_password)
            self._acts.take(name)

        def changed(users: Users) -> User:
            return _renewed(replace(_known(users, name), password=hashed))

        return await self._change(
            actor, "people.set_password", name, changed, f"set the password of {name}"
        )

    @operation("people.look_after_others")
    async def look_after_others(self, actor: Actor) -> None:
        """Do for others what everybody may do for himself; asked by what does."""

    @operation("people.look_after_oneself")
    async def look_after_oneself(self, actor: Actor) -> None:
        """Do something about oneself, or the proofs that one has; asked by what does."""

    @operation("people.set_second_factor")
    async def set_second_factor(
        self, actor: Actor, secret: str, code: str, password: str
    ) -> SecondFactor:
        """Make one-time codes for the actor himself; with a secret and a code, let them count.

        Raises BadRequest, NotKnown for a wrong password, UnknownPerson.
        """
        known = _known(self._view.people.users, actor.name)
        if not known.password:
            raise BadRequest("one-time codes go with a password: set one first")
        if not secret:
            raw = secrets.token_bytes(totp.SECRET_BYTES)
            return SecondFactor(
                totp.secret_shown(raw), totp.uri_of(raw, actor.name, ISSUER), in_force=False
            )
        raw = totp.secret_read(secret)
        step = totp.step_of(raw, code, self._clock(), 0)
        if step is None:
            raise BadRequest("the code is wrong: check the clock of the device that shows it")
        await self._check_own(known, password)
        self._acts.take(actor.name)
        sealed = self._sealing.seal(raw, actor.name)

        def changed(users: Users) -> User:
            before = _known(users, actor.name)
            return _renewed(replace(before, second_factor=sealed, last_step=step))

        await self._change(
            actor, "people.set_second_factor", actor.name, changed, "set one-time codes"
        )
        return SecondFactor(in_force=True)

    @operation("people.remove_second_factor")
    async def remove_second_factor(self, actor: Actor, name: str) -> UserRow:
        """Take one-time codes from a user who lost them; raises UnknownPerson."""
        await self._look_after(actor, name)

        def changed(users: Users) -> User:
            return _renewed(replace(_known(users, name), second_factor="", last_step=0))

        return await self._change(
            actor,
            "people.remove_second_factor",
            name,
            changed,
            f"took the one-time codes from {name}",
        )

    async def _hashed(self, password: str, name: str) -> str:
        return await self._passwords.hashed(check_password(password, name))

    async def _look_after(self, actor: Actor, name: str) -> None:
        """Require that the actor may do something about this user, himself or another."""
        if name == actor.name:
            await self.look_after_oneself(actor)
        else:
            await self.look_after_others(actor)

    async def _require_old(self, actor: Actor, known: User, old_password: str) -> None:
        """Require of who sets his own password what a passer-by at his terminal does not have."""
        by_certificate = actor.means is Means.CERTIFICATE
        if known.password and not (by_certificate and known.administers_all):
            await self._check_own(known, old_password)
        elif not by_certificate:
            raise NotPermitted(
                f"{known.name} has no password, and a first one is set by his certificate, or by "
                "an administrator (tdc: `tdc user set-password USER`)"
            )

    async def _check_own(self, known: User, password: str) -> None:
        """Require his present password, as slowly as a login: who has his session may guess too."""
        now = self._steady()
        wait = self._throttle.wait(known.name, _HIMSELF, now)
        if wait:
            raise TooManyTries(
                "your present password was wrong too often; the next one is looked at in "
                f"{math.ceil(wait)} s. Nothing was changed"
            )
        self._throttle.tried(known.name, _HIMSELF, now)
        if not await self._passwords.fits(password, known.password):
            raise NotKnown("your present password is wrong; nothing was changed")
        self._throttle.succeeded(known.name, _HIMSELF)

    async def _change(
        self, actor: Actor, what: str, name: str, change: Callable[[Users], User], said: str
    ) -> UserRow:
        require_etcd(self._view)
        event = AuditEvent(what, asked_by(actor), said)
        after = await self._store.change_user(name, change, self._view.people.users, event)
        log.info("%s %s", actor, said)
        await self._view.knows(lambda known: _is_known(known.users, after), CATCH_UP)
        return self._row(after)

    def _row(self, user: User) -> UserRow:
        return UserRow(
            name=user.name,
            role=user.role,
            reach=of_now(self._view, user.reach),
            has_password=bool(user.password),
            has_second_factor=bool(user.second_factor),
            created=user.born,
            created_by=user.made_by,
            last_login=user.last_login,
        )


def recovered(users: Users, name: str, password: str, now: float) -> User:
    """PURE. The user `name` as an administrator of all with this password's hash, made if needed.

    For who is at the manager's own machine, when nobody else can let him in.
    """
    before = users.get(name) or User(check_user_name(name), Role.ADMINISTRATOR, number=0, epoch=0)
    born = max(now, before.born + 0.001) if before.deleted or not before.born else before.born
    since = max(before.certificates_from, math.floor(now) if before.deleted else 0.0)
    return replace(
        User(name, Role.ADMINISTRATOR, password=password, born=born, certificates_from=since),
        last_login=before.last_login,
        made_by=before.made_by or "tdc-manager user-recover",
        number=before.number + 1,
        epoch=before.epoch + 1,
    )


def _keeping_one(change: Callable[[Users], User]) -> Callable[[Users], User]:
    """Refuse a change after which nobody administers the whole installation, if somebody did."""

    def checked(users: Users) -> User:
        after = change(users)
        then = {**users, after.name: after}
        had = any(each.administers_all for each in users.values())
        if had and not any(each.administers_all for each in then.values()):
            raise LastAdministrator(
                f"{after.name} is the last administrator of the whole installation; nothing was "
                "changed. Make another one first (tdc: `tdc user create`, `tdc user set-role`)"
            )
        return after

    return checked


def _renewed(user: User) -> User:
    """The record with its next numbers: what was good of the one before is not any more."""
    return replace(user, number=user.number + 1, epoch=user.epoch + 1)


def _given(role: Role | None) -> Role:
    if role is None:
        raise BadRequest(f"the request names no role; roles are {', '.join(map(str, Role))}")
    return role


def _known(users: Users, name: str) -> User:
    found = users.get(name)
    if found is None or found.deleted:
        raise _unknown(name)
    return found


def _unknown(name: str) -> UnknownPerson:
    return UnknownPerson(f"there is no user {name[:64]!r} (tdc: `tdc user list` shows them)")


def _is_known(users: Users, wanted: User) -> bool:
    found = users.get(wanted.name)
    return found is not None and found.number >= wanted.number
