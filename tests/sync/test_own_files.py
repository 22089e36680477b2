"""A file of ours that somebody removes or replaces shows within seconds, and what that means."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from tdc.node_agent import own_files
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.own_files import OwnFiles
from tdc.shared.edge.tasks import running

from tests.stage.settings_stream import ManagerSide, until


@pytest.fixture
def state(manager: ManagerSide, tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir()
    manager.enrolled(folder / "identity")
    for name in ("settings", "loop.key"):
        (folder / name).write_text("x")
    return folder


def looking_at(state: Path) -> OwnFiles:
    files = OwnFiles(state, state / "identity", state / "spool", TdcLog())
    assert files.look() == ()
    return files


def test_each_file_that_is_removed_is_named_with_what_is_lost(state: Path) -> None:
    files = looking_at(state)
    shutil.rmtree(state / "identity")
    (said,) = files.look()
    assert f"{state}/identity/identity.pem was removed while the agent runs" in said
    assert "enrol the machine again" in said
    (state / "settings").unlink()
    (state / "loop.key").unlink()
    assert ["was removed while the agent runs" in each for each in files.look()] == [True] * 3
    assert any("begin without the last settings" in each for each in files.look())
    assert any("older reports that come back would be copied" in each for each in files.look())


def test_what_is_there_again_is_no_trouble(manager: ManagerSide, state: Path) -> None:
    files = looking_at(state)
    shutil.rmtree(state / "identity")
    (state / "settings").unlink()
    assert len(files.look()) == 2
    manager.enrolled(state / "identity", enrolment="e2")
    (state / "settings").write_text("new ones")
    assert files.look() == ()


def test_a_replaced_file_is_right_where_the_agent_writes_it(
    manager: ManagerSide, state: Path
) -> None:
    files = looking_at(state)
    (state / "settings").unlink()
    (state / "settings").write_text("revision 2")
    manager.enrolled(state / "identity")  # renewed
    assert files.look() == ()
    (state / "loop.key").rename(state / "old")
    (state / "loop.key").write_text("another")
    (said,) = files.look()
    assert "loop.key was replaced while the agent runs" in said


def test_the_identity_of_another_machine_and_a_damaged_one_show(
    manager: ManagerSide, state: Path
) -> None:
    files = looking_at(state)
    manager.enrolled(state / "identity", machine="mx1.new")  # the same machine, renamed
    assert files.look() == ()
    manager.enrolled(state / "identity", machine="mx2", enrolment="e2")
    (said,) = files.look()
    assert "is now that of machine mx2, and the agent runs as mx1.new: restart it" in said
    (state / "identity" / "identity.pem").write_text("nonsense")
    (said,) = files.look()
    assert "enrol this machine again" in said


def test_before_the_enrolment_nothing_is_missing(tmp_path: Path) -> None:
    files = OwnFiles(tmp_path, tmp_path / "identity", tmp_path / "spool", TdcLog())
    assert files.look() == ()
    assert files.look() == ()


async def test_it_is_in_the_log_once_and_in_the_warnings_as_long_as_it_lasts(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_files, "LOOK_EVERY", 0.02)
    said: list[str] = []

    class Log(TdcLog):
        def warning(self, text: str) -> None:
            said.append(text)

        def info(self, text: str) -> None:
            said.append(text)

    files = OwnFiles(state, state / "identity", state / "spool", Log())
    async with running(files.run(), name="own files"):
        await until(lambda: bool(files._seen))
        shutil.move(state / "identity", state / "moved")
        await until(lambda: len(files.warnings()) == 1)
        await asyncio.sleep(0.2)  # several looks
        shutil.move(state / "moved", state / "identity")
        await until(lambda: files.warnings() == ())
    assert len(said) == 2
    assert "was removed" in said[0]
    assert said[1] == "all files of the agent are there again"
