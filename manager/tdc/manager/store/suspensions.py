"""The suspensions of machines in etcd: one document for each cluster, beside its settings.

Promise: a change is one transaction, whatever the number of machines; a request id makes its change
once, however often it is sent; and no suspension is written over one that was not read.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping

from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.errors import EtcdAnswerLost
from tdc.manager.etcd.values import Put, Unchanged
from tdc.manager.levels.suspensions import NO_SUSPENSIONS, MachineSuspension, Suspensions
from tdc.manager.store.audit import AuditLog
from tdc.manager.store.audit_events import suspension_event
from tdc.manager.store.encoding import Damaged, count_of, moment_of, object_of, text_of
from tdc.manager.store.errors import LostRace
from tdc.manager.store.keys import suspensions_key
from tdc.manager.store.places import AS_NAMED, Places
from tdc.manager.store.seal import Edited, is_sealed, pack_sealed, unpack_sealed
from tdc.shared.sync.audit_entry import UNKNOWN, By
from tdc.shared.sync.suspension import Suspended, Suspension
from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

Change = Callable[[Suspensions], Suspensions]


class SuspensionStore:
    """The suspensions in etcd."""

    def __init__(
        self, etcd: EtcdClient, audit: AuditLog | None = None, places: Places = AS_NAMED
    ) -> None:
        self._etcd = etcd
        self._audit = audit or AuditLog(etcd)
        self._places = places

    async def change(
        self,
        cluster: str,
        known: Suspensions,
        change: Change,
        by: By = UNKNOWN,
        request_id: str = "",
    ) -> Suspensions:
        """Store what `change` makes of what is stored; returns what is stored then.

        It is called again where others change the same, so it must not have effects. `known` stands
        for what is stored where that can't be read, or was deleted or set back by hand.
        Raises LostRace, an EtcdError; after EtcdAnswerLost the same request may be sent again.
        """
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type((LostRace, EtcdAnswerLost)),
            stop=stop_after_attempt(6),
            wait=wait_random_exponential(multiplier=0.02, max=0.5),
            reraise=True,
        ):
            with attempt:
                return await self._change_once(cluster, known, change, by, request_id)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _change_once(
        self, cluster: str, known: Suspensions, change: Change, by: By, request_id: str
    ) -> Suspensions:
        key = suspensions_key(self._places.place(cluster))
        item = await self._etcd.get(key)
        stored = NO_SUSPENSIONS
        with contextlib.suppress(Damaged):
            stored = read_suspensions(key, item.value) if item is not None else NO_SUSPENSIONS
        before = stored if stored.number >= known.number else known
        after = change(before)
        if after is before:
            return before
        unchanged = Unchanged(key, item.mod_revision if item is not None else 0)
        event = suspension_event(cluster, before, after, by, request_id)
        written = [Put(key, pack_suspensions(key, after))]
        if not await self._audit.txn([unchanged], written, event):
            raise LostRace("suspensions of the cluster were changed by others meanwhile")
        return after


def pack_suspensions(key: str, suspensions: Suspensions) -> bytes:
    """The bytes of the document at `key`."""
    machines = {name: _packed(each) for name, each in suspensions.machines.items()}
    document = {
        "number": suspensions.number,
        "machines": machines,
        "requests": dict(suspensions.requests),
    }
    return pack_sealed(key, document)


def read_suspensions(key: str, raw: bytes) -> Suspensions:
    """Read the document at `key`; raises Damaged, Edited if its seal is gone or does not fit."""
    document = unpack_sealed(key, raw)
    if not is_sealed(document):
        raise Edited("it has lost its seal")
    machines, requests = object_of(document, "machines"), object_of(document, "requests")
    return Suspensions(
        number=count_of(document, "number"),
        machines={name: _machine(object_of(machines, name)) for name in machines},
        requests={name: text_of(requests, name) for name in requests},
    )


def _packed(each: MachineSuspension) -> dict[str, object]:
    packed: dict[str, object] = {"born": each.born, "number": each.suspension.number}
    if each.suspension.copying:
        packed["copying"] = _packed_part(each.suspension.copying)
    if each.suspension.delivery:
        packed["delivery"] = _packed_part(each.suspension.delivery)
    if each.resumed_at is not None:
        packed |= {"resumed_by": each.resumed_by, "resumed_at": each.resumed_at}
    return packed


def _packed_part(part: Suspended) -> dict[str, object]:
    packed: dict[str, object] = {"by": part.by, "reason": part.reason, "since": part.since}
    return packed if part.until is None else packed | {"until": part.until}


def _machine(document: Mapping[str, object]) -> MachineSuspension:
    return MachineSuspension(
        born=count_of(document, "born"),
        suspension=Suspension(
            count_of(document, "number"), _part(document, "copying"), _part(document, "delivery")
        ),
        resumed_by=text_of(document, "resumed_by") if "resumed_by" in document else "",
        resumed_at=moment_of(document, "resumed_at") if "resumed_at" in document else None,
    )


def _part(document: Mapping[str, object], name: str) -> Suspended | None:
    if name not in document:
        return None
    part = object_of(document, name)
    until = moment_of(part, "until") if "until" in part else None
    return Suspended(text_of(part, "by"), text_of(part, "reason"), moment_of(part, "since"), until)
