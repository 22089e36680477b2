"""A folder on a real disk: a crash test on tmpfs proves nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tdc.node_agent.spool import writer
from tdc.node_agent.spool.clock import MachineClocks


@pytest.fixture(autouse=True)
def quick_healing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A spool that can't write or open tries again soon, so that a test need not wait for it."""
    monkeypatch.setattr(writer, "RETRY", 0.2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    assert file_system(tmp_path) not in ("tmpfs", "ramfs"), "run these tests on a real disk"
    return tmp_path / "spool"


class FakeClock:
    """Time that passes (`now`), a wall clock that may be wrong (`wrong_by`), and reboots."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self.wrong_by = 0.0
        self.boot = "first"
        self._booted_at = self.now - 1_000

    def __call__(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now + self.wrong_by

    def reboot(self, seconds: float) -> None:
        """Start the machine again, after being off for so long."""
        self.now += seconds
        self.boot += " again"
        self._booted_at = self.now

    @property
    def machine(self) -> MachineClocks:
        return MachineClocks(lambda: self.now - self._booted_at, self.wall, self.boot)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def file_system(path: Path) -> str:
    device = path.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, right = line.split(" - ")
        if left.split()[2] == wanted:
            return right.split()[0]
    return "unknown"
