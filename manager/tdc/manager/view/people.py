"""People as far as they could ever be read: users, sessions, API tokens, operators' certificates.

In: keys and values of people. Out: records, and sentences.
Promise: a record of a user or a certificate that can't be read, was deleted or set back by hand
leaves what was last known in its place, and is named; where nothing is known of it, that
user or certificate is refused. A session or token that can't be read is none.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import TypeVar

from tdc.manager.people.user import (
    ApiToken,
    OperatorCertificate,
    Session,
    User,
    with_its_user,
)
from tdc.manager.store.encoding import Damaged
from tdc.manager.store.keys import (
    API_TOKENS,
    OPERATORS,
    SESSIONS,
    USERS,
    operator_key,
    parse_people_key,
    user_key,
)
from tdc.manager.store.people_documents import (
    read_api_token,
    read_operator,
    read_session,
    read_user,
)
from tdc.manager.store.seal import Edited

_THEN = "what was last known is used, and without that nobody of this name is let in"

Kept = TypeVar("Kept", User, OperatorCertificate)


class KnownPeople:
    """The records of people, by name, hash or fingerprint."""

    def __init__(self) -> None:
        self._users: dict[str, User] = {}
        self._sessions: dict[str, Session] = {}
        self._tokens: dict[str, ApiToken] = {}
        self._certificates: dict[str, OperatorCertificate] = {}
        self._troubles: dict[str, str] = {}

    @property
    def users(self) -> Mapping[str, User]:
        """Users, those that were deleted too."""
        return MappingProxyType(self._users)

    @property
    def certificates_now(self) -> tuple[OperatorCertificate, ...]:
        """Operators' certificates; those of users who were deleted as withdrawn."""
        found = self._certificates.values()
        return tuple(with_its_user(each, self._users.get(each.name)) for each in found)

    @property
    def sessions(self) -> Mapping[str, Session]:
        """Sessions, perhaps over."""
        return MappingProxyType(self._sessions)

    @property
    def tokens(self) -> Mapping[str, ApiToken]:
        """API tokens, perhaps over."""
        return MappingProxyType(self._tokens)

    @property
    def certificates(self) -> Mapping[str, OperatorCertificate]:
        """Operators' certificates that were seen or withdrawn."""
        return MappingProxyType(self._certificates)

    @property
    def damaged(self) -> Collection[str]:
        """What can't be read, in sentences."""
        return tuple(self._troubles.values())

    def is_doubted(self, name: str, fingerprint: str = "") -> bool:
        """Whether there is a record of this user or certificate of which nothing can be known."""
        user, certificate = user_key(name), operator_key(fingerprint)
        return (user in self._troubles and name not in self._users) or (
            certificate in self._troubles and fingerprint not in self._certificates
        )

    def take(
        self, values: Mapping[str, bytes | None], *, all_of_it: bool, replaced: bool = False
    ) -> None:
        """Take new values (None: deleted).

        With `all_of_it`, what is not among them is gone. `replaced`: the store is another than
        before, or a restored one, so nothing is known of it.
        """
        if replaced:
            self._users.clear()
            self._certificates.clear()
        if all_of_it:
            self._troubles.clear()
            self._sessions.clear()
            self._tokens.clear()
            kept = [*map(user_key, self._users), *map(operator_key, self._certificates)]
            for key in (each for each in kept if each not in values):
                self._note(key, "was deleted by hand")
        for key, raw in values.items():
            self._take_one(key, raw)

    def _take_one(self, key: str, raw: bytes | None) -> None:
        self._troubles.pop(key, None)
        place = parse_people_key(key)
        if place is None:
            if raw is not None:
                shown = key.encode("utf-8", "backslashreplace").decode()  # a key may be no text
                self._troubles[key] = f"{shown} can't be read: this layout has no such key"
            return
        prefix, name = place
        try:
            match prefix:
                case _ if prefix == USERS:
                    read = read_user(key, raw) if raw is not None else None
                    self._keep(key, self._users, name, read)
                case _ if prefix == OPERATORS:
                    found = read_operator(key, name, raw) if raw is not None else None
                    self._keep(key, self._certificates, name, found)
                case _ if prefix == SESSIONS:
                    self._sessions.pop(name, None)
                    if raw is not None:
                        self._sessions[name] = read_session(key, name, raw)
                case _ if prefix == API_TOKENS:
                    self._tokens.pop(name, None)
                    if raw is not None:
                        self._tokens[name] = read_api_token(key, name, raw)
        except Edited as error:
            self._note(key, f"was edited by hand: {error}")
        except Damaged as error:
            self._note(key, f"can't be read: {error}")

    def _keep(self, key: str, known: dict[str, Kept], name: str, read: Kept | None) -> None:
        """Keep the newer one; no record of ours is ever deleted, and its number only grows."""
        before = known.get(name)
        if read is None:
            if before is not None:
                self._note(key, "was deleted by hand")
        elif before is not None and read.number < before.number:
            self._note(key, "was set back by hand")
        else:
            known[name] = read

    def _note(self, key: str, what: str) -> None:
        self._troubles[key] = f"{key} {what}: {_THEN}"
