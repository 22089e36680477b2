"""Clients commit through managers while managers and members of etcd are killed and frozen.

    python -m tests.stage.history_check              at least 200 kills
    python -m tests.stage.history_check KILLS SEED

Eight clients, two managers, an etcd of three members, all real programs. A client asks one manager,
and with the same request id another one where it does not hear what became of it. At the end all
run again, and what the clients heard is held against the history that is stored (`said.py`).
"""

from __future__ import annotations

import asyncio
import itertools
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import grpc
import grpc.aio
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.first_setup import CA_FOLDER, set_up
from tdc.manager.identity.authority import Authority
from tdc.manager.rpc.server import Ports
from tdc.shared.edge.clock import monotonic
from tdc.shared.edge.grpc_tls import NOTHING_CHANGED, client_channel
from tdc.shared.edge.grpc_words import never_sent
from tdc.v1 import fleet_pb2, operators_pb2

from tests.fakes.etcd import ExternalEtcd, answering, etcd_cluster, of_all
from tests.fakes.listening import free_port
from tests.stage.freezing import freeze, thaw
from tests.stage.manager import Api, add_machine, options_for, put
from tests.stage.programs import BIN, Program
from tests.stage.said import Said, check_history

CLUSTER = "corp"
CLIENTS, MANAGERS, MEMBERS = 8, 2, 3
LONG = 200
"""Kills of the long form."""
_values = itertools.count(1)
_PATIENCE = 25.0
"""Seconds that a client asks again and again what became of its request."""
_CALL = 4.0
_REFUSALS = {
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
}


class Hurt(Protocol):
    """Something that runs, and can be killed, started again, frozen and thawed."""

    @property
    def pid(self) -> int: ...
    async def kill(self) -> None: ...
    async def start(self) -> None: ...


@dataclass
class Member:
    etcd: ExternalEtcd

    @property
    def pid(self) -> int:
        return self.etcd.pid

    async def kill(self) -> None:
        await self.etcd.stop()

    async def start(self) -> None:
        await self.etcd.start(served=False)


@dataclass
class Client:
    """An operator's program that commits one change after another, as fast as it can."""

    name: str
    managers: Sequence[Api]
    chance: random.Random
    said: list[Said] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    async def run(self, ended: asyncio.Event) -> None:
        number = 0
        while not ended.is_set():
            number += 1
            # Half of what is changed is changed by others too: such a plan is often out of date.
            machine = self.name if self.chance.random() < 0.5 else f"shared{number % 3}"
            # A value that nobody else sets: what changes nothing makes no revision.
            edit = put("machine", machine, CLUSTER, max_message_size=next(_values))
            await self._change(f"{self.name}-{number}", edit)

    async def _change(self, request: str, edit: fleet_pb2.Edit) -> None:
        at = self.chance.randrange(len(self.managers))
        plan = await self._plan(at, edit)
        if plan is None:
            return
        said = Said(request, monotonic())
        self.said.append(said)
        give_up = said.asked + _PATIENCE
        while True:
            try:
                made = await self._commit(at, request, plan, edit)
            except grpc.aio.AioRpcError as error:
                certain = _is_certain(error)
                if certain and not said.unknown:
                    self.counts["refused"] += 1
                    break
                said.unknown = True  # from here on a refusal does not say that nothing was made
                if certain or monotonic() > give_up:
                    self.counts["unknown"] += 1
                    break
                self.counts["asked again"] += 1
                at = (at + 1) % len(self.managers)
                await asyncio.sleep(self.chance.uniform(0.05, 0.3))
            else:
                said.revision, said.unknown = made.revision, False
                self.counts["acknowledged"] += 1
                break
        said.heard = monotonic()

    async def _plan(self, at: int, edit: fleet_pb2.Edit) -> fleet_pb2.Plan | None:
        request = operators_pb2.PlanRequest(cluster=CLUSTER, edits=[edit])
        try:
            return await self.managers[at].changes.MakePlan(request, timeout=_CALL)
        except grpc.aio.AioRpcError:
            await asyncio.sleep(self.chance.uniform(0.02, 0.1))
            return None

    async def _commit(
        self, at: int, request: str, plan: fleet_pb2.Plan, edit: fleet_pb2.Edit
    ) -> operators_pb2.CommitResponse:
        asked = operators_pb2.CommitRequest(
            cluster=CLUSTER, edits=[edit], fingerprint=plan.fingerprint, request_id=request
        )
        return await self.managers[at].changes.MakeCommit(asked, timeout=_CALL)


def _is_certain(error: grpc.aio.AioRpcError) -> bool:
    """Whether a failure says that nothing was changed by this call."""
    told = any(key == NOTHING_CHANGED for key, _ in error.trailing_metadata() or ())
    return told or error.code() in _REFUSALS or never_sent(error.details() or "")


@dataclass
class Hurting:
    """Kills and freezes, and how often it did; it ends when it has killed `kills` times."""

    kills: int
    chance: random.Random
    killed: Counter[str] = field(default_factory=Counter)
    frozen: Counter[str] = field(default_factory=Counter)

    async def run(self, groups: dict[str, Sequence[Hurt]]) -> None:
        """Hurt the groups beside each other, until all that was to be killed was."""
        async with asyncio.TaskGroup() as tasks:
            for name, group in groups.items():
                tasks.create_task(self._hurt(name, group))

    async def _hurt(self, name: str, group: Sequence[Hurt]) -> None:
        while self.killed.total() < self.kills:
            # Two at once now and then: no manager is left, or no majority of members.
            some = self.chance.sample(list(group), self.chance.choice([1, 1, 1, 2]))
            how = [self.chance.random() < 0.6 for _ in some]
            for one, kill in zip(some, how, strict=True):
                if kill:
                    await one.kill()
                    self.killed[name] += 1
                else:
                    freeze(one.pid)
                    self.frozen[name] += 1
            await asyncio.sleep(self.chance.uniform(0.05, 1.0))
            for one, kill in zip(some, how, strict=True):
                if not kill:
                    thaw(one.pid)
            async with asyncio.TaskGroup() as tasks:
                for one, kill in zip(some, how, strict=True):
                    if kill:
                        tasks.create_task(one.start())
            await asyncio.sleep(self.chance.uniform(0.1, 0.8))


@dataclass(frozen=True)
class Figures:
    """What a check saw; `line` is what it prints last."""

    kills: int
    freezes: int
    counts: Counter[str]
    made_unheard: int
    revisions: int
    seconds: float

    def line(self) -> str:
        return (
            f"history check: {self.kills} kills, {self.freezes} freezes in {self.seconds:.0f} s; "
            f"acknowledged: {self.counts['acknowledged']}, refused: {self.counts['refused']}, "
            f"asked again: {self.counts['asked again']}, never heard: {self.counts['unknown']} "
            f"(of which {self.made_unheard} were made); revisions 1 to {self.revisions} without "
            "gap; acknowledged and lost: 0, made twice: 0, refused and made: 0"
        )


async def history_check(folder: Path, kills: int, seed: int = 10) -> Figures:
    """Run the check; raises AssertionError for the first thing that does not hold."""
    chance, began = random.Random(seed), monotonic()
    async with AsyncExitStack() as stack:
        members = await stack.enter_async_context(etcd_cluster(folder / "etcd", MEMBERS))
        endpoints = [each.options.endpoints[0].removeprefix("http://") for each in members]
        managers = await _managers(stack, folder, endpoints)
        apis = [_api(stack, folder / "manager0", each) for each in managers]
        clients = [
            Client(f"client{number}", apis, random.Random(seed * 100 + number))
            for number in range(CLIENTS)
        ]
        await _fill(apis[0], [each.name for each in clients])
        hurting, ended = Hurting(kills, chance), asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            for each in clients:
                tasks.create_task(each.run(ended))
            await hurting.run({"managers": managers, "members": list(map(Member, members))})
            ended.set()
        async with EtcdClient(of_all(members)) as etcd:
            await answering(etcd)
            said = [each for client in clients for each in client.said]
            kept, found = await check_history(etcd, CLUSTER, said)
            assert found == ()
    counts = sum((each.counts for each in clients), Counter[str]())
    made = {each.signature.request_id for each in kept}
    return Figures(
        hurting.killed.total(),
        hurting.frozen.total(),
        counts,
        sum(each.unknown and each.request in made for each in said),
        len(kept),
        monotonic() - began,
    )


async def _managers(stack: AsyncExitStack, folder: Path, endpoints: Sequence[str]) -> list[Program]:
    """Managers with one CA, each at ports of its own that it keeps."""
    first = folder / "manager0"
    set_up(options_for(first), {}, "ana")
    programs = []
    for number in range(MANAGERS):
        home = folder / f"manager{number}"
        if number:
            shutil.copytree(first, home)
        command = [
            *(str(BIN / "tdc-manager"), "run", "--folder", str(home)),
            *("--ports-file", str(home / "ports.json"), "--etcd-endpoints", ",".join(endpoints)),
            *("--listen-port", str(free_port()), "--enrol-port", str(free_port())),
        ]
        log, ports = folder / f"manager{number}.log", home / "ports.json"
        program = Program(command, log=log, ports_file=ports)
        stack.push_async_callback(program.kill)
        await program.start()
        programs.append(program)
    return programs


def _api(stack: AsyncExitStack, folder: Path, program: Program) -> Api:
    authority, bundle = Authority.load(folder / CA_FOLDER), folder / "operator"
    certificate = (bundle / "operator.pem").read_bytes()
    key = (bundle / "operator.key").read_bytes()
    ports = Ports(main=program.ports["main"], enrol=program.ports["enrol"])
    channel = client_channel(f"127.0.0.1:{ports.main}", authority.ca_pem, certificate, key)
    stack.push_async_callback(channel.close)
    return Api(channel, ports, authority)


async def _fill(api: Api, names: Sequence[str]) -> None:
    await api.create_cluster(CLUSTER)
    machines = [*names, *(f"shared{number}" for number in range(3))]
    edits = [add_machine(name, "Main_Group") for name in machines]
    await api.commit(*edits, cluster=CLUSTER)


def main(arguments: Sequence[str]) -> None:
    """Run the long form, and print its figures in one line."""
    kills = int(arguments[0]) if arguments else LONG
    seed = int(arguments[1]) if len(arguments) > 1 else 10
    with tempfile.TemporaryDirectory(prefix="history-") as folder:
        print(asyncio.run(history_check(Path(folder), kills, seed)).line())


if __name__ == "__main__":
    main(sys.argv[1:])
