"""The settings that an agent starts from: two files, the newest that is whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from tdc.node_agent.sync import last_good
from tdc.shared.sync.values import Running


@pytest.mark.proves("F56")
def test_two_good_files_are_kept_and_the_older_is_taken_if_both_fail_nothing_copies(
    tmp_path: Path,
) -> None:
    last_good.save(tmp_path, Running(1, "a", "s"), {"max_message_size": 1})
    last_good.save(tmp_path, Running(2, "b", "s"), {"max_message_size": 2})
    (tmp_path / last_good.NEWEST).unlink()
    assert last_good.load(tmp_path).running == Running(1, "a", "s")
    (tmp_path / last_good.NEWEST).write_bytes(b"")
    (tmp_path / last_good.BEFORE).write_bytes(b"\x00" * 200)
    lost = last_good.load(tmp_path)
    assert lost.running.revision == 0
    assert not lost.settings
    assert "copying is off" in lost.warnings[0]
    last_good.save(tmp_path, Running(3, "c", "s"), {"max_message_size": 3})
    assert last_good.load(tmp_path).running.revision == 3


def test_another_cluster_starts_counting_anew(tmp_path: Path) -> None:
    last_good.save(tmp_path, Running(7, "a", "s"), {"max_message_size": 1})
    last_good.forget_history(tmp_path)
    assert last_good.load(tmp_path).running == Running(7, "a", "")
