"""The loop key on disk: made once, private, and never a reason to hold up mail."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from tdc.node_agent import loop_key
from tdc.node_agent.log.lines import TdcLog
from tdc.shared.edge import durable_file


def load(folder: Path) -> tuple[bytes, str]:
    said = io.StringIO()
    log = TdcLog(stream=said)
    log.configure("warning", "text")
    key = loop_key.load(folder, log)
    log.close()
    return key, said.getvalue()


def test_the_key_is_made_at_the_first_start_and_kept(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    key, said = load(folder)
    assert len(key) == 32
    assert said == ""
    assert (folder / "loop.key").stat().st_mode & 0o777 == 0o600
    assert load(folder) == (key, "")
    assert load(tmp_path / "other")[0] != key


@pytest.mark.parametrize("damage", ["torn", "empty", "short", "folder"])
def test_a_key_that_cannot_be_read_is_replaced_and_the_log_says_so(
    tmp_path: Path, damage: str
) -> None:
    path = tmp_path / "loop.key"
    first, _ = load(tmp_path)
    if damage == "short":
        durable_file.write_checked(path, first[:16])
    elif damage == "folder":
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(path.read_bytes()[:-1] if damage == "torn" else b"")
    second, said = load(tmp_path)
    assert len(second) == 32
    assert second != first
    assert "loop.key" in said
    assert "using a new loop key" in said
    if damage == "folder":  # stands in the way for good: the key can't be kept
        assert "lasts until the agent stops" in said
    else:
        assert load(tmp_path) == (second, "")


def test_a_state_folder_that_cannot_be_made_does_not_stop_the_agent(tmp_path: Path) -> None:
    (tmp_path / "state").write_bytes(b"a file")
    key, said = load(tmp_path / "state")
    assert len(key) == 32
    assert "lasts until the agent stops" in said
