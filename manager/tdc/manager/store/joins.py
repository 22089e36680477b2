"""Join tokens and enrolments: a token lets one machine enrol once, however often it is sent.

A token is known by its hash only. Redeeming is one transaction: the token is marked used and the
machine's enrolment is written, or neither. Of two racing calls exactly one wins.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.errors import EtcdAnswerLost, EtcdUnavailable
from tdc.manager.etcd.values import KeyValue, Put, Unchanged
from tdc.manager.store.audit import AuditLog
from tdc.manager.store.audit_events import enrolment_event, token_event, withdrawal_event
from tdc.manager.store.encoding import Damaged, count_of, moment_of, text_of
from tdc.manager.store.errors import LostRace, TokenExpired, TokenUnknown, TokenUsed
from tdc.manager.store.keys import enrolment_count_key, enrolment_key, join_token_key
from tdc.manager.store.places import AS_NAMED, Places
from tdc.manager.store.seal import Edited, is_sealed, pack_sealed, unpack_sealed
from tdc.shared.sync.audit_entry import UNKNOWN, By
from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class JoinToken:
    """What a token allows: this machine of this group, until `expires` (Unix seconds).

    As it is stored, `cluster` is the name in its keys, whatever it is called.

    `born` is the revision that created the machine: another one of its name can't use the token.
    `slot` is the name under which its enrolment is kept; empty if that is the machine's.
    """

    cluster: str
    group: str
    machine: str
    expires: float
    born: int = 0
    slot: str = ""

    @property
    def kept_as(self) -> str:
        """The name under which the machine's enrolment is kept."""
        return self.slot or self.machine


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """Who withdrew a machine's certificates, and why."""

    by: str
    reason: str = ""


def withdrawn_words(withdrawal: Withdrawal) -> str:
    """PURE. That a certificate was withdrawn, by whom, and why."""
    why = f": {withdrawal.reason}" if withdrawal.reason else ""
    return f"its certificate was withdrawn by {withdrawal.by}{why}"


@dataclass(frozen=True, slots=True)
class ValidEnrolment:
    """The one enrolment of a machine that is good: certificates of any other id are denied.

    `at` is Unix seconds. `number` grows with each enrolment of the machine, whatever the clocks
    say; 0 for one of before that. `token` is the hash of the join token that it used. `sealed`: it
    is stored with a seal, as each is that is written now. `born` is the revision that created the
    machine: an enrolment is good for no other one of its name. `counted`: an EnrolmentCount was
    written with it. `withdrawn`: it is good for nobody; its id is one that no certificate has.
    """

    id: str
    at: float
    number: int = 0
    token: str = ""
    sealed: bool = True
    born: int = 0
    counted: bool = False
    withdrawn: Withdrawal | None = None


@dataclass(frozen=True, slots=True)
class EnrolmentCount:
    """The number of a machine's newest enrolment, a second time, and the token that it used.

    It shows that an older enrolment was put back.
    """

    number: int
    token: str = ""


@dataclass(frozen=True, slots=True)
class StoredToken:
    """A join token as stored; `used_by` is the enrolment id that used it, None while unused."""

    token: JoinToken
    used_by: str | None = None
    used_at: float | None = None


class JoinStore:
    """The join tokens and enrolments in etcd."""

    def __init__(
        self, etcd: EtcdClient, audit: AuditLog | None = None, places: Places = AS_NAMED
    ) -> None:
        self._etcd = etcd
        self._audit = audit or AuditLog(etcd)
        self._places = places

    async def add(self, token_hash: str, token: JoinToken, by: By = UNKNOWN) -> None:
        """Store a new token by its hash; raises an EtcdError, then the token may not be valid.

        Writing the same token again is harmless: a used token stays used.
        """
        key = join_token_key(token_hash)
        event = token_event(token_hash, token.cluster, token.machine, token.expires, by)
        token = replace(token, cluster=self._places.place(token.cluster))
        written = [Put(key, pack_token(key, StoredToken(token)))]
        await self._audit.txn([Unchanged(key, 0)], written, event)

    async def redeem(
        self, token_hash: str, now: float, enrolment_id: str, origin: str = ""
    ) -> JoinToken:
        """Use a token for the enrolment `enrolment_id`, which the caller made for this call.

        `origin` is where the call came from, for the audit log.

        Raises TokenUnknown, TokenUsed, TokenExpired, or an EtcdError; after EtcdAnswerLost the
        same call with the same enrolment id is safe and gives the same token.
        """
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type((_Raced, EtcdAnswerLost)),
            stop=stop_after_attempt(5),
            wait=wait_random_exponential(multiplier=0.1, max=2),
            reraise=True,
        ):
            with attempt:
                return await self._redeem_once(token_hash, now, enrolment_id, origin)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _redeem_once(
        self, token_hash: str, now: float, enrolment_id: str, origin: str
    ) -> JoinToken:
        key = join_token_key(token_hash)
        item = await self._etcd.get(key)
        stored = _usable(item, now, enrolment_id)
        if stored.used_by == enrolment_id:  # our own earlier try, whose answer was lost
            return stored.token
        assert item is not None
        token = stored.token
        place = enrolment_key(token.cluster, token.kept_as)
        count = enrolment_count_key(token.cluster, token.kept_as)
        before = await self._etcd.get_many([place, count])
        number = _next_number(before.get(place), before.get(count), token_hash, token.born, now)
        enrolled = ValidEnrolment(
            enrolment_id, now, number, token_hash, born=token.born, counted=True
        )
        known = _readable(before.get(place), read_enrolment)
        event = enrolment_event(
            token_hash,
            self._places.called(token.cluster),
            token.machine,
            known.id if known is not None else "",
            enrolment_id,
            origin,
        )
        enrols = await self._audit.txn(
            [
                Unchanged(key, item.mod_revision),
                *(
                    Unchanged(each, before[each].mod_revision if each in before else 0)
                    for each in (place, count)
                ),
            ],
            [
                Put(key, pack_token(key, replace(stored, used_by=enrolment_id, used_at=now))),
                Put(place, pack_enrolment(place, enrolled)),
                Put(count, pack_count(count, EnrolmentCount(number, token_hash))),
            ],
            event,
        )
        if not enrols:
            raise _Raced("the join token changed meanwhile")
        return token

    async def withdraw(
        self,
        cluster: str,
        machine: str,
        born: int,
        slot: str,
        withdrawal: Withdrawal,
        now: float,
        by: By,
    ) -> None:
        """Let no certificate of a machine be good any more, whatever it is.

        `born` and `slot` are those of the machine, as a JoinToken has them.

        Raises LostRace, an EtcdError. Done again, it is done once more.
        """
        home = self._places.place(cluster)
        place, count = enrolment_key(home, slot), enrolment_count_key(home, slot)
        before = await self._etcd.get_many([place, count])
        known = _readable(before.get(place), read_enrolment)
        counted = _readable(before.get(count), read_count)
        newest = max(each.number if each is not None else 0 for each in (known, counted))
        number = max(newest + 1, int(now))
        gone = ValidEnrolment(
            uuid.uuid4().hex, now, number, born=born, counted=True, withdrawn=withdrawal
        )
        done = await self._audit.txn(
            [
                Unchanged(each, before[each].mod_revision if each in before else 0)
                for each in (place, count)
            ],
            [
                Put(place, pack_enrolment(place, gone)),
                Put(count, pack_count(count, EnrolmentCount(number))),
            ],
            withdrawal_event(cluster, machine, known.id if known else "", withdrawal.reason, by),
        )
        if not done:
            raise LostRace(f"machine {machine} enrolled meanwhile; nothing was changed: try again")


class _Raced(EtcdUnavailable):
    """Another call used or trimmed the token between our read and our transaction."""


def _next_number(
    before: KeyValue | None, count: KeyValue | None, token_hash: str, born: int, now: float
) -> int:
    """Number the next enrolment of a machine.

    Raises TokenUsed if its token made the one before, TokenUnknown if that is of a machine that was
    created after the one of the token, at revision `born`. It is at least the time, so that one
    after a deleted enrolment is above that too.
    """
    known, counted = _readable(before, read_enrolment), _readable(count, read_count)
    if token_hash in {each.token for each in (known, counted) if each is not None}:
        raise TokenUsed(
            "the join token made the machine's newest enrolment, so it has been used already, "
            "though it is stored as unused: somebody set it back in etcd by hand. Make a new one "
            "with `tdc machine token`"
        )
    if known is not None and known.born > born:
        raise TokenUnknown(
            "the machine was removed since the join token was made, and another one has its name "
            "now; make a new one with `tdc machine token`"
        )
    newest = max(each.number if each is not None else 0 for each in (known, counted))
    return max(newest + 1, int(now))


def _readable(item: KeyValue | None, read: Callable[[str, bytes], T]) -> T | None:
    try:
        return read(item.key, item.value) if item is not None else None
    except Damaged:
        return None


def _usable(item: KeyValue | None, now: float, enrolment_id: str) -> StoredToken:
    if item is None:
        raise TokenUnknown(
            "unknown join token; check that it was copied whole, or make a new one with "
            "`tdc machine token`"
        )
    try:
        stored = read_token(item.key, item.value)
    except Damaged as error:
        what = "was edited by hand" if isinstance(error, Edited) else "can't be read"
        raise TokenUnknown(
            f"the stored join token {what} ({error}); make a new one with `tdc machine token`"
        ) from None
    if stored.used_by is not None and stored.used_by != enrolment_id:
        raise TokenUsed(
            f"the join token of machine {stored.token.machine!r} has been used already; if that "
            "was not you, someone else enrolled as this machine; make a new one with "
            "`tdc machine token`"
        )
    if stored.used_by is None and now >= stored.token.expires:
        raise TokenExpired(
            f"the join token of machine {stored.token.machine!r} has expired; make a new one with "
            "`tdc machine token`"
        )
    return stored


def pack_token(key: str, stored: StoredToken) -> bytes:
    """The bytes of the token stored at `key`."""
    token = stored.token
    document: dict[str, object] = {
        "cluster": token.cluster,
        "group": token.group,
        "machine": token.machine,
        "expires": token.expires,
        **_born(token.born),
        **({"slot": token.slot} if token.slot else {}),
    }
    if stored.used_by is not None:
        document |= {"used_by": stored.used_by, "used_at": stored.used_at}
    return pack_sealed(key, document)


def read_token(key: str, raw: bytes) -> StoredToken:
    """Read the token stored at `key`; raises Damaged, Edited if its seal does not fit."""
    document = unpack_sealed(key, raw)
    token = JoinToken(
        cluster=text_of(document, "cluster"),
        group=text_of(document, "group"),
        machine=text_of(document, "machine"),
        expires=moment_of(document, "expires"),
        born=_born_in(document),
        slot=text_of(document, "slot") if "slot" in document else "",
    )
    if "used_by" not in document:
        return StoredToken(token)
    return StoredToken(token, text_of(document, "used_by"), moment_of(document, "used_at"))


def read_enrolment(key: str, raw: bytes) -> ValidEnrolment:
    """Read the enrolment at `key`; raises Damaged, Edited if its seal does not fit."""
    document = unpack_sealed(key, raw)
    return ValidEnrolment(
        id=text_of(document, "id"),
        at=moment_of(document, "at"),
        number=count_of(document, "number") if "number" in document else 0,
        token=text_of(document, "token") if "token" in document else "",
        sealed=is_sealed(document),
        born=_born_in(document),
        counted=document.get("counted") is True,
        withdrawn=_withdrawal_in(document),
    )


def pack_enrolment(key: str, enrolment: ValidEnrolment) -> bytes:
    """The bytes of the enrolment at `key`."""
    return pack_sealed(
        key,
        {
            "id": enrolment.id,
            "at": enrolment.at,
            "number": enrolment.number,
            "token": enrolment.token,
            **_born(enrolment.born),
            **({"counted": True} if enrolment.counted else {}),
            **_withdrawn(enrolment.withdrawn),
        },
    )


def read_count(key: str, raw: bytes) -> EnrolmentCount:
    """Read the count at `key`; raises Damaged, Edited if its seal is gone or does not fit."""
    document = unpack_sealed(key, raw)
    if not is_sealed(document):
        raise Edited("it has lost its seal")
    return EnrolmentCount(count_of(document, "number"), text_of(document, "token"))


def pack_count(key: str, count: EnrolmentCount) -> bytes:
    """The bytes of the count at `key`."""
    return pack_sealed(key, {"number": count.number, "token": count.token})


def _withdrawn(withdrawal: Withdrawal | None) -> dict[str, object]:
    if withdrawal is None:
        return {}
    return {"withdrawn": {"by": withdrawal.by, "reason": withdrawal.reason}}


def _withdrawal_in(document: Mapping[str, object]) -> Withdrawal | None:
    found = document.get("withdrawn")
    if found is None:
        return None
    if not isinstance(found, dict):
        raise Damaged("it does not say who withdrew it")
    return Withdrawal(text_of(found, "by"), text_of(found, "reason"))


def _born(revision: int) -> dict[str, object]:
    return {"born": revision} if revision else {}


def _born_in(document: Mapping[str, object]) -> int:
    return count_of(document, "born") if "born" in document else 0
