"""A store made again of a backup, in an empty etcd.

etcd takes 128 writes at a time, so a restore is many transactions. The first claims the store: it
writes the id with the mark `restoring`, on which no manager starts. Each further one compares that
mark, so nobody else writes meanwhile, not even a second restore. The last takes the mark away. What
was cut off is begun again by the same command.
In: a file that was verified. Out: a store as it was, or one on which no manager starts.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence

from tdc.manager.backup.contents import OF_MANAGERS, OF_THIS_ETCD
from tdc.manager.backup.form import Entry
from tdc.manager.etcd.backoff import Backoff
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.errors import EtcdAnswerLost, EtcdUnavailable
from tdc.manager.etcd.values import Delete, Operation, Put, Unchanged, prefix_end
from tdc.manager.store.encoding import MAX_TRANSACTION
from tdc.manager.store.errors import StoreError
from tdc.manager.store.identity import StoreIdentity, is_restoring, restoring
from tdc.manager.store.keys import PLACE, ROOT, STORE

_MOST = 100
"""Writes in one transaction; etcd takes 128."""
_ENOUGH = MAX_TRANSACTION - 500_000
"""Bytes in one transaction, but for a value that is longer alone."""
_TRIES = 8
_BUT_FOR_OURS = ((ROOT, PLACE), (f"{PLACE}\0", STORE), (f"{STORE}\0", prefix_end(ROOT)))
"""All ranges of keys but the mark itself, and where this embedded store belongs."""


class NotEmpty(StoreError):
    """The store has something already; nothing was written."""


async def check_empty(etcd: EtcdClient) -> int:
    """Raise NotEmpty, unless there is nothing, or what a restore left that was cut off.

    Returns the revision of the id's last write, 0 if there is none: it was so up to then.
    """
    item = await etcd.get(STORE)
    seen = item.mod_revision if item is not None else 0
    if item is not None and is_restoring(item.value):
        return seen
    found = (await etcd.range(ROOT, keys_only=True)).items
    there = [each.key for each in found if each.key not in (*OF_THIS_ETCD, STORE)]
    if there and all(key.startswith(OF_MANAGERS) for key in there):
        raise NotEmpty(
            "a manager runs on this store, or was killed less than 10 s ago. Nothing was written: "
            "stop every manager, and try again"
        )
    if there:
        raise NotEmpty(
            f"the store is not empty: it has {len(there)} values, {there[0]} among them. A backup "
            "is restored into an empty store only, and nothing was written. If this store is to "
            "go: stop every manager, then move the folder `etcd` of an embedded one away, or of "
            f"your own etcd delete what is below {ROOT} (etcdctl del --prefix {ROOT})"
        )
    return seen


async def restore(
    etcd: EtcdClient, entries: Iterable[Entry], identity: StoreIdentity, final: bytes
) -> int:
    """Write the entries, then `final`, the value of the id; returns how many were written.

    Raises NotEmpty, or an EtcdError: then the store is marked, and the same can be done again.
    """
    seen = await check_empty(etcd)
    mark = await _claim(etcd, identity, seen)
    # What an earlier one left, of another file perhaps: nobody else can have written here since.
    await _written(etcd, mark, [Delete(*each) for each in _BUT_FOR_OURS])
    count = 0
    gone = (*OF_THIS_ETCD, STORE)
    kept = (
        each for each in entries if each.key not in gone and not each.key.startswith(OF_MANAGERS)
    )
    for some in _batches(kept):
        await _written(etcd, mark, [Put(each.key, each.value) for each in some])
        count += len(some)
    await _finish(etcd, mark, final)
    return count + 1


async def _claim(etcd: EtcdClient, identity: StoreIdentity, seen: int) -> int:
    """Mark the store as it was `seen`; returns the revision of the mark.

    What was written since may be another restore, whole by now.
    """
    value = restoring(identity)
    for _ in range(_TRIES):
        try:
            done = await etcd.txn([Unchanged(STORE, seen)], [Put(STORE, value)])
        except EtcdAnswerLost:  # the next look shows what became of it
            item = await etcd.get(STORE)
            if item is not None and item.mod_revision != seen and item.value == value:
                return item.mod_revision
            continue
        if done.succeeded:
            return done.revision
        break
    raise NotEmpty(f"{STORE} is written by somebody else: stop every manager, and try again")


async def _written(etcd: EtcdClient, mark: int, operations: Sequence[Operation]) -> None:
    """Write, while the mark is ours; what is written twice is the same."""
    backoff = Backoff(longest=2.0)
    for left in reversed(range(_TRIES)):
        try:
            done = await etcd.txn([Unchanged(STORE, mark)], operations)
        except (EtcdAnswerLost, EtcdUnavailable):
            if not left:
                raise
            await backoff.wait()
            continue
        if not done.succeeded:
            raise NotEmpty(
                f"{STORE} was written by somebody else meanwhile: another restore, or a hand. What "
                "was written so far is not used. Stop every manager, and restore again"
            )
        return


async def _finish(etcd: EtcdClient, mark: int, final: bytes) -> None:
    """Take the mark away; where the answer is lost, the value itself tells."""
    try:
        await _written(etcd, mark, [Put(STORE, final)])
    except NotEmpty:
        item = await etcd.get(STORE)
        if item is None or item.value != final:
            raise


def _batches(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    some: list[Entry] = []
    size = 0
    for each in itertools.chain(entries):
        if some and (len(some) >= _MOST or size + len(each.value) > _ENOUGH):
            yield some
            some, size = [], 0
        some.append(each)
        size += len(each.value)
    if some:
        yield some
