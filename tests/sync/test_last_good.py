"""The settings that an agent starts from: two files, the newest that is whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tdc.node_agent.sync import last_good
from tdc.shared.edge import durable_file
from tdc.shared.settings.known import hash_of
from tdc.shared.settings.schema import default_values
from tdc.shared.settings.values import Settings
from tdc.shared.sync.audit import AuditHead, Witness
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


def _rewritten(path: Path, **changed: object) -> None:
    document = json.loads(durable_file.read_checked(path))
    document["settings"] |= changed.pop("settings", {})
    durable_file.write_checked(path, json.dumps(document | changed).encode())


@pytest.mark.proves("B99")
@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"settings": {"quarantine": True}}, "unknown setting 'quarantine'"),
        ({"settings": {"log.level": "trace"}}, "log.level"),
        ({"format": 2}, "has format 2; this agent reads 1"),
    ],
)
def test_what_a_newer_agent_left_is_named_and_the_settings_before_it_run(
    tmp_path: Path, changed: dict[str, object], said: str
) -> None:
    """A downgrade: to leave out what is not known would be to run other settings than were set."""
    last_good.save(tmp_path, Running(1, "a", "s"), {"max_message_size": 1})
    last_good.save(tmp_path, Running(2, "b", "s"), {"max_message_size": 2})
    _rewritten(tmp_path / last_good.NEWEST, **changed)
    found = last_good.load(tmp_path)
    assert found.running.revision == 1
    assert said in found.warnings[0]
    assert "running revision 1 until a manager sends settings" in found.warnings[0]


def test_what_a_newer_agent_left_at_its_default_is_no_loss(tmp_path: Path) -> None:
    """After a downgrade copying goes on: a setting that is not known acts as by its default."""
    settings = Settings.of({"max_message_size": 2, "log.level": "info"})
    last_good.save(tmp_path, Running(2, "of all of them", "s"), settings)
    path = tmp_path / last_good.NEWEST
    known = json.loads(durable_file.read_checked(path))["defaults"]
    assert known == ["log.level"]
    _rewritten(path, settings={"quarantine": False}, defaults=[*known, "quarantine"])
    found = last_good.load(tmp_path)
    assert (found.settings, found.warnings) == (settings, ())
    assert found.running == Running(2, hash_of(settings), "s"), "so a manager finds it in sync"


@pytest.mark.proves("B99")
def test_what_an_older_agent_left_runs(tmp_path: Path) -> None:
    """It has fewer settings, and says nothing of histories; what it lacks has its default."""
    last_good.save(tmp_path, Running(1, "a", "s"), {"max_message_size": 1})
    path = tmp_path / last_good.NEWEST
    document = json.loads(durable_file.read_checked(path))
    del document["history"], document["left"]
    durable_file.write_checked(path, json.dumps(document).encode())
    found = last_good.load(tmp_path)
    assert (found.running.revision, found.warnings) == (1, ())
    assert found.settings["max_message_size"] == 1
    assert len(found.settings) < len(default_values())


def test_a_file_of_a_later_agent_is_not_guessed_at(tmp_path: Path) -> None:
    """After a downgrade what it says may mean something else: nothing is copied by it."""
    last_good.save(tmp_path, Running(7, "a", "s"), {"max_message_size": 1})
    path = tmp_path / last_good.NEWEST
    document = json.loads(durable_file.read_checked(path))
    durable_file.write_checked(path, json.dumps({**document, "format": 2}).encode())
    found = last_good.load(tmp_path)
    assert found.running.revision == 0
    assert not found.settings
    assert "has format 2; this agent reads 1" in found.warnings[0]


def test_what_was_seen_of_the_audit_log_is_kept_with_the_settings(tmp_path: Path) -> None:
    seen = Witness("s", AuditHead(7, "a" * 64), 12.5, (AuditHead(9, "b" * 64),))
    last_good.save(tmp_path, Running(1, "a", "s"), {"max_message_size": 1}, seen)
    assert last_good.load(tmp_path).witness == seen
    last_good.forget_history(tmp_path)
    assert last_good.load(tmp_path).witness == seen
