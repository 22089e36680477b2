"""Fixtures of the system tests: a stage in a short folder (sockets live in it) on a real disk.

Logs are shown if a test fails.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.demo.messages import HOME
from tests.stage.fleet import INTAKE_ADDRESS, RunningFleet, stage
from tests.system.postfix import POSTFIX


@contextlib.asynccontextmanager
async def _fleet() -> AsyncIterator[RunningFleet]:
    with tempfile.TemporaryDirectory(prefix="tdc-test-", ignore_cleanup_errors=True) as name:
        async with stage(Path(name)) as running:
            await running.tdc("cluster", "create", "demo")
            try:
                yield running
            finally:
                for log in sorted(Path(name).glob("**/*.log")):
                    with contextlib.suppress(OSError):
                        print(f"--- {log.name}\n{log.read_text(errors='replace')[-3000:]}")


async def _enable(fleet: RunningFleet) -> None:
    await fleet.tdc(
        "settings",
        "set",
        "cluster",
        "demo",
        "enabled=true",
        f"intake_address={INTAKE_ADDRESS}",
        f"incoming_domains={HOME}",
        "retry.initial=1s",
        "retry.maximum=2s",
        "--yes",
    )


@pytest.fixture
async def copying() -> AsyncIterator[RunningFleet]:
    """Manager, DNS and intake, with a cluster `demo` where TDC is enabled."""
    async with _fleet() as fleet:
        await _enable(fleet)
        yield fleet


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared() -> AsyncIterator[RunningFleet]:
    """The same with nothing set, one for a module: none of its tests counts on what another left.

    Tests that use it run on the module's loop: `pytest.mark.asyncio(loop_scope="module")`.
    """
    async with _fleet() as fleet:
        yield fleet


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_copying(shared: RunningFleet) -> RunningFleet:
    """The shared one with TDC enabled at the cluster."""
    await _enable(shared)
    return shared


needs_postfix = pytest.mark.skipif(
    not POSTFIX.exists(), reason="Postfix is not installed: scripts/setup system, as root"
)
