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
from tdc.manager.intent.actor import Actor, Means, held_by
from tdc.manager.intent.asked_by import asked_by
from tdc.manager.intent.changes import CATCH_UP, require_etcd
from tdc.manager.intent.errors import (
    BadRequest,
    NotKnown,
    NotPermitted,
    PersonExists,
    TooManyTries,
)
from tdc.manager.intent.own_acts import OwnActs
from tdc.manager.intent.permissions import operation
from tdc.manager.intent.reaches import kept, of_now
from tdc.manager.intent.user_records import is_known, renewed, unknown, user_named
from tdc.manager.people import totp
from tdc.manager.people.password import check_password
from tdc.manager.people.provider import owner_of
from tdc.manager.people.reach import Reach, Role
from tdc.manager.people.throttle import UNBOUND, Throttle
from tdc.manager.people.user import (
    LONGEST_SUBJECT,
    Identity,
    User,
    certificates_shut,
    check_user_name,
    other_spelling,
)
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
    issuer: str = ""
    subject: str = ""
    by_groups: bool = False


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
        issuer: str = "",
        clock: Clock = wall,
    ) -> None:
        """`issuer` is the provider at which people log in; empty without one.

        `clock` gives Unix seconds.
        """
        self._view = view
        self._store = store
        self._passwords = passwords
        self._sealing = sealing
        self._acts = acts
        self._issuer = issuer
        self._clock = clock
        self._throttle = Throttle(free_of_address=UNBOUND)

    @operation("people.list_users")
    async def list_users(self, actor: Actor, name: str) -> Sequence[UserRow]:
        """List users by name, or one; raises UnknownPerson."""
        users = self._view.people.users
        found = [users[each] for each in sorted(users) if name in ("", each)]
        rows = [self._row(each) for each in found if not each.deleted]
        if name and not rows:
            raise unknown(name)
        return rows

    @operation("people.create_user")
    async def create_user(
        self,
        actor: Actor,
        name: str,
        role: Role | None,
        reach: Reach,
        password: str,
        subject: str = "",
    ) -> UserRow:
        """Make a user, without a password if that is empty; `subject` is who he is at the provider.

        Raises BadRequest, PeopleError, UnknownName, PersonExists, EtcdAway, LostRace, an
        EtcdError.
        """
        check_user_name(name)
        role, stored = _given(role), kept(self._view, reach)
        hashed = await self._hashed(password, name) if password else ""
        identity = self._identity(subject) if subject else None
        now = self._clock()

        def made(users: Users) -> User:
            before = users.get(name)
            if before is not None and not before.deleted:
                raise PersonExists(f"there is a user {name} already; nothing was changed")
            others = [each.name for each in users.values() if not each.deleted]
            seen = self._view.people.certificates.values()
            others += [each.name for each in seen if each.withdrawn is None]
            other = other_spelling(name, others)
            if other:
                raise PersonExists(
                    f"there is a user or a certificate {other} already, and names differ in more "
                    "than case; nothing was changed"
                )
            owner = owner_of(users.values(), identity) if identity is not None else None
            if owner is not None and owner.identity == identity and not owner.deleted:
                raise PersonExists(f"this person is the user {owner.name}; nothing was changed")
            earlier = before or User(name, role, number=0, epoch=0)
            if before is None and self._view.people.is_doubted(name):  # and who he was is not known
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
                identity=identity,
                barred=earlier.barred_next,
                certificates_from=since,
            )

        return await self._change(
            actor, "people.create_user", name, made, f"made the user {name}, {role} for {reach}"
        )

    @operation("people.set_role")
    async def set_role(self, actor: Actor, name: str, role: Role | None, reach: Reach) -> UserRow:
        """Set what a user may do, whatever his groups at a provider are from now on.

        Raises UnknownPerson, LastAdministrator, as `create_user`.
        """
        await self._look_after(actor, name)
        role, stored = _given(role), kept(self._view, reach)

        def changed(users: Users) -> User:
            before = user_named(users, name)
            after = replace(before, role=role, reach=stored, mapped=False)
            return before if after == before else renewed(after)

        said = f"made {name} {role} for {reach}"
        return await self._change(actor, "people.set_role", name, changed, said)

    @operation("people.delete_user")
    async def delete_user(self, actor: Actor, name: str) -> UserRow:
        """Delete a user with all that is his; raises as `set_role`."""
        await self._look_after(actor, name)

        def changed(users: Users) -> User:
            user, known = user_named(users, name), self._view.people.certificates.values()
            newest = max((each.issued or 0.0 for each in known if each.name == name), default=0.0)
            gone = replace(user, deleted=True, password="", second_factor="")
            shut = certificates_shut(user, self._clock(), newest)
            return renewed(replace(gone, certificates_from=shut))

        return await self._change(
            actor, "people.delete_user", name, changed, f"deleted the user {name}"
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
        known = user_named(self._view.people.users, name)
        hashed = await self._hashed(password, name)
        if own:
            await self._require_old(actor, known, old_password)
            self._acts.take(name)

        def changed(users: Users) -> User:
            before = user_named(users, name)
            if before.mapped or (own and before.identity is not None and not before.password):
                raise BadRequest(
                    f"{name} logs in at the provider {_issuer_of(before)}, which would not end a "
                    "password of his. For one nevertheless an administrator sets his role, so that "
                    "it is not that of his groups there, and then the password"
                )
            return renewed(replace(before, password=hashed))

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
        known = user_named(self._view.people.users, actor.name)
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
            before = user_named(users, actor.name)
            return renewed(replace(before, second_factor=sealed, last_step=step))

        await self._change(
            actor, "people.set_second_factor", actor.name, changed, "set one-time codes"
        )
        return SecondFactor(in_force=True)

    @operation("people.remove_second_factor")
    async def remove_second_factor(self, actor: Actor, name: str) -> UserRow:
        """Take one-time codes from a user who lost them; raises UnknownPerson."""
        await self._look_after(actor, name)

        def changed(users: Users) -> User:
            return renewed(replace(user_named(users, name), second_factor="", last_step=0))

        return await self._change(
            actor,
            "people.remove_second_factor",
            name,
            changed,
            f"took the one-time codes from {name}",
        )

    def _identity(self, subject: str) -> Identity:
        """Who somebody of this subject is; raises BadRequest."""
        if not self._issuer:
            raise BadRequest(
                "this manager knows no provider (oidc_issuer) whose subject it could be"
            )
        if len(subject) > LONGEST_SUBJECT or not subject.isprintable():
            raise BadRequest(f"a subject has at most {LONGEST_SUBJECT} printable characters")
        return Identity(self._issuer, subject)

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
        now = monotonic()
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
        known, held = self._view.people.users, held_by(actor, self._clock())
        after = await self._store.change_user(name, change, known, event, held=held)
        log.info("%s %s", actor, said)
        await self._view.knows(lambda known: is_known(known.users, after), CATCH_UP)
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
            issuer=_issuer_of(user),
            subject=user.identity.subject if user.identity is not None else "",
            by_groups=user.mapped,
        )


def _given(role: Role | None) -> Role:
    if role is None:
        raise BadRequest(f"the request names no role; roles are {', '.join(map(str, Role))}")
    return role


def _issuer_of(user: User) -> str:
    return user.identity.issuer if user.identity is not None else ""
