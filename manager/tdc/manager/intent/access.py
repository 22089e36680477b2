"""Who somebody is, by what he has proven: a certificate, or the secret of a session or API token.

In: what an adapter found on its connection or in its call. Out: an Actor.
Promise: no call needs the store: all is known by the view. What was withdrawn, ended or revoked
anywhere is not good here as soon as the view knows it. A certificate counts as the user of its
name; where there never was one, as an administrator, for `tdc-manager operator` made it. A name
that no user may have, or that looks like a user's, counts for nobody.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace

from tdc.manager.identity.peer import Denied
from tdc.manager.intent.actor import Actor, Means
from tdc.manager.intent.errors import NotKnown
from tdc.manager.intent.last_uses import LastUses
from tdc.manager.intent.reaches import of_now
from tdc.manager.people.administrators import not_a_name
from tdc.manager.people.reach import EVERYWHERE, Role
from tdc.manager.people.secret import Kind, kind_of, secret_id
from tdc.manager.people.user import (
    ApiToken,
    Session,
    User,
    of_former_user,
    session_ended,
    token_ended,
)
from tdc.manager.view.fleet import FleetView
from tdc.shared.edge.clock import Clock, wall
from tdc.shared.sync.identity import Operator

log = logging.getLogger(__name__)

_LOG_IN = "log in again (tdc: `tdc login`)"


class Access:
    """Identifies callers, and notes when they came."""

    def __init__(self, view: FleetView, uses: LastUses, clock: Clock = wall) -> None:
        """`clock` gives Unix seconds, as sessions and tokens are stored."""
        self._view = view
        self.uses = uses
        """When each was last used."""
        self._clock = clock

    def by_certificate(self, operator: Operator, origin: str) -> Actor:
        """The operator of a verified certificate; raises Denied."""
        self.check(operator)
        user = self._view.people.users.get(operator.name)
        self.uses.certificate(operator, self._clock())
        role, reach = (user.role, user.reach) if user else (Role.ADMINISTRATOR, EVERYWHERE)
        reach = of_now(self._view, reach)
        return Actor(operator.name, role, reach, origin, Means.CERTIFICATE, operator.fingerprint)

    def check(self, operator: Operator) -> None:
        """Raise Denied unless a verified certificate is good still."""
        people = self._view.people
        if people.is_doubted(operator.name, operator.fingerprint):
            raise Denied(
                f"what is stored of {operator} can't be read, so it is not certain what he may do "
                "(tdc: `tdc status` names it). An administrator sets his role again, or on the "
                "manager's machine `tdc-manager user-recover` does"
            )
        known = people.certificates.get(operator.fingerprint)
        if known is not None and known.withdrawn is not None:
            raise Denied(
                f"the certificate of {operator} was withdrawn by {known.withdrawn_by}"
                + (f": {known.reason}" if known.reason else "")
                + ". Ask an administrator for access"
            )
        user = people.users.get(operator.name)
        why = not_a_name(operator.name, people.users) if user is None else ""
        if why:  # it would be an administrator, looking like somebody else
            raise Denied(
                f"the certificate of {operator.name!r} counts for nobody, for its name is not one "
                f"that a user may have: {why}. Make another (`tdc-manager operator`)"
            )
        if user is not None and user.deleted:
            raise Denied(f"the user {operator.name} was deleted, and his certificates with him")
        if user is not None and operator.fingerprint and of_former_user(user, operator.issued):
            raise Denied(
                f"the certificate of {operator} was made for an earlier user of this name, who was "
                "deleted, and does not open to the present one. For one made since, see "
                "`tdc-manager operator`"
            )

    def by_secret(self, secret: str, origin: str, *, used: bool = True) -> Actor:
        """Who has a session or an API token; raises NotKnown.

        Without `used` it is no use of the session, which ends in time all the same: a page that is
        left open asks again by itself.
        """
        match kind_of(secret):
            case Kind.SESSION:
                return self._by_session(secret_id(secret), origin, used=used)
            case Kind.TOKEN:
                return self._by_token(secret_id(secret), origin)
        raise NotKnown(
            "this is not the secret of a session or an API token, or it was not copied whole"
        )

    def _by_session(self, session_id: str, origin: str, *, used: bool) -> Actor:
        found = self.session(session_id)
        if found is None:
            raise NotKnown(f"the session has ended; {_LOG_IN}")
        session, user, ended = found
        if user is None or ended:
            raise NotKnown(f"the session has ended: {ended}; {_LOG_IN}")
        if used:
            self.uses.session(session, self._clock())
        reach = of_now(self._view, user.reach)
        return Actor(user.name, user.role, reach, origin, Means.SESSION, session.id)

    def _by_token(self, token_id: str, origin: str) -> Actor:
        found = self.token(token_id)
        if found is None:
            raise NotKnown("the API token is not known: it was revoked, or is of another store")
        token, user, ended = found
        if user is None or ended:
            raise NotKnown(f"the API token {token.label!r} is not good any more: {ended}")
        self.uses.token(replace(token, origin=origin), self._clock())
        role, reach = min(token.role, user.role), of_now(self._view, token.reach & user.reach)
        return Actor(user.name, role, reach, origin, Means.TOKEN, token.id)

    # -- what is known of them -----------------------------------------------------------------

    def session(self, session_id: str) -> tuple[Session, User | None, str] | None:
        """A session with its last use, its user, and why it has ended; None if it is not known."""
        people = self._view.people
        session = people.sessions.get(session_id)
        if session is None:
            return None
        user = self._user(session.user)
        used = self.uses.last(session.id, session.used)
        ended = session_ended(session, user, used, self._clock())
        return replace(session, used=used), user, ended

    def sessions(self) -> Iterator[Session]:
        """All sessions that are good, with their last uses."""
        for session_id in tuple(self._view.people.sessions):
            found = self.session(session_id)
            if found is not None and not found[2]:
                yield found[0]

    def token(self, token_id: str) -> tuple[ApiToken, User | None, str] | None:
        """An API token with its last use, its user, and why it has ended; None if not known."""
        token = self._view.people.tokens.get(token_id)
        if token is None:
            return None
        user = self._user(token.user)
        used = self.uses.last(token.id, token.used or 0.0) or None
        return replace(token, used=used), user, token_ended(token, user, self._clock())

    def tokens(self) -> Iterator[ApiToken]:
        """All API tokens that are good, with their last uses."""
        for token_id in tuple(self._view.people.tokens):
            found = self.token(token_id)
            if found is not None and not found[2]:
                yield found[0]

    def _user(self, name: str) -> User | None:
        return None if self._view.people.is_doubted(name) else self._view.people.users.get(name)
