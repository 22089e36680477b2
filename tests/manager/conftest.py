"""A manager over an etcd of the test's own, which the test can stop, start and write to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.etcd import ExternalEtcd, external_etcd
from tests.stage.manager import Api, manager


@pytest.fixture
async def etcd(tmp_path: Path) -> AsyncIterator[ExternalEtcd]:
    async with external_etcd(tmp_path / "external-etcd") as server:
        yield server


@pytest.fixture
async def api(tmp_path: Path, etcd: ExternalEtcd) -> AsyncIterator[Api]:
    async with manager(tmp_path / "manager", etcd_endpoints=etcd.options.endpoints) as connection:
        yield connection
