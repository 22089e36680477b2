"""A copy by which the agent dies again and again is set aside, and the others flow (F22)."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tdc.node_agent.spool.spool import Spool
from tdc.node_agent.spool.suspects import Hazard, Suspects

from tests.crash.poison_child import POISON
from tests.spool.test_spool_damage import ENVELOPE
from tests.stage.delivery import INTAKE, MESSAGE

pytestmark = pytest.mark.crash
ROOT = Path(__file__).parents[2]


async def filled(folder: Path) -> int:
    """Make a spool with a poisoned copy among others, as a run leaves it; return its MID."""
    spool = await Spool.open(folder)
    for content in (MESSAGE, MESSAGE, POISON + MESSAGE, MESSAGE, MESSAGE):
        mid = await spool.hold(ENVELOPE, content, INTAKE, f"{len(content):032x}")
        spool.release(mid)
    await spool.close()
    return mid - 2


def run(tmp_path: Path, number: int, step: str) -> subprocess.CompletedProcess[str]:
    folder = tmp_path / f"run {number}"
    folder.mkdir()
    (folder / "spool").symlink_to(tmp_path / "spool")
    return subprocess.run(
        [sys.executable, "-m", "tests.crash.poison_child", str(folder), step],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("step", ["read", "built"])
@pytest.mark.proves("F22")
async def test_a_copy_that_kills_the_agent_three_times_is_set_aside(
    tmp_path: Path, step: str
) -> None:
    mid = await filled(tmp_path / "spool")
    for number in range(3):
        assert run(tmp_path, number, step).returncode == -signal.SIGKILL
    last = run(tmp_path, 3, step)
    assert last.returncode == 0, last.stderr
    assert f"[({mid}, 'the agent died again and again while" in last.stdout
    assert f"{step}" in last.stdout
    spool = await Spool.open(tmp_path / "spool")
    facts = spool.facts()
    assert (facts.queued, facts.dead) == (0, 1)
    await spool.close()


def begun(path: Path) -> Suspects:
    opened = Suspects.at(path)
    opened.begin(10)
    return opened


def die(path: Path, hazard: Hazard, mid: int) -> None:
    """Leave the file as a process does that dies with the copy in hand."""
    run = begun(path)
    with run.marked(hazard, mid):
        left = path.read_bytes()
    run.close()
    path.write_bytes(left)


def poison(path: Path) -> dict[int, str]:
    """Return whom a start suspects that does not get to open the spool."""
    opened = Suspects.at(path)
    found = opened.poison()
    opened.close()
    return found


def test_deaths_are_counted_for_each_copy_and_once_a_start(tmp_path: Path) -> None:
    path = tmp_path / "suspects"
    die(path, Hazard.READING, 7)
    die(path, Hazard.READING, 7)
    die(path, Hazard.BUILDING, 7)
    for _ in range(5):  # a start that can't open the spool tries again and again
        assert poison(path) == {}, "once at each step, and the first one was not seen"
    die(path, Hazard.READING, 8)
    die(path, Hazard.READING, 7)
    assert poison(path) == {}, "another copy came in between: it is not the copy"
    die(path, Hazard.READING, 7)
    opened = Suspects.at(path)
    assert opened.poison() == {7: "the agent died again and again while it was read from the spool"}
    opened.forget()
    assert opened.poison() == {}
    opened.close()
    assert poison(path) == {}


def test_a_copy_that_passes_a_step_is_cleared_of_it(tmp_path: Path) -> None:
    path = tmp_path / "suspects"
    die(path, Hazard.READING, 6)
    for _ in range(4):
        die(path, Hazard.READING, 7)
        run = begun(path)
        with run.marked(Hazard.READING, 7):
            pass
        left = path.read_bytes()
        run.close()
        path.write_bytes(left)  # this run dies as well, of something else
        assert poison(path) == {}


def test_nothing_is_noted_behind_an_end_in_order_nor_of_fresh_copies(tmp_path: Path) -> None:
    path = tmp_path / "suspects"
    for _ in range(4):
        die(path, Hazard.BUILDING, 11)
    assert poison(path) == {}, "fresh"
    for _ in range(4):
        begun(path).close()
        die(path, Hazard.BUILDING, 7)
    assert poison(path) == {}, "each was the first death"


@pytest.mark.parametrize("content", [b"", b"\xff" * 48, b"\xff" * 5, None])
async def test_a_damaged_file_of_suspects_harms_no_copy(
    tmp_path: Path, content: bytes | None
) -> None:
    folder = tmp_path / "spool"
    await filled(folder)
    path = folder / "spool.suspects"
    path.unlink()
    path.mkdir() if content is None else path.write_bytes(content)
    spool = await Spool.open(folder)
    facts = spool.facts()
    assert (facts.unhealthy, facts.queued, facts.dead) == (None, 5, 0)
    await spool.close()
