"""Sessions, API tokens and operators' certificates: who one is, what there is of it, and its end.

Promise: everybody looks after his own, and an administrator of the whole installation after all; an
API token never does more than was asked for when it was made, and nothing about its own user's
proofs; what was ended is not good any more as soon as a manager's view knows it.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from tdc.manager.identity.credentials import new_secret
from tdc.manager.intent.access import Access
from tdc.manager.intent.actor import Actor, Means, held_by
from tdc.manager.intent.asked_by import asked_by
from tdc.manager.intent.changes import CATCH_UP, require_etcd
from tdc.manager.intent.errors import BadRequest, NotPermitted, UnknownPerson
from tdc.manager.intent.own_acts import OwnActs
from tdc.manager.intent.permissions import operation
from tdc.manager.intent.reaches import kept, of_now
from tdc.manager.intent.user_records import user_named
from tdc.manager.intent.users import UserOperations
from tdc.manager.people.reach import Reach, Role
from tdc.manager.people.secret import Kind
from tdc.manager.people.user import (
    LONGEST_TOKEN_LIFETIME,
    TOKEN_LIFETIME,
    ApiToken,
    OperatorCertificate,
    Session,
    User,
)
from tdc.manager.store.people import PeopleStore
from tdc.manager.view.fleet import FleetView
from tdc.shared.edge.clock import Clock, wall
from tdc.shared.settings.text import render_duration
from tdc.shared.sync.audit_entry import AuditEvent

log = logging.getLogger(__name__)

SHORT = 12
"""Digits of a hash by which a session, token or certificate is named."""
LABEL_LIMIT = 100
REASON_LIMIT = 1_000
MOST_TOKENS = 100
"""API tokens of one user."""


@dataclass(frozen=True, slots=True)
class WhoAmI:
    """Who the manager takes the caller for; `ends` is when that ends at the latest."""

    actor: Actor
    is_user: bool
    ends: float | None


@dataclass(frozen=True, slots=True)
class ApiTokenMade:
    """An API token in clear, and what it is."""

    secret: str = field(repr=False)
    token: ApiToken


class ProofOperations:
    """Reads the view, writes the store."""

    def __init__(
        self,
        view: FleetView,
        store: PeopleStore,
        access: Access,
        users: UserOperations,
        acts: OwnActs,
        clock: Clock = wall,
    ) -> None:
        self._view = view
        self._store = store
        self._access = access
        self._users = users
        self._acts = acts
        self._clock = clock
        self._ending: set[str] = set()

    @operation("people.who_am_i")
    async def who_am_i(self, actor: Actor) -> WhoAmI:
        """Say who the caller is."""
        people = self._view.people
        ends: float | None = None
        match actor.means:
            case Means.SESSION if actor.proof in people.sessions:
                ends = people.sessions[actor.proof].ends
            case Means.TOKEN if actor.proof in people.tokens:
                ends = people.tokens[actor.proof].ends
            case Means.CERTIFICATE if actor.proof in people.certificates:
                ends = people.certificates[actor.proof].ends
        return WhoAmI(actor, self._user_of(actor) is not None, ends)

    # -- sessions ------------------------------------------------------------------------------

    @operation("people.list_sessions")
    async def list_sessions(self, actor: Actor, user: str, *, all_users: bool) -> list[Session]:
        """List sessions, the actor's own unless others are named; newest first."""
        name = await self._whose(actor, user, all_users=all_users)
        found = [each for each in self._access.sessions() if name in ("", each.user)]
        return sorted(found, key=lambda each: each.born, reverse=True)

    @operation("people.end_sessions")
    async def end_sessions(self, actor: Actor, ids: Sequence[str], user: str) -> int:
        """End sessions by their ids, or all of a user, or the one that this call is made by.

        It is not counted as an own act: the login was, and who was robbed can always end all.

        Returns how many. Raises BadRequest, UnknownPerson, an EtcdError.
        """
        if not ids and not user and actor.means is not Means.SESSION:
            raise BadRequest(f"this call is not made by a session but by a {actor.means}")
        await self._require_there(actor, user)
        chosen = {actor.proof} if not ids and not user else set[str]()
        known = {each.id: each.user for each in self._access.sessions()}
        if user:
            chosen |= {each for each, owner in known.items() if owner == user}
        chosen |= {_named(each, known, "session") for each in ids}
        owners = {known.get(each, actor.name) for each in chosen} | ({user} if user else set())
        await self._look_after(actor, owners)
        require_etcd(self._view)
        with self._once(chosen) as mine:
            if mine:
                whose = ", ".join(sorted({known.get(each, actor.name) for each in mine}))
                said = f"ended sessions of {whose}: {', '.join(_shown(mine))}"
                event = AuditEvent("people.end_sessions", asked_by(actor), said)
                await self._store.end_sessions(sorted(mine), event)
                log.info("%s ended %d sessions", actor, len(mine))
            await self._view.knows(lambda people: not chosen & people.sessions.keys(), CATCH_UP)
        return len(mine)

    # -- API tokens ----------------------------------------------------------------------------

    @operation("people.create_token")
    async def create_token(
        self, actor: Actor, label: str, role: Role | None, reach: Reach | None, lifetime: int
    ) -> ApiTokenMade:
        """Make an API token of the actor's user, good for `lifetime` seconds (0: the default).

        It may be narrowed to a role and a reach. Raises NotPermitted, BadRequest, an EtcdError.
        """
        user = self._user_of(actor)
        if user is None:
            raise BadRequest(
                f"API tokens are of users, and there is no user {actor.name}: make one (tdc: `tdc "
                f"user create {actor.name} --role ROLE`)"
            )
        if not 0 < len(label.strip()) <= LABEL_LIMIT or not label.isprintable():
            raise BadRequest(f"an API token needs a label of 1 to {LABEL_LIMIT} characters")
        if not 0 <= lifetime <= LONGEST_TOKEN_LIFETIME:
            raise BadRequest(
                f"an API token lives 1s to {render_duration(LONGEST_TOKEN_LIFETIME)}, "
                f"not {render_duration(lifetime)}"
            )
        role, asked = role or actor.role, reach
        reach = asked or actor.reach
        if role > actor.role or not reach <= actor.reach:
            raise NotPermitted(
                f"a token that is {role} for {reach} would do more than {actor.name}, who is "
                f"{actor.role} for {actor.reach}"
            )
        if sum(each.user == actor.name for each in self._access.tokens()) >= MOST_TOKENS:
            raise BadRequest(f"{actor.name} has {MOST_TOKENS} API tokens: revoke some first")
        stored = kept(self._view, asked) if asked is not None else user.reach
        self._acts.take(actor.name)
        require_etcd(self._view)
        secret, now = new_secret(Kind.TOKEN), self._clock()
        ends = now + (lifetime or TOKEN_LIFETIME)
        token = ApiToken(
            secret.id, user.name, user.born, label.strip(), role, stored, made=now, ends=ends
        )
        said = f"made the API token {token.id[:SHORT]} ({token.label}), {role} for {reach}"
        event = AuditEvent("people.create_token", asked_by(actor), said)
        await self._store.add_token(token, event)
        log.info("%s made the API token %s (%r)", actor, token.id[:SHORT], token.label)
        await self._view.knows(lambda people: token.id in people.tokens, CATCH_UP)
        return ApiTokenMade(secret.text, replace(token, reach=reach))

    @operation("people.list_tokens")
    async def list_tokens(self, actor: Actor, user: str, *, all_users: bool) -> list[ApiToken]:
        """List API tokens, the actor's own unless others are named; newest first."""
        name = await self._whose(actor, user, all_users=all_users)
        found = [
            replace(each, reach=of_now(self._view, each.reach))
            for each in self._access.tokens()
            if name in ("", each.user)
        ]
        return sorted(found, key=lambda each: each.made, reverse=True)

    @operation("people.revoke_tokens")
    async def revoke_tokens(self, actor: Actor, ids: Sequence[str]) -> int:
        """Revoke API tokens by their ids; returns how many. Raises as `end_sessions`."""
        if not ids:
            raise BadRequest("name the API tokens by their ids; none never means all")
        known = {each.id: each.user for each in self._access.tokens()}
        chosen = {_named(each, known, "API token") for each in ids}
        await self._look_after(actor, {known[each] for each in chosen})
        require_etcd(self._view)
        with self._once(chosen) as mine:
            if mine:
                whose = ", ".join(sorted({known[each] for each in mine}))
                said = f"revoked API tokens of {whose}: {', '.join(_shown(mine))}"
                event = AuditEvent("people.revoke_tokens", asked_by(actor), said)
                await self._store.revoke_tokens(sorted(mine), event)
                log.info("%s %s", actor, said)
            await self._view.knows(lambda people: not chosen & people.tokens.keys(), CATCH_UP)
        return len(mine)

    @contextlib.contextmanager
    def _once(self, ids: set[str]) -> Iterator[set[str]]:
        """Those that no other call is about to end: each end is one entry, and not counted."""
        mine = ids - self._ending
        self._ending |= mine
        try:
            yield mine
        finally:
            self._ending -= mine

    # -- operators' certificates ---------------------------------------------------------------

    @operation("people.list_operators")
    async def list_operators(self, actor: Actor) -> list[OperatorCertificate]:
        """List operators' certificates that were seen or withdrawn, by name, newest first."""
        uses = self._access.uses
        found = [
            replace(
                each,
                used=uses.last(each.fingerprint, each.used or 0.0) or None,
            )
            for each in self._view.people.certificates_now
        ]
        return sorted(found, key=lambda each: (each.name, -(each.first or 0.0)))

    @operation("people.withdraw_operator")
    async def withdraw_operator(
        self, actor: Actor, fingerprint: str, reason: str
    ) -> OperatorCertificate:
        """Withdraw a certificate for good; raises BadRequest, UnknownPerson, an EtcdError."""
        if len(reason) > REASON_LIMIT:
            raise BadRequest(f"a reason has at most {REASON_LIMIT} characters")
        known = self._view.people.certificates
        plain = fingerprint.replace(":", "").lower()
        whole = len(plain) == 64 and set(plain) <= set("0123456789abcdef")
        if not whole or plain in known:  # one that was never seen is named whole
            plain = _named(plain, known, "certificate")
        if plain == actor.proof:
            raise BadRequest(
                "this is the certificate that you use now, and withdrawing it can't be undone: do "
                "it by another one, or by a session"
            )
        require_etcd(self._view)
        now = self._clock()

        def withdrawn(before: OperatorCertificate) -> OperatorCertificate:
            if before.withdrawn is not None:
                return before
            return replace(before, withdrawn=now, withdrawn_by=actor.name, reason=reason.strip())

        said = f"withdrew the operator's certificate {plain}"
        event = AuditEvent(
            "people.withdraw_operator", asked_by(actor), said, comment=reason.strip()
        )
        made = await self._store.withdraw_operator(
            plain, withdrawn, known.get(plain), self._view.people.users, event, held_by(actor, now)
        )
        log.info(
            "%s withdrew the certificate %s of %s: %r", actor, plain[:SHORT], made.name, reason
        )
        await self._view.knows(
            lambda people: (
                plain in people.certificates and people.certificates[plain].number >= made.number
            ),
            CATCH_UP,
        )
        return made

    def _user_of(self, actor: Actor) -> User | None:
        user = self._view.people.users.get(actor.name)
        return None if user is None or user.deleted else user

    async def _whose(self, actor: Actor, user: str, *, all_users: bool) -> str:
        """Whose are meant; empty for everybody's."""
        if all_users:
            await self._users.look_after_others(actor)
            return ""
        await self._look_after(actor, {user or actor.name})
        await self._require_there(actor, user)
        return user or actor.name

    async def _require_there(self, actor: Actor, name: str) -> None:
        """Raise UnknownPerson if another is named who is no user: a typing error ends nothing.

        Only who may look after others learns it.
        """
        if name and name != actor.name:
            await self._users.look_after_others(actor)
            user_named(self._view.people.users, name)

    async def _look_after(self, actor: Actor, names: Collection[str]) -> None:
        """Require that the actor may do something about what is these users'."""
        if any(each != actor.name for each in names):
            await self._users.look_after_others(actor)
        if actor.name in names:
            await self._users.look_after_oneself(actor)


def _shown(ids: Iterable[str]) -> list[str]:
    return [each[:SHORT] for each in sorted(ids)]


def _named(short: str, known: Iterable[str], what: str) -> str:
    """The one that begins so; raises UnknownPerson, BadRequest."""
    found = [each for each in known if each.startswith(short)]
    if len(short) < SHORT or not found:
        raise UnknownPerson(
            f"there is no {what} {short[:SHORT]!r} that is good: its id has {SHORT} digits or more"
        )
    if len(found) > 1:
        raise BadRequest(f"several begin with {short!r}: name more of its digits")
    return found[0]
