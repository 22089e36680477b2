"""Login by a provider: two steps, and what is remembered between them is with who logs in.

It is no operation, as a login with a password is none. What the second step needs to know of the
first (state, nonce, PKCE verifier, device code, where the login comes back, when it ends) is sealed
into a handle by a key that follows from the CA's: so every manager can finish what another began,
and nothing is kept in memory. A handle is good for minutes and for one session: the moment at
which the last login of a user began is in his record, and none that began up to then is taken.

Promise: nobody comes in whom the provider has not vouched for, for this login, or whom the rules
here don't let in; each failure is counted, slowed down and written down; a provider that is away
harms no other login.
"""

from __future__ import annotations

import hmac
import logging
import math
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Literal

import msgspec
from tdc.manager.identity.credentials import new_secret
from tdc.manager.identity.rates import Budget, Rate
from tdc.manager.identity.sealing import NotOpened, Sealing
from tdc.manager.intent.changes import CATCH_UP, require_etcd
from tdc.manager.intent.errors import (
    BadRequest,
    NoProvider,
    NotKnown,
    ProviderUnreachable,
    TooManyTries,
)
from tdc.manager.intent.login import LOGIN, SessionMade
from tdc.manager.intent.own_acts import OwnActs
from tdc.manager.intent.reaches import kept, of_now
from tdc.manager.people.administrators import LastAdministrator
from tdc.manager.people.provider import Grant, NotAdmitted, admitted, granted, groups_in
from tdc.manager.people.secret import Kind
from tdc.manager.people.throttle import Throttle
from tdc.manager.people.user import Identity, Session, User
from tdc.manager.provider.asking import is_redirect
from tdc.manager.provider.client import ProviderClient
from tdc.manager.provider.metadata import LONGEST_CODE
from tdc.manager.provider.values import (
    Claims,
    NotOffered,
    NotProven,
    ProviderAway,
    ProviderError,
    ProviderRefused,
    Tokens,
)
from tdc.manager.store.people import PeopleStore, Users
from tdc.manager.view.fleet import FleetView
from tdc.manager.view.names import UnknownName
from tdc.shared.edge.clock import monotonic, wall
from tdc.shared.sync.audit_entry import REFUSED, AuditEvent, By

log = logging.getLogger(__name__)

LIFETIME = 600.0
"""Seconds in which a login by redirect must be finished."""
LONGEST_HANDLE = 8_192

EACH = Rate(burst=60, per_second=2.0)
"""Steps of logins from one address: who logs in by device asks each 5 seconds."""
IN_ALL = Rate(burst=600, per_second=20.0)

MEANS = "provider"
_AGAIN = "begin again (tdc: `tdc login --provider`)"
_LOCAL = "Passwords, sessions, API tokens and certificates are good all the same"


@dataclass(frozen=True, slots=True)
class Rules:
    """How a provider's claims are read here."""

    name_claim: str
    groups_claim: str
    grants: Sequence[Grant]


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider, and how its claims are read."""

    client: ProviderClient
    rules: Rules


@dataclass(frozen=True, slots=True)
class RedirectBegun:
    """A login by redirect: what a browser opens. `ends` is Unix seconds."""

    provider: str
    url: str
    state: str
    handle: str
    ends: float


@dataclass(frozen=True, slots=True)
class DeviceBegun:
    """A login by device: where a code is typed in. `interval` is seconds."""

    provider: str
    url: str
    user_code: str
    complete_url: str
    handle: str
    ends: float
    interval: int


@dataclass(frozen=True, slots=True)
class Pending:
    """The person has not answered at the provider yet."""

    slow_down: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """What the provider sent to where a login came back; empty for a login by device."""

    code: str = ""
    state: str = ""
    issuer: str = ""


class _Begun(msgspec.Struct, frozen=True):
    """What a handle holds. Times are Unix seconds."""

    kind: Literal["redirect", "device"]
    issuer: str
    client_id: str
    begun: float
    ends: float
    state: str = ""
    nonce: str = ""
    verifier: str = ""
    redirect: str = ""
    device_code: str = ""


class ProviderLogin:
    """Begins sessions of people who log in at a provider; with `provider` None there is none."""

    def __init__(
        self,
        provider: Provider | None,
        view: FleetView,
        store: PeopleStore,
        sealing: Sealing,
        refused: Callable[[AuditEvent], None],
        acts: OwnActs,
        throttle: Throttle,
    ) -> None:
        """`refused` hears of logins that failed."""
        self._provider = provider
        self._view = view
        self._store = store
        self._sealing = sealing
        self._refused = refused
        self._acts = acts
        self._throttle = throttle
        self._budget = Budget(EACH, IN_ALL)

    async def begin_redirect(self, redirect: str, *, origin: str, address: str) -> RedirectBegun:
        """Begin a login in a browser that comes back to `redirect`, on its own machine.

        Raises NoProvider, BadRequest, TooManyTries, ProviderUnreachable.
        """
        client = self._entered(origin, address).client
        if not is_redirect(redirect):
            raise BadRequest(
                "a login comes back to http://127.0.0.1:PORT/PATH, on the machine of who logs in"
            )
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        async with self._answering(client):
            url = await client.url(redirect, state, nonce, verifier)
        now = wall()
        begun = _Begun(
            "redirect",
            client.own.issuer,
            client.own.client_id,
            now,
            now + LIFETIME,
            state=state,
            nonce=nonce,
            verifier=verifier,
            redirect=redirect,
        )
        return RedirectBegun(client.own.issuer, url, state, self._sealed(begun), begun.ends)

    async def begin_device(self, *, origin: str, address: str) -> DeviceBegun:
        """Begin a login by a code that is typed in a browser anywhere; raises as above."""
        client = self._entered(origin, address).client
        async with self._answering(client):
            device = await client.begin_device()
        now, own = wall(), client.own
        ends = now + device.lifetime
        begun = _Begun("device", own.issuer, own.client_id, now, ends, device_code=device.code)
        return DeviceBegun(
            own.issuer,
            device.url,
            device.user_code,
            device.complete_url,
            self._sealed(begun),
            ends,
            device.interval,
        )

    async def finish(
        self, handle: str, answer: Answer, *, origin: str, address: str
    ) -> SessionMade | Pending:
        """Begin the session of a login that was completed at the provider.

        `address` is whom the caller is counted as. Raises NotKnown, NoProvider, BadRequest,
        TooManyTries, TooManyActs, ProviderUnreachable, EtcdAway, StoreError, an EtcdError.
        """
        provider = self._entered(origin, address)
        client, rules = provider.client, provider.rules
        if len(handle) > LONGEST_HANDLE or len(answer.code) > LONGEST_CODE:
            raise BadRequest("this is longer than anything that a login takes")
        require_etcd(self._view)
        given = By("", kind="unknown", means=MEANS, origin=origin)
        try:
            begun = self._opened(handle, client)
            async with self._answering(client):
                tokens = await self._redeemed(client, begun, answer)
                if isinstance(tokens, Pending):
                    return tokens
                wanted = (rules.name_claim, rules.groups_claim)
                claims = await client.identify(tokens, begun.nonce, wanted)
            given = replace(given, name=_called(claims, rules.name_claim))
            made = await self._session(provider, claims, begun, origin)
        except (NotKnown, NotAdmitted, LastAdministrator) as error:
            self._throttle.tried(client.own.issuer, address, monotonic())
            what = f"login by the provider {client.own.issuer}"
            log.warning("%s refused: %r from %s: %s", what, given.name, origin, error)
            event = AuditEvent(LOGIN, given, what, outcome=REFUSED, reason=str(error))
            self._refused(event)
            raise NotKnown(str(error)) from None
        self._throttle.succeeded(client.own.issuer, address)
        return made

    def _entered(self, origin: str, address: str) -> Provider:
        """The provider, for one more step; raises NoProvider, TooManyTries."""
        provider = self._provider
        if provider is None:
            raise NoProvider(
                "this manager knows no provider to log in at. Log in with a name and a password, "
                "or set oidc_issuer and what goes with it in manager.toml"
            )
        wait = self._throttle.wait(provider.client.own.issuer, address, monotonic())
        if wait:
            why = f"too many logins failed; the next one is looked at in {math.ceil(wait)} s"
            given = By("", kind="unknown", means=MEANS, origin=origin)
            self._refused(AuditEvent(LOGIN, given, outcome=REFUSED, reason=why))
            raise TooManyTries(why)
        if not self._budget.take(address):
            raise TooManyTries(
                "so many log in by the provider at this moment that this one has to wait; try "
                "again in a minute"
            )
        return provider

    @asynccontextmanager
    async def _answering(self, client: ProviderClient) -> AsyncIterator[None]:
        """The body asks the provider; its errors are those of a login."""
        issuer = client.own.issuer
        try:
            yield
        except ProviderAway as error:
            log.warning("the provider %s does not answer as it should: %s", issuer, error)
            raise ProviderUnreachable(
                f"the provider {issuer} does not answer as it should: {error}. Nobody can log in "
                f"by it now. {_LOCAL}"
            ) from None
        except NotOffered as error:
            raise NoProvider(f"the provider {issuer} was asked, and {error}") from None
        except NotProven as error:
            raise NotKnown(f"the provider {issuer} did not prove who this is: {error}") from None
        except ProviderError as error:
            raise NotKnown(f"the provider {issuer} refused the login: {error}; {_AGAIN}") from None

    def _sealed(self, begun: _Begun) -> str:
        return self._sealing.seal(msgspec.json.encode(begun), MEANS)

    def _opened(self, handle: str, client: ProviderClient) -> _Begun:
        """What a handle holds, if its login may still be finished; raises NotKnown."""
        try:
            begun = msgspec.json.decode(self._sealing.open(handle, MEANS), type=_Begun)
        except (NotOpened, msgspec.DecodeError):
            raise NotKnown(f"no manager here began this login; {_AGAIN}") from None
        if (begun.issuer, begun.client_id) != (client.own.issuer, client.own.client_id):
            raise NotKnown(f"this login was begun at another provider; {_AGAIN}")
        if wall() >= begun.ends:
            raise NotKnown(f"this login took too long; {_AGAIN}")
        return begun

    async def _redeemed(
        self, client: ProviderClient, begun: _Begun, answer: Answer
    ) -> Tokens | Pending:
        if begun.kind == "device":
            try:
                return await client.poll(begun.device_code)
            except ProviderRefused as error:
                if error.code in ("authorization_pending", "slow_down"):
                    return Pending(error.code == "slow_down")
                raise
        if not hmac.compare_digest(answer.state.encode(), begun.state.encode()):
            raise NotKnown(f"the answer is of another login (state); {_AGAIN}")
        about = await client.about()
        if answer.issuer != begun.issuer and (answer.issuer or about.names_itself):
            raise NotKnown(f"the answer is of another provider (iss); {_AGAIN}")
        if not answer.code:
            raise NotKnown(f"the answer has no code; {_AGAIN}")
        return await client.redeem(answer.code, begun.redirect, begun.verifier)

    async def _session(
        self, provider: Provider, claims: Claims, begun: _Begun, origin: str
    ) -> SessionMade:
        """Begin the session of the person of these claims; raises NotAdmitted, NotKnown."""
        issuer, rules = provider.client.own.issuer, provider.rules
        identity = Identity(issuer, str(claims["sub"]))
        groups = groups_in(claims.get(rules.groups_claim))
        grant, at = self._kept(granted(rules.grants, groups)), wall()

        def let_in(users: Users) -> User:
            taken = (each.name for each in self._view.people.certificates.values())
            return admitted(users, identity, claims, rules.name_claim, grant, at, taken)

        user = await self._stored(let_in, grant, issuer, origin)
        secret = new_secret(Kind.SESSION)

        def logged_in(stored: User) -> User:
            if stored.deleted or stored.identity != identity or stored.epoch != user.epoch:
                raise NotKnown(f"the user {user.name} was changed meanwhile; {_AGAIN}")
            if stored.last_begun >= begun.begun:
                raise NotKnown(
                    f"this login was used before, or a later one of {user.name} was; {_AGAIN}"
                )
            return replace(stored, number=stored.number + 1, last_login=at, last_begun=begun.begun)

        session = Session(secret.id, user.name, user.epoch, at, at, origin)
        by = By(user.name, role=str(user.role), means=MEANS, origin=origin)
        event = AuditEvent(LOGIN, by, f"logged in by the provider {issuer}")
        made = await self._store.log_in(user.name, logged_in, session, event)
        log.info("%s logged in by the provider %s from %s", user.name, issuer, origin)
        await self._view.knows(lambda known: made.id in known.sessions, CATCH_UP)
        reach = of_now(self._view, user.reach)
        return SessionMade(secret.text, user.name, user.role, reach, made.ends)

    def _kept(self, grant: Grant | None) -> Grant | None:
        """A role with the reach that its names have now; raises NotAdmitted."""
        if grant is None:
            return None
        try:
            return replace(grant, reach=kept(self._view, grant.reach))
        except UnknownName as error:
            log.warning("nobody of the provider's group %r comes in: %s", grant.group, error)
            raise NotAdmitted(
                f"the group {grant.group!r} at the provider has a role here (oidc_roles) for what "
                f"is not there: {error}"
            ) from None

    async def _stored(
        self, let_in: Callable[[Users], User], grant: Grant | None, issuer: str, origin: str
    ) -> User:
        """The user who comes in, stored as he is from now on; raises NotAdmitted, NotKnown."""
        known = self._view.people.users
        user = let_in(known)
        if self._view.people.is_doubted(user.name):
            raise NotKnown(f"the record of user {user.name} can't be read")
        self._acts.take(user.name)
        if known.get(user.name) == user:
            return user

        def changed(users: Users) -> User:
            after = let_in(users)
            if after.name != user.name:
                raise NotKnown(f"the user {user.name} was changed meanwhile; {_AGAIN}")
            return after

        group = f", by the group {grant.group!r} there" if grant is not None else ""
        reach = of_now(self._view, user.reach)
        said = f"{user.name} of the provider {issuer} is {user.role} for {reach}{group}"
        by = By(user.name, role=str(user.role), means=MEANS, origin=origin)
        return await self._store.change_user(user.name, changed, known, AuditEvent(LOGIN, by, said))


def _called(claims: Claims, name_claim: str) -> str:
    name = claims.get(name_claim)
    return name[:64] if isinstance(name, str) and name.isprintable() else ""
