"""What writers heard of their requests, held against the history that is stored at the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tdc.manager.etcd.client import EtcdClient
from tdc.manager.store.documents import pack_head
from tdc.manager.store.history import History
from tdc.manager.store.keys import cluster_prefix, head_key
from tdc.manager.store.record import CommitRecord
from tdc.manager.store.repair import Finding, repair
from tdc.manager.store.replay import replayed


@dataclass
class Said:
    """What one writer heard of one request: when it asked, when it heard, the revision if any."""

    request: str
    asked: float
    heard: float = 0.0
    revision: int | None = None
    unknown: bool = False


async def check_history(
    etcd: EtcdClient, cluster: str, said: Sequence[Said]
) -> tuple[list[CommitRecord], tuple[Finding, ...]]:
    """All that was acknowledged is there, once, in an order that clocks outside could have seen.

    Revisions have no gaps, what was refused is not there, each chain value follows the one before,
    and the documents are byte for byte what the records say. Returns the records, oldest first, and
    what repair finds.
    """
    records = list(reversed(await History(etcd).commits(cluster, limit=100_000)))
    kept = [record for record in records if isinstance(record, CommitRecord)]
    assert [each.revision for each in kept] == list(range(1, len(records) + 1))
    made = {each.signature.request_id: each.revision for each in kept}
    assert len(made) == len(kept), "a request was made twice"
    for each in said:
        if not each.unknown:
            assert made.get(each.request) == each.revision, (each, made.get(each.request))
    _check_order([each for each in said if each.revision is not None])
    head, values = replayed(cluster, kept)  # it checks each chain value too
    items = {item.key: item.value for item in (await etcd.range(cluster_prefix(cluster))).items}
    assert items == {**values, head_key(cluster): pack_head(cluster, head)}, (
        "documents are what commits left"
    )
    return kept, await repair(etcd, write=False)


def _check_order(done: Sequence[Said]) -> None:
    """Each has a revision above those of which somebody had heard before it was asked for."""
    by_heard = sorted(done, key=lambda each: each.heard)
    newest, at = 0, 0
    for each in sorted(done, key=lambda each: each.asked):
        while at < len(by_heard) and by_heard[at].heard < each.asked:
            newest = max(newest, by_heard[at].revision or 0)
            at += 1
        assert each.revision is not None
        assert newest < each.revision, each
