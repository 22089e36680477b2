"""Which cluster has a name that is not the one in its keys: a key for each such name.

Two commits that give two clusters one name write different heads, so neither would see the other.
The commit that names a cluster compares this key, and the head of the cluster whose place has that
name, and writes the key. Nothing reads it to find a cluster: the head says what that is called.
"""

from __future__ import annotations

from collections.abc import Mapping

from tdc.manager.etcd.values import Delete, KeyValue, Operation, Put, Unchanged
from tdc.manager.levels.fleet import Cluster
from tdc.manager.store.beside import head_in
from tdc.manager.store.encoding import Damaged, text_of
from tdc.manager.store.errors import ClusterExists, UnreadableTouched
from tdc.manager.store.keys import cluster_name_key, head_key
from tdc.manager.store.seal import pack_sealed, unpack_sealed


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


def _place_in(item: KeyValue) -> str:
    try:
        return text_of(unpack_sealed(item.key, item.value), "place")
    except Damaged as error:
        raise UnreadableTouched(
            f"{item.key} can't be read: {error}; so which cluster has that name is not certain. "
            "Nothing was changed: choose another name, or delete that key in etcd"
        ) from None
