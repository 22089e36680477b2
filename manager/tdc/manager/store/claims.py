"""Which cluster has a name that is not the one in its keys: a key for each such name.

Two commits that give two clusters one name write different heads, so neither would see the other.
The commit that names a cluster compares this key, and the head of the cluster whose place has that
name, and writes the key. Nothing reads it to find a cluster: the head says what that is called.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.values import Delete, KeyValue, Operation, Put, Unchanged
from tdc.manager.levels.fleet import Cluster
from tdc.manager.store.beside import head_in
from tdc.manager.store.encoding import Damaged, text_of
from tdc.manager.store.errors import ClusterExists, UnreadableTouched
from tdc.manager.store.keys import CLUSTER_NAMES, cluster_name_key, head_key
from tdc.manager.store.seal import pack_sealed, same_content, unpack_sealed


def claim_keys(after: Cluster) -> tuple[str, ...]:
    """What a commit compares that gives a cluster the name which it has in `after`."""
    other = (head_key(after.name),) if after.place else ()
    left = (cluster_name_key(after.former[-1]),) if after.former else ()
    return (cluster_name_key(after.name), *other, *left)


def claim(after: Cluster, found: Mapping[str, KeyValue]) -> tuple[list[Unchanged], list[Operation]]:
    """Compares and writes that make the name the cluster's own; `found` has what there is.

    Raises ClusterExists, UnreadableTouched.
    """
    key, other = cluster_name_key(after.name), head_key(after.name)
    if key in found and _place_in(found[key]) != after.home:
        raise ClusterExists(f"cluster {after.name!r} already exists")
    if after.place and other in found:
        head = head_in(other, found[other].value)
        if head is None or not head.called:
            raise ClusterExists(
                f"cluster {after.name!r} already exists, or did and has its history"
            )
    compares = [
        Unchanged(each, found[each].mod_revision if each in found else 0)
        for each in claim_keys(after)
    ]
    writes: list[Operation] = []
    if after.place:
        writes.append(Put(key, pack_sealed(key, {"place": after.home})))
    elif key in found:
        writes.append(Delete(key))
    left = cluster_name_key(after.former[-1]) if after.former else key
    if left != key and left in found and _place_in(found[left]) == after.home:
        writes.append(Delete(left))
    return compares, writes


async def claims_put_right(
    etcd: EtcdClient, places: Iterable[str], *, write: bool
) -> list[tuple[str, bool]]:
    """Find claims that are not what the heads of all clusters say, and put them right if `write`.

    A sentence for each, and whether it is put right, or would be; raises an EtcdError.
    """
    right: dict[str, bytes] = {}
    certain = True
    for place in places:
        item = await etcd.get(head_key(place))
        head = head_in(item.key, item.value) if item is not None else None
        certain = certain and head is not None
        if head is not None and head.called:
            key = cluster_name_key(head.called)
            right[key] = pack_sealed(key, {"place": place})
    found = {item.key: item for item in (await etcd.range(CLUSTER_NAMES)).items}
    return [
        await _put_right(etcd, key, fault, found.get(key), right.get(key), write=write)
        for key, fault in _wrong(right, found)
        if key in right or certain  # a cluster whose head can't be read may have that name
    ]


def _wrong(right: Mapping[str, bytes], found: Mapping[str, KeyValue]) -> Iterator[tuple[str, str]]:
    """Each key that is not as it must be, and what is wrong with it."""
    for key in sorted({*right, *found}):
        if key not in found:
            yield key, f"{key} was deleted by hand"
        elif key not in right:
            yield key, f"{key} is of a name that no cluster has: it was written by hand"
        elif not _is(found[key], right[key]):
            yield key, f"{key} was edited by hand"


async def _put_right(
    etcd: EtcdClient,
    key: str,
    fault: str,
    item: KeyValue | None,
    right: bytes | None,
    *,
    write: bool,
) -> tuple[str, bool]:
    if not write:
        return f"{fault}. It would be put right", True
    unchanged = Unchanged(key, item.mod_revision if item is not None else 0)
    done = await etcd.txn([unchanged], [Put(key, right) if right is not None else Delete(key)])
    if done.succeeded:
        return f"{fault}. Put right", True
    return f"{fault}. It changed meanwhile: try again", False


def _is(item: KeyValue, right: bytes) -> bool:
    try:
        return same_content(item.value, right) and bool(unpack_sealed(item.key, item.value))
    except Damaged:
        return False


def _place_in(item: KeyValue) -> str:
    try:
        return text_of(unpack_sealed(item.key, item.value), "place")
    except Damaged as error:
        raise UnreadableTouched(
            f"{item.key} can't be read: {error}; so which cluster has that name is not certain. "
            "Nothing was changed: choose another name, or let `tdc-manager repair` put it right"
        ) from None
