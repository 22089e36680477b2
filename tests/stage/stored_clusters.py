"""Clusters for tests, and what is stored of them."""

from __future__ import annotations

from collections.abc import Mapping

from tdc.manager.etcd.client import EtcdClient
from tdc.manager.levels.changes import AddGroup, AddMachine, Edit, SetValues
from tdc.manager.levels.fleet import Cluster, LevelKey, new_cluster
from tdc.manager.levels.plan import make_plan
from tdc.manager.store.assembly import Assembled, assemble
from tdc.manager.store.commit import CommitStore, Committed
from tdc.manager.store.documents import Document, read_document
from tdc.manager.store.history import History
from tdc.manager.store.keys import cluster_prefix
from tdc.manager.store.record import CommitRecord, Signature
from tdc.manager.store.seal import pack_sealed
from tdc.shared.settings.check import checked
from tdc.shared.settings.values import Level

CLUSTER = LevelKey(Level.CLUSTER, "west")
GROUP = LevelKey(Level.GROUP, "Main_Group")
MADE = 1_795_000_000.5
"""When commits are made."""


def signed(request_id: str) -> Signature:
    return Signature("ann", "as ordered", request_id)


def set_values(key: LevelKey, **values: object) -> SetValues:
    return SetValues(key, checked({name.replace("__", "."): v for name, v in values.items()}))


def resealed(key: str, document: Mapping[str, object]) -> bytes:
    """A document with the seal that a commit would give it."""
    fields = {name: value for name, value in document.items() if name != "seal"}
    return pack_sealed(key, fields)


async def west(etcd: EtcdClient) -> Cluster:
    """Create the cluster with two groups, three machines and an intake: revision 2."""
    store = CommitStore(etcd)
    await store.create_cluster(new_cluster("west"), signed("create"), MADE)
    await commit(
        etcd,
        await stored(etcd),
        AddGroup("g2"),
        AddMachine("mx1", "Main_Group"),
        AddMachine("mx2", "Main_Group"),
        AddMachine("mx3", "g2"),
        set_values(CLUSTER, enabled=True, intake_address="journal@intake.example.com"),
        request_id="fill",
    )
    return await stored(etcd)


async def commit(
    etcd: EtcdClient,
    cluster: Cluster,
    *edits: Edit,
    request_id: str,
    within: float = 10.0,
    later: float = 0.0,
) -> Committed:
    """Commit; `later` is how many seconds after the others it is made."""
    plan = make_plan(cluster, edits)
    store = CommitStore(etcd, settle_within=within)
    return await store.commit(plan, signed(request_id), MADE + later)


async def history_of(etcd: EtcdClient) -> list[int]:
    """Return the revisions of the commits that history has, newest first."""
    records = await History(etcd).commits("west")
    return [record.revision for record in records if isinstance(record, CommitRecord)]


async def assembled(etcd: EtcdClient, name: str = "west") -> Assembled:
    items = (await etcd.range(cluster_prefix(name))).items
    documents = [read_document(item.key, item.value) for item in items]
    return assemble(name, [each for each in documents if isinstance(each, Document)])


async def stored(etcd: EtcdClient, name: str = "west") -> Cluster:
    """Return the cluster as stored; fails if anything of it can't be read."""
    found = await assembled(etcd, name)
    assert found.unreadable == ()
    assert found.cluster is not None
    return found.cluster
