"""A CA, a manager's agent side, and a machine that is enrolled with it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tdc.manager.identity.authority import Authority

from tests.stage.settings_stream import FakeJoins, FakeView, ManagerSide


@pytest.fixture
async def manager(tmp_path: Path) -> AsyncIterator[ManagerSide]:
    view = FakeView()
    side = ManagerSide(Authority.create(tmp_path / "ca"), view, FakeJoins(view))
    await side.start()
    try:
        yield side
    finally:
        await side.stop()


@pytest.fixture
def machine(manager: ManagerSide, tmp_path: Path) -> Path:
    """The state folder of mx1, which is enrolled."""
    folder = tmp_path / "mx1"
    manager.enrolled(folder / "identity")
    return folder
