"""A spool that agent.toml no longer names: the copies in it are not forgotten."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pytest
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.spool.left import copies_left
from tdc.node_agent.spool.spool import Spool
from tdc.node_agent.spool_places import FILE, SpoolPlaces
from tdc.shared.mail.envelope import Envelope

INTAKE = "copies@intake.example"


async def _spool_with(folder: Path, copies: int) -> None:
    spool = await Spool.open(folder, log=TdcLog())
    for number in range(copies):
        spool.release(
            await spool.hold(
                Envelope("", ("a@b.example",)), b"Subject: x\r\n\r\n", INTAKE, f"{number}"
            )
        )
    await spool.close()


def _said(state: Path, spool: Path) -> list[str]:
    """What a start with this spool says."""
    return list(SpoolPlaces(state, spool, TdcLog(stream=io.StringIO())).left_behind())


async def test_copies_in_a_spool_of_before_are_named_until_they_are_gone(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    await _spool_with(old, 2)
    assert _said(tmp_path, old) == []
    for _ in range(2):  # at each start
        (said,) = _said(tmp_path, new)
        assert said.startswith(f"2 copies are left in the spool {old}, ")
        assert f"set spool.folder to {old} again until its queue is empty" in said
    assert _said(tmp_path, old) == [], "used again, it is looked after"
    places = SpoolPlaces(tmp_path, new, TdcLog(stream=io.StringIO()))
    assert len(list(places.left_behind())) == 1
    (old / "spool.db").unlink()
    assert list(places.left_behind()) == []
    assert _said(tmp_path, new) == []


async def test_an_empty_spool_of_before_is_forgotten(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    await _spool_with(old, 0)
    assert _said(tmp_path, old) == []
    assert _said(tmp_path, new) == []
    await _spool_with(old, 1)
    assert _said(tmp_path, new) == [], "nobody has used it since but this test"


async def test_counting_changes_nothing_there(tmp_path: Path) -> None:
    await _spool_with(tmp_path / "old", 3)
    before = {each.name: each.read_bytes() for each in (tmp_path / "old").iterdir()}
    assert copies_left(tmp_path / "old") == 3
    assert {each.name: each.read_bytes() for each in (tmp_path / "old").iterdir()} == before


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0" + b"\xff" * 4_096])
def test_what_can_not_be_read_may_hold_copies(tmp_path: Path, content: bytes) -> None:
    old = tmp_path / "old"
    old.mkdir()
    (old / "spool.db").write_bytes(content)
    assert copies_left(old) is None
    assert _said(tmp_path, old) == []
    (said,) = _said(tmp_path, tmp_path / "new")
    assert said.startswith("copies may be left in the spool")


def test_a_place_file_that_is_damaged_keeps_nothing_from_starting(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"\xff\0\xff")
    assert _said(tmp_path, tmp_path / "new") == []
    assert _said(tmp_path, tmp_path / "new") == []


async def test_what_an_agent_that_was_killed_had_written_counts(tmp_path: Path) -> None:
    """It is in the log of writes, not yet in the file."""
    spool = await Spool.open(tmp_path / "old", log=TdcLog())
    sent = Envelope("", ("a@b.example",))
    spool.release(await spool.hold(sent, b"Subject: x\r\n\r\n", INTAKE, "1"))
    killed = tmp_path / "killed"
    shutil.copytree(tmp_path / "old", killed)
    await spool.close()
    assert copies_left(killed) == 1
