"""The identity on disk: whole or not at all, of one machine, readable by its owner."""

from __future__ import annotations

import fcntl
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tdc.manager.identity.authority import Authority
from tdc.node_agent.sync import identity as identities
from tdc.node_agent.sync.enrol import EnrolFailed
from tdc.shared.edge import durable_file

from tests.stage.settings_stream import ManagerSide, join

NOBODY = 65_534


@pytest.mark.parametrize("damage", ["empty", "cut", "key", "other key"])
def test_an_identity_that_does_not_fit_together_is_told_apart(machine: Path, damage: str) -> None:
    folder = machine / "identity"
    whole = (folder / identities.FILE).read_bytes()
    held = identities.load(folder)
    match damage:
        case "empty":
            whole = b""
        case "cut":
            whole = whole[: len(whole) // 2]
        case "key":
            whole = whole.removeprefix(held.key_pem)
        case "other key":
            whole = whole.replace(held.key_pem, identities.new_key())
    (folder / identities.FILE).write_bytes(whole)
    with pytest.raises(identities.IdentityUnusable, match="enrol this machine again"):
        identities.load(folder)
    with pytest.raises(identities.IdentityUnusable, match=str(folder)):
        identities.load(folder)


def test_an_identity_of_an_older_agent_is_used_until_a_new_one_takes_its_place(
    manager: ManagerSide, tmp_path: Path
) -> None:
    held = identities.load(manager.enrolled(tmp_path / "made"))
    folder = tmp_path / "identity"
    folder.mkdir()
    parts = (held.key_pem, held.certificate_pem, held.ca_pem)
    for name, part in zip(identities.BEFORE, parts, strict=True):
        (folder / name).write_bytes(part)
    assert identities.load(folder) == held
    (folder / identities.BEFORE[1]).unlink()
    with pytest.raises(identities.NotEnrolled):
        identities.load(folder)
    newer = identities.load(manager.enrolled(tmp_path / "newer"))
    identities.save(folder, newer)
    assert identities.load(folder) == newer
    assert [each.name for each in folder.iterdir()] == [identities.FILE]
    assert stat.S_IMODE((folder / identities.FILE).stat().st_mode) == 0o600
    for name, part in zip(identities.BEFORE, parts, strict=True):  # could not be removed
        (folder / name).write_bytes(part)
    assert identities.load(folder) == newer


def test_only_a_machines_certificate_of_its_own_ca_makes_an_identity(
    manager: ManagerSide, tmp_path: Path
) -> None:
    ours, foreign = manager.authority, Authority.create(tmp_path / "foreign")
    key = identities.new_key()
    request = identities.request_for(key)
    good = ours.issue_machine(request, "c1", "mx1", "e1")
    assert identities.make_identity(key, good, ours.ca_pem).machine == "mx1"
    operator = ours.issue_operator("ana")
    for made in (
        (operator.key_pem, operator.certificate_pem, ours.ca_pem),
        (key, foreign.issue_machine(request, "c1", "mx1", "e1"), ours.ca_pem),
        (key, good, foreign.ca_pem),
        (identities.new_key(), good, ours.ca_pem),
    ):
        with pytest.raises(identities.IdentityUnusable):
            identities.make_identity(*made)


def test_two_programs_never_write_an_identity_at_once(
    manager: ManagerSide, machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = machine / "identity"
    held = identities.load(folder)
    monkeypatch.setattr(identities, "LOCK_WAIT", 0.1)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(durable_file.NotWritten, match="another program"):
            identities.save(folder, held)
    finally:
        os.close(descriptor)
    identities.save(folder, held)


@pytest.mark.parametrize("before", ["one file", "three files"])
def test_a_machine_killed_while_it_is_enrolled_again_has_the_old_identity_or_the_new(
    manager: ManagerSide, tmp_path: Path, before: str
) -> None:
    """Killed at each line that is run: every time key, certificate and CA belong together."""
    old = manager.enrolled(tmp_path / "old")
    manager.enrolled(tmp_path / "new")
    if before == "three files":
        held = identities.load(old)
        (old / identities.FILE).unlink()
        parts = (held.key_pem, held.certificate_pem, held.ca_pem)
        for name, part in zip(identities.BEFORE, parts, strict=True):
            (old / name).write_bytes(part)
    command = [sys.executable, "-m", "tests.crash.identity_child", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    found = done.stdout.split()
    assert set(found) == {"old", "new"}, found
    assert found == sorted(found, reverse=True), "once it is new it stays new"
    assert len(found) > 30


@pytest.fixture
def of_another_user() -> Iterator[Path]:
    """A state folder that is not root's, where its owner can get to it."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        folder = Path(place, "state")
        folder.mkdir(mode=0o700)
        os.chown(folder, NOBODY, NOBODY)
        yield folder


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can write what is not its own")
async def test_what_root_writes_belongs_to_the_owner_of_the_state_folder(
    manager: ManagerSide, of_another_user: Path
) -> None:
    """Or the agent's own user could not read its key."""
    token = manager.joins.make(manager.authority)
    await join(manager, token.text, of_another_user)
    written = [*of_another_user.rglob("*")]
    assert of_another_user / "identity" / identities.FILE in written
    assert {(each.stat().st_uid, each.stat().st_gid) for each in written} == {(NOBODY, NOBODY)}
    assert os.geteuid() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make what it then can't write")
async def test_an_identity_folder_that_the_owner_can_not_write_costs_no_token(
    manager: ManagerSide, of_another_user: Path
) -> None:
    token = manager.joins.make(manager.authority)
    (of_another_user / "identity").mkdir(mode=0o700)
    with pytest.raises(EnrolFailed, match=r"chown -R \w+ .*/identity.*token was not used"):
        await join(manager, token.text, of_another_user)
    assert manager.joins.used == {}
