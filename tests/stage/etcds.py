"""Fixtures: every kind of etcd that the client and the store promise to work on.

The conftest of a folder imports those that its tests use.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import pytest_asyncio
from tdc.manager.etcd.channel import EtcdOptions
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.embedded import EmbeddedEtcd
from tdc.manager.etcd.values import Delete, prefix_end

from tests.fakes.etcd import ExternalEtcd, etcd_cluster, external_etcd, wait_until_serving
from tests.fakes.etcd_proxy import EtcdProxy, etcd_proxy
from tests.stage.freezing import freeze, thaw


@dataclass
class Server:
    """An etcd under test: how to reach it, and how to hurt it."""

    kind: str
    options: EtcdOptions
    _pid: Callable[[], int]
    _restart: Callable[[], Awaitable[None]]

    def pause(self) -> None:
        freeze(self._pid())

    def resume(self) -> None:
        thaw(self._pid())

    async def restart(self) -> None:
        """Kill it; it is back, on its data, when this returns."""
        await self._restart()


@contextlib.asynccontextmanager
async def serving(kind: str, folder: Path) -> AsyncIterator[Server]:
    if kind == "embedded":
        member = EmbeddedEtcd(folder)

        async def kill() -> None:
            before = member.pid
            assert before is not None
            os.kill(before, signal.SIGKILL)
            while member.pid in {before, None}:
                await asyncio.sleep(0.02)
            await wait_until_serving(EtcdOptions((endpoint,)))

        async with member as endpoint:
            yield Server(kind, EtcdOptions((endpoint,)), lambda: member.pid or 0, kill)
        return
    async with external_etcd(folder, tls=kind == "tls", login=kind == "login") as etcd:
        yield Server(kind, etcd.options, lambda: etcd.pid, etcd.restart)


# One process of each kind serves a whole module; each test begins with no keys. The tests and the
# servers share the module's event loop, as the manager shares its own with its embedded member.
shared_by_module = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["embedded", "tls", "login"])
async def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Server]:
    """Embedded; external with TLS and client certificate; external with login, short tokens."""
    async with serving(request.param, tmp_path_factory.mktemp("etcd")) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def embedded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """For tests of which the kind of etcd makes no difference."""
    async with serving("embedded", tmp_path_factory.mktemp("etcd")) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def etcd(server: Server) -> AsyncIterator[EtcdClient]:
    async with EtcdClient(replace(server.options, timeout=3.0)) as client:
        await client.txn([], [Delete("/tdc/", prefix_end("/tdc/"))])
        yield client


@pytest_asyncio.fixture(loop_scope="module")
async def small_etcd(embedded: Server) -> AsyncIterator[EtcdClient]:
    async with EtcdClient(replace(embedded.options, timeout=3.0)) as client:
        await client.txn([], [Delete("/tdc/", prefix_end("/tdc/"))])
        yield client


@pytest_asyncio.fixture(loop_scope="module")
async def proxy(embedded: Server, tmp_path: Path) -> AsyncIterator[EtcdProxy]:
    """A proxy in front of the embedded etcd."""
    async with etcd_proxy(embedded.options.endpoints[0], tmp_path) as running:
        yield running


@pytest.fixture
async def members(tmp_path: Path) -> AsyncIterator[list[ExternalEtcd]]:
    """Three members of one etcd."""
    async with etcd_cluster(tmp_path) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def lossy(proxy: EtcdProxy) -> AsyncIterator[EtcdClient]:
    async with EtcdClient(proxy.options) as client:
        yield client
