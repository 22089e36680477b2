"""What the audit log costs those who commit at once: 8 clients, 4 clusters, one or two managers.

Each client plans and commits settings of a machine of its own, over `intent`, a real view and a
real etcd; two clients share a cluster, as they would race without an audit log, too. The same is
done with stores that write no entries. Both take turns, so that a busy machine slows both.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.values import Unchanged
from tdc.manager.intent.actor import Actor
from tdc.manager.intent.changes import ChangeOperations
from tdc.manager.intent.errors import StalePlan
from tdc.manager.intent.targets import ChangeAsked, LevelAsked, SetAt
from tdc.manager.levels.changes import AddMachine
from tdc.manager.people.reach import EVERYWHERE, Role
from tdc.manager.store.audit import AuditLog, Make
from tdc.manager.store.commit import CommitStore
from tdc.manager.store.errors import LostRace
from tdc.manager.store.history import History
from tdc.manager.store.identity import store_id
from tdc.manager.view.fleet import FleetView
from tdc.manager.view.presence import Presence
from tdc.shared.edge.tasks import running
from tdc.shared.settings.check import checked
from tdc.shared.settings.values import Level
from tdc.shared.sync.audit import NO_ENTRY

from tests.fakes.etcd import external_etcd

CLIENTS, CLUSTERS, ROUNDS, SECONDS = 8, 4, 5, 4.0
ANN = Actor("ann", Role.ADMINISTRATOR, EVERYWHERE, "here")


class WithoutAudit(AuditLog):
    """Writes the changes alone."""

    def __init__(self, etcd: EtcdClient) -> None:
        super().__init__(etcd)
        self._client = etcd

    async def append(self, make: Make, guard: Sequence[Unchanged] = ()) -> bool:
        made = make(NO_ENTRY)
        return (await self._client.txn(made.compares, made.then)).succeeded


@contextlib.asynccontextmanager
async def manager(endpoint: EtcdClient) -> AsyncIterator[tuple[ChangeOperations, ChangeOperations]]:
    """The operations of one manager: with an audit log, and without."""
    async with EtcdClient(endpoint.options) as etcd:
        view = FleetView(etcd, await store_id(etcd))
        presence, history = Presence(view), History(etcd)
        async with running(view.run(), name="view"):
            await view.ready(10)
            yield (
                ChangeOperations(view, presence, CommitStore(etcd), history),
                ChangeOperations(view, presence, CommitStore(etcd, WithoutAudit(etcd)), history),
            )


async def commits(does: ChangeOperations, client: int, until: float) -> int:
    """Commit again and again; how often until then."""
    made, cluster, machine = 0, f"c{client % CLUSTERS}", f"mx{client}"
    while time.monotonic() < until:
        value = checked({"max_message_size": 1_000 + made})
        asked = ChangeAsked(cluster, (SetAt(LevelAsked(Level.MACHINE, machine), value),))
        with contextlib.suppress(StalePlan, LostRace):
            plan = await does.plan(ANN, asked)
            await does.commit(
                ANN, asked, fingerprint=plan.fingerprint, comment="", request_id=uuid.uuid4().hex
            )
            made += 1
    return made


async def rate(managers: list[ChangeOperations]) -> float:
    """Commits in a second of all clients, spread over these managers."""
    until = time.monotonic() + SECONDS
    done = await asyncio.gather(
        *(commits(managers[each % len(managers)], each, until) for each in range(CLIENTS))
    )
    return sum(done) / SECONDS


async def fill(does: ChangeOperations) -> None:
    """Make the clusters, and a machine for each client."""
    for number in range(CLUSTERS):
        await does.create_cluster(ANN, f"c{number}", comment="", request_id=f"made {number}")
    for client in range(CLIENTS):
        asked = ChangeAsked(f"c{client % CLUSTERS}", (AddMachine(f"mx{client}", "Main_Group"),))
        plan = await does.plan(ANN, asked)
        fingerprint = plan.fingerprint
        await does.commit(
            ANN, asked, fingerprint=fingerprint, comment="", request_id=f"added {client}"
        )


async def measured(folder: Path, count: int) -> None:
    """Print what the log costs with so many managers."""
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(external_etcd(folder / f"etcd-{count}"))
        etcd = await stack.enter_async_context(EtcdClient(server.options))
        pairs = [await stack.enter_async_context(manager(etcd)) for _ in range(count)]
        await fill(pairs[0][0])
        await asyncio.sleep(0.5)
        ratios, rates = [], []
        for _ in range(ROUNDS):
            with_log = await rate([audited for audited, _ in pairs])
            without = await rate([bare for _, bare in pairs])
            ratios.append(with_log / without)
            rates.append(with_log)
        print(
            f"{CLIENTS} clients, {CLUSTERS} clusters, {count} managers: "
            f"{statistics.median(rates):.0f} commits a second with the audit log"
        )
        print(f"commits with/without audit log, {count} managers: {statistics.median(ratios):.2f}")


async def main() -> None:
    """Measure one manager, then two."""
    with tempfile.TemporaryDirectory() as folder:
        for count in (1, 2):
            await measured(Path(folder), count)


if __name__ == "__main__":
    asyncio.run(main())
