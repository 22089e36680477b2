"""Fixtures of the system tests: a short folder on a real disk, and a stage in it."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.demo.messages import HOME
from tests.stage.fleet import INTAKE_ADDRESS, Stage, stage
from tests.system.postfix import POSTFIX


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path (sockets live in it), removed afterwards."""
    path = Path(tempfile.mkdtemp(prefix="tdc-test-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
async def fleet(folder: Path, request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    """Manager, DNS and intake, with an empty cluster `demo`; logs are shown if the test fails."""
    async with stage(folder) as running:
        await running.tdc("cluster", "create", "demo")
        try:
            yield running
        finally:
            for log in sorted(folder.glob("**/*.log")):
                with contextlib.suppress(OSError):
                    print(f"--- {log.name}\n{log.read_text(errors='replace')[-3000:]}")


@pytest.fixture
async def copying(fleet: Stage) -> Stage:
    """The same with TDC enabled at the cluster."""
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
    return fleet


needs_postfix = pytest.mark.skipif(
    not POSTFIX.exists(), reason="Postfix is not installed: scripts/setup system, as root"
)
