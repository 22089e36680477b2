"""Commits of two managers while members and managers are hurt: history is one line of commits."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.errors import EtcdError, EtcdUnavailable
from tdc.manager.levels.changes import SetValues
from tdc.manager.levels.fleet import LevelKey
from tdc.manager.levels.plan import make_plan
from tdc.manager.store.commit import CommitStore
from tdc.manager.store.errors import CommitUnsettled, LostRace
from tdc.manager.store.record import CommitRecord, Signature
from tdc.shared.edge.clock import monotonic
from tdc.shared.settings.check import checked
from tdc.shared.settings.values import Level

from tests.fakes.etcd import ExternalEtcd, answering, external_etcd, of_all
from tests.stage.said import Said, check_history
from tests.stage.stored_clusters import CLUSTER, MADE, commit, history_of, set_values, stored, west
from tests.surroundings import in_time


@dataclass
class Writer:
    """A manager that commits one change after another, as fast as it can."""

    name: str
    etcd: EtcdClient
    skew: float = 0.0
    said: list[Said] = field(default_factory=list)

    async def run(self, until: float) -> None:
        number = 0
        while monotonic() < until:
            number += 1
            said = Said(f"{self.name}-{number}", monotonic())
            self.said.append(said)
            try:
                before = await stored(self.etcd)
                values = checked({"max_message_size": number})
                key = LevelKey(Level.MACHINE, f"mx{1 + number % 3}")
                plan = make_plan(before, [SetValues(key, values), set_values(CLUSTER, **_size())])
                store = CommitStore(self.etcd, settle_within=6)
                signature = Signature(self.name, "", said.request)
                said.revision = (await store.commit(plan, signature, MADE + self.skew)).revision
            except CommitUnsettled:
                said.unknown = True
            except (LostRace, EtcdError):
                pass  # certainly not made
            said.heard = monotonic()


_sizes = iter(range(1, 10**9))


def _size() -> dict[str, object]:
    return {"spool__max_messages": next(_sizes)}


async def _hurt(members: Sequence[ExternalEtcd], until: float, chance: random.Random) -> None:
    """Kill or freeze one member after another; two at once now and then, so no quorum is left."""
    while monotonic() < until:
        some = chance.sample(list(members), chance.choice([1, 1, 2]))
        for member in some:
            if chance.random() < 0.5:
                await member.stop()
            else:
                member.pause()
        await asyncio.sleep(chance.uniform(0.2, 1.5))
        for member in some:
            if member.process is not None and member.process.returncode is None:
                member.resume()
        async with asyncio.TaskGroup() as group:
            for member in some:
                if member.process is None or member.process.returncode is not None:
                    group.create_task(member.start())
        await asyncio.sleep(chance.uniform(0.5, 1.5))


async def _checked(etcd: EtcdClient, said: Sequence[Said]) -> list[CommitRecord]:
    kept, found = await check_history(etcd, "west", said)
    assert ["store is missing" in each.text for each in found] == [True], "no manager made an id"
    return kept


@pytest.mark.proves("P13", "F44", "F52")
async def test_two_managers_with_clocks_apart_over_members_that_are_hurt(
    members: list[ExternalEtcd],
) -> None:
    chance = random.Random(9)
    async with (
        EtcdClient(of_all(members)) as one,
        EtcdClient(of_all([members[2], members[0], members[1]])) as other,
    ):
        await west(one)
        writers = [Writer("one", one, skew=-600), Writer("other", other, skew=600)]
        until = monotonic() + 10
        async with asyncio.TaskGroup() as group:
            for writer in writers:
                group.create_task(writer.run(until))
            group.create_task(_hurt(members, until - 2, chance))
        await answering(one)
        kept = await _checked(one, [each for writer in writers for each in writer.said])
    assert len(kept) > 20, "there was something to check"
    by = {each.signature.author for each in kept}
    assert {"one", "other"} <= by, "both managers made commits"
    times = [each.time for each in kept if each.signature.author in ("one", "other")]
    assert times != sorted(times), "their order is that of revisions, not of clocks"


@pytest.mark.proves("F44")
async def test_writes_succeed_soon_after_a_member_is_lost(members: list[ExternalEtcd]) -> None:
    async with EtcdClient(of_all(members)) as etcd:
        cluster = await west(etcd)
        for hurt, number in ((members[1].pause, 1), (members[0].stop, 2)):
            began = monotonic()
            result = hurt()
            if result is not None:
                await result
            while True:
                edit = set_values(CLUSTER, max_message_size=number)
                with contextlib.suppress(EtcdUnavailable):
                    cluster = await stored(etcd)
                    await commit(etcd, cluster, edit, request_id=f"r{number}")
                    break
            assert in_time(monotonic() - began, 5)
            members[1].resume()


COMMITTER = """
import asyncio, sys
from tdc.manager.etcd.channel import EtcdOptions
from tdc.manager.etcd.client import EtcdClient
from tests.contract.test_concurrent_history import Writer
from tests.surroundings import in_time
from tdc.shared.edge.clock import monotonic

async def main():
    async with EtcdClient(EtcdOptions((sys.argv[1],))) as etcd:
        print("ready", flush=True)
        await Writer(sys.argv[2], etcd).run(monotonic() + 60)

asyncio.run(main())
"""


@pytest.mark.proves("F53", "P13")
async def test_a_manager_killed_amid_commits_leaves_whole_ones(tmp_path: Path) -> None:
    """Each commit writes two documents, head, record and request: all of them or none."""
    chance = random.Random(3)
    async with (
        external_etcd(tmp_path / "etcd") as server,
        EtcdClient(replace(server.options, timeout=3.0)) as etcd,
    ):
        await west(etcd)
        for number in range(8):
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-c", COMMITTER, server.options.endpoints[0], f"m{number}",
                stdout=subprocess.PIPE, cwd=Path(__file__).parents[2],
            )  # fmt: skip
            assert child.stdout is not None
            await child.stdout.readline()
            before = (await history_of(etcd))[0]
            async with asyncio.timeout(20):
                while (await history_of(etcd))[0] < before + 3:
                    await asyncio.sleep(0.01)
            await asyncio.sleep(chance.uniform(0, 0.05))
            child.send_signal(signal.SIGKILL)
            await child.wait()
            await _checked(etcd, [])
