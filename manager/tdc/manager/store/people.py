"""People in etcd: users, sessions, API tokens, operators' certificates.

Promise: every change is in the audit log, in its own transaction; that somebody was here is not.
Changes of users are made one after the other, whatever managers make them, each on all
people as they are by then, and so are withdrawals of certificates: so none is made that would leave
nobody who can administer the whole installation, nor two that would so together. A login is one
transaction on its user, so a one-time code is used once. No secret is stored, only hashes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import replace
from typing import TypeVar

from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.values import Delete, KeyValue, Put, Unchanged
from tdc.manager.people.administrators import People, require_one_left
from tdc.manager.people.reach import Reach
from tdc.manager.people.user import ApiToken, OperatorCertificate, Session, User
from tdc.manager.store.audit import AuditLog
from tdc.manager.store.audit_events import user_rows
from tdc.manager.store.encoding import Damaged
from tdc.manager.store.errors import LostRace, UnreadableTouched
from tdc.manager.store.keys import (
    OPERATORS,
    PEOPLE,
    PEOPLE_HEAD,
    USERS,
    api_token_key,
    operator_key,
    parse_people_key,
    session_key,
    user_key,
)
from tdc.manager.store.people_documents import (
    pack_api_token,
    pack_operator,
    pack_people_head,
    pack_session,
    pack_user,
    read_operator,
    read_people_head,
    read_user,
)
from tdc.shared.edge.clock import Clock, wall
from tdc.shared.sync.audit_entry import AuditEvent
from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

T = TypeVar("T")

Users = Mapping[str, User]
"""All users by name, those that were deleted too."""


class PeopleStore:
    """The records of people in etcd."""

    def __init__(
        self,
        etcd: EtcdClient,
        audit: AuditLog,
        of_now: Callable[[Reach], Reach] | None = None,
        issuers: Callable[[], Collection[str]] | None = None,
        *,
        by_password: bool = True,
        clock: Clock = wall,
    ) -> None:
        """`of_now` gives a reach by the names of now, for the audit log; `issuers` trusted CAs.

        `by_password`: there is a port at which people log in with a password.
        """
        self._etcd = etcd
        self._audit = audit
        self._of_now = of_now or _as_kept
        self._issuers = issuers
        self._by_password = by_password
        self._clock = clock

    async def change_user(
        self,
        name: str,
        change: Callable[[Users], User],
        known: Users,
        event: AuditEvent,
        *,
        held: OperatorCertificate | None = None,
    ) -> User:
        """Store the user `name` as `change` makes him of all users; returns what is stored.

        `event` is written down with it, and what of him is another then. `change` may raise; it is
        called again after a race. `known` stands for users whose records can't be read, `held` is
        the certificate of who asks. Raises LastAdministrator.
        """
        return await _tried(lambda: self._change_user_once(name, change, known, event, held))

    async def _change_user_once(
        self,
        name: str,
        change: Callable[[Users], User],
        known: Users,
        event: AuditEvent,
        held: OperatorCertificate | None,
    ) -> User:
        head = await self._etcd.get(PEOPLE_HEAD)  # before the users, so that it covers them
        items = (await self._etcd.range(USERS)).items
        key = user_key(name)
        users = {**known, **_readable(items)}
        after = change(users)
        if after == users.get(name):
            return after
        before = self._people(users, await self._certificates(held))
        require_one_left(before, replace(before, users={**users, name: after}))
        item = next((each for each in items if each.key == key), None)
        changes = _head_number(head) + 1
        done = await self._audit.txn(
            [_unchanged(PEOPLE_HEAD, head), _unchanged(key, item)],
            [
                Put(PEOPLE_HEAD, pack_people_head(PEOPLE_HEAD, changes)),
                Put(key, pack_user(key, after)),
            ],
            replace(event, rows=user_rows(users.get(name), after, self._of_now)),
        )
        if not done:
            raise LostRace("users were changed by others meanwhile; nothing was changed")
        return after

    async def _certificates(
        self, held: OperatorCertificate | None
    ) -> Mapping[str, OperatorCertificate]:
        """Operators' certificates that can be read; `held` counts, though it be not noted yet."""
        items = (await self._etcd.range(OPERATORS)).items
        found = {held.fingerprint: held} if held is not None else {}
        for item in items:
            place = parse_people_key(item.key)
            if place is not None:
                with contextlib.suppress(Damaged):
                    found[place[1]] = read_operator(item.key, place[1], item.value)
        return found

    def _people(self, users: Users, certificates: Mapping[str, OperatorCertificate]) -> People:
        issuers = self._issuers() if self._issuers is not None else None
        return People(
            users, tuple(certificates.values()), self._clock(), issuers, self._by_password
        )

    async def users(self) -> Users:
        """All users whose records can be read; raises an EtcdError."""
        return _readable((await self._etcd.range(USERS)).items)

    async def log_in(
        self, name: str, change: Callable[[User], User], session: Session, event: AuditEvent
    ) -> Session:
        """Begin a session, and store its user as `change` makes him; returns it with his epoch.

        `change` may raise; it is called again after a race. Raises UnreadableTouched for a user
        who is not to be read, LostRace, an EtcdError.
        """
        return await _tried(lambda: self._log_in_once(name, change, session, event))

    async def _log_in_once(
        self, name: str, change: Callable[[User], User], session: Session, event: AuditEvent
    ) -> Session:
        key = user_key(name)
        item = await self._etcd.get(key)
        if item is None:
            raise UnreadableTouched(f"the record of user {name} is not there any more")
        try:
            before = read_user(key, item.value)
        except Damaged as error:
            raise UnreadableTouched(f"the record of user {name} can't be read: {error}") from None
        after = change(before)
        begun, place = replace(session, epoch=after.epoch), session_key(session.id)
        done = await self._audit.txn(
            [_unchanged(key, item), _unchanged(place, None)],
            [Put(key, pack_user(key, after)), Put(place, pack_session(place, begun))],
            event,
        )
        if not done:
            raise LostRace("the user was changed meanwhile; nothing was changed")
        return begun

    async def add_token(self, token: ApiToken, event: AuditEvent) -> None:
        """Store a new API token; raises an EtcdError, then it may not be good."""
        key = api_token_key(token.id)
        await self._audit.txn([Unchanged(key, 0)], [Put(key, pack_api_token(key, token))], event)

    async def end_sessions(self, ids: list[str], event: AuditEvent) -> None:
        """Delete sessions; one that is not there is no fault. Raises an EtcdError."""
        await self._delete([session_key(each) for each in ids], event)

    async def revoke_tokens(self, ids: list[str], event: AuditEvent) -> None:
        """Delete API tokens; one that is not there is no fault. Raises an EtcdError."""
        await self._delete([api_token_key(each) for each in ids], event)

    async def _delete(self, keys: list[str], event: AuditEvent) -> None:
        for begin in range(0, len(keys), _AT_ONCE):
            some = [Delete(key) for key in keys[begin : begin + _AT_ONCE]]
            await self._audit.txn([], some, event)

    async def note_session_used(self, session: Session) -> None:
        """Store when a session was used, unless it has ended; raises an EtcdError."""
        key = session_key(session.id)
        await self._write_over(key, pack_session(key, session))

    async def note_token_used(self, token: ApiToken) -> None:
        """Store when an API token was used, unless it was revoked; raises an EtcdError."""
        key = api_token_key(token.id)
        await self._write_over(key, pack_api_token(key, token))

    async def _write_over(self, key: str, value: bytes) -> None:
        item = await self._etcd.get(key)
        if item is not None:
            await self._etcd.txn([_unchanged(key, item)], [Put(key, value)])

    async def note_operator(
        self,
        fingerprint: str,
        change: Callable[[OperatorCertificate], OperatorCertificate],
        known: OperatorCertificate | None,
    ) -> OperatorCertificate:
        """Note what is known of a certificate as `change` makes it: its use, nothing more."""

        async def once() -> OperatorCertificate:
            key, item, stored = await self._operator(fingerprint, known)
            after = change(stored)
            if after == stored and item is not None:
                return after
            after = replace(after, number=stored.number + 1)
            writes = [Put(key, pack_operator(key, after))]
            if not (await self._etcd.txn([_unchanged(key, item)], writes)).succeeded:
                raise LostRace("the certificate's record was changed meanwhile")
            return after

        return await _tried(once)

    async def withdraw_operator(
        self,
        fingerprint: str,
        change: Callable[[OperatorCertificate], OperatorCertificate],
        known: OperatorCertificate | None,
        users: Users,
        event: AuditEvent,
        held: OperatorCertificate | None,
    ) -> OperatorCertificate:
        """Withdraw a certificate as `change` does; in the order of changes of users, as those.

        `users` stand for those whose records can't be read. Raises as `change_user`.
        """

        async def once() -> OperatorCertificate:
            head = await self._etcd.get(PEOPLE_HEAD)  # before all that it covers
            now = {**users, **_readable((await self._etcd.range(USERS)).items)}
            key, item, stored = await self._operator(fingerprint, known)
            after = change(stored)
            if after == stored and item is not None:
                return after
            after = replace(after, number=stored.number + 1)
            seen = {**await self._certificates(held), fingerprint: stored}
            before = self._people(now, seen)
            require_one_left(before, self._people(now, {**seen, fingerprint: after}))
            counted = pack_people_head(PEOPLE_HEAD, _head_number(head) + 1)
            done = await self._audit.txn(
                [_unchanged(PEOPLE_HEAD, head), _unchanged(key, item)],
                [Put(PEOPLE_HEAD, counted), Put(key, pack_operator(key, after))],
                event,
            )
            if not done:
                raise LostRace("people were changed by others meanwhile; nothing was changed")
            return after

        return await _tried(once)

    async def _operator(
        self, fingerprint: str, known: OperatorCertificate | None
    ) -> tuple[str, KeyValue | None, OperatorCertificate]:
        """Where a certificate is noted, what is there, and what that says or else is known."""
        key = operator_key(fingerprint)
        item = await self._etcd.get(key)
        stored = known or OperatorCertificate(fingerprint, number=0)
        with contextlib.suppress(Damaged):
            read = read_operator(key, fingerprint, item.value) if item is not None else stored
            stored = read if read.number >= stored.number else stored
        return key, item, stored

    async def everything(self) -> Mapping[str, bytes]:
        """All keys and values of people; raises an EtcdError."""
        return {item.key: item.value for item in (await self._etcd.range(PEOPLE)).items}


_AT_ONCE = 100  # etcd takes 128 operations, of which an entry takes two


async def _tried(once: Callable[[], Awaitable[T]]) -> T:
    async for attempt in AsyncRetrying(
        retry=retry_if_exception_type(LostRace),
        stop=stop_after_attempt(8),
        wait=wait_random_exponential(multiplier=0.02, max=0.5),
        reraise=True,
    ):
        with attempt:
            return await once()
    raise AssertionError("unreachable: the last attempt returns or raises")


def _as_kept(reach: Reach) -> Reach:
    return reach


def _unchanged(key: str, item: KeyValue | None) -> Unchanged:
    return Unchanged(key, item.mod_revision if item is not None else 0)


def _readable(items: tuple[KeyValue, ...]) -> dict[str, User]:
    users: dict[str, User] = {}
    for item in items:
        place = parse_people_key(item.key)
        if place is not None:
            with contextlib.suppress(Damaged):
                users[place[1]] = read_user(item.key, item.value)
    return users


def _head_number(head: KeyValue | None) -> int:
    try:
        return read_people_head(PEOPLE_HEAD, head.value) if head is not None else 0
    except Damaged:  # it orders by its last write, whatever it holds
        return 0
