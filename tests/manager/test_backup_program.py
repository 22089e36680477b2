"""`tdc-manager backup` beside a manager that runs, and `restore` on another machine."""

from __future__ import annotations

import asyncio
import hashlib
import io
import re
import shutil
import stat
import subprocess
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tdc.manager.backup import passphrase
from tdc.manager.backup.form import (
    End,
    Entry,
    NotABackup,
    Origin,
    entry_line,
    first_line,
    last_line,
    sealed_line,
)
from tdc.manager.backup.verify import verified
from tdc.manager.identity import ca_folder
from tdc.manager.identity.authority import Authority
from tdc.manager.identity.ca_state import CaState, finished, prepared, switched
from tdc.manager.program import main
from tdc.manager.store import keys
from tdc.manager.store.identity import StoreIdentity, packed
from tdc.shared.edge.clock import wall
from tdc.shared.sync.values import BEHIND
from tdc.v1 import agents_pb2, operators_pb2

from tests.fakes.etcd import external_etcd
from tests.manager.test_monitoring import Agent
from tests.stage.manager import Api, add_machine, connected, enrolled, manager, put
from tests.stage.programs import BIN

PASSPHRASE = "correct horse battery staple"


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passphrase, "_COST", 2**10)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(f"{PASSPHRASE}\n")
    return path


def _ran(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(list(map(str, arguments)))
    captured = capsys.readouterr()
    return int(str(ended.value.code)), captured.out + captured.err


async def _beside(verb: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """As another process, while this one runs the manager."""
    command = [str(BIN / "tdc-manager"), verb, *map(str, arguments)]
    return await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, check=False, timeout=60
    )


def _numbers(pattern: str, done: subprocess.CompletedProcess[str]) -> list[int]:
    found = re.search(pattern, done.stdout)
    assert found is not None, done.stdout
    return [int(each) for each in found.groups()]


async def _fill(api: Api) -> None:
    await api.create_cluster("corp")
    await api.commit(add_machine("mx1", "Main_Group"), put("machine", "mx1", retry__initial=7))


async def _running(machine: Api) -> agents_pb2.Running:
    """What an agent runs that has taken what it is offered."""
    agent = Agent(machine.agents.Session())
    await agent.hello()
    message = await agent.call.read()
    assert isinstance(message, agents_pb2.ManagerMessage)
    wanted = message.wanted
    agent.call.cancel()
    return agents_pb2.Running(
        revision=wanted.revision,
        hash=wanted.hash,
        store_id=wanted.store_id,
        history=wanted.history,
    )


async def _welcomed(machine: Api, running: agents_pb2.Running) -> agents_pb2.Welcome:
    call = machine.agents.Session()
    hello = agents_pb2.Hello(agent_version="1", protocol=1, running=running)
    await call.write(agents_pb2.AgentMessage(hello=hello))
    first = await call.read()
    assert isinstance(first, agents_pb2.ManagerMessage)
    call.cancel()
    return first.welcome


@pytest.mark.parametrize("adopt", [False, True])
@pytest.mark.proves("F49")
async def test_a_backup_of_a_running_manager_is_restored_elsewhere(
    tmp_path: Path, secret: Path, adopt: bool
) -> None:
    """With its CA: all are let in, and a machine that is ahead is told so, or what counts now."""
    old, new, file = tmp_path / "old", tmp_path / "new", tmp_path / "store.backup"
    async with manager(old) as api:
        await _fill(api)
        certificate, key = await enrolled(api, "mx1")
        arguments = ("--folder", old, "--out", file, "--with-ca", "--passphrase-file", secret)
        done = await _beside("backup", *arguments)
        assert done.returncode == 0, done.stderr
        assert "cluster corp: revision 2 " in done.stdout
        assert "machines: 1" in done.stdout
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert b"PRIVATE KEY" not in file.read_bytes()
        again = await _beside("backup", *arguments)
        assert (again.returncode, "exists already" in again.stderr) == (1, True)
        await api.commit(put("machine", "mx1", retry__initial=8))
        async with connected(api.ports, api.authority, certificate, key) as machine:
            running = await _running(machine)
    assert running.revision == 3
    more = ["--adopt"] if adopt else []
    done = await _beside("restore", file, "--folder", new, "--passphrase-file", secret, *more)
    assert done.returncode == 0, done.stderr
    assert ("has a new id" if adopt else "kept its id") in done.stdout
    assert ("`tdc recover` commits again what is missing" in done.stdout) == (not adopt)
    restored, saved, left = _numbers(r"(\d+) of the backup's (\d+) .* the other (\d+) ", done)
    assert saved - restored == left
    assert _numbers(r"store .* values: (\d+),", done) == [saved]
    assert stat.S_IMODE((new / "ca" / "ca-key.pem").stat().st_mode) == 0o600
    assert stat.S_IMODE(new.stat().st_mode) == 0o700
    (new / "operator").symlink_to(old / "operator")
    async with (
        manager(new) as api,
        connected(api.ports, api.authority, certificate, key) as machine,
    ):
        assert [each.name for each in (await _machines(api)).machines] == ["mx1"]
        now = await _running(machine)
        assert (now.store_id == running.store_id) == (not adopt)
        # Of a store that it has not met before, it takes what is wanted, whatever it runs.
        assert (await _welcomed(machine, running)).history == ("" if adopt else BEHIND)


async def _machines(api: Api) -> operators_pb2.ListMachinesResponse:
    return await api.fleet.ListMachines(operators_pb2.ListMachinesRequest())


async def test_a_backup_goes_from_one_kind_of_etcd_to_another(tmp_path: Path) -> None:
    """Made where no manager runs. The options of the new place are those of the new place."""
    old, file = tmp_path / "old", tmp_path / "store.backup"
    async with manager(old, names=("m.example",)) as api:
        await _fill(api)
    (old / "manager.toml").write_text('names = ["m.example"]\nlisten_port = 0\nenrol_port = 0\n')
    done = await _beside("backup", "--folder", old, "--out", file)
    assert done.returncode == 0, done.stderr
    assert "The CA is not in it" in done.stdout
    async with external_etcd(tmp_path / "etcd") as etcd:
        endpoint = etcd.options.endpoints[0].removeprefix("http://")
        new = tmp_path / "new"
        arguments = (file, "--folder", new, "--etcd-endpoints", endpoint)
        done = await _beside("restore", *arguments)
        assert done.returncode == 1
        assert "was made without --with-ca" in done.stderr
        assert not new.exists()
        shutil.copytree(old / "ca", new / "ca")
        done = await _beside("restore", *arguments)
        assert done.returncode == 0, done.stderr
        options = tomllib.loads((new / "manager.toml").read_text())
        assert options["names"] == ["m.example"]
        assert options["etcd_endpoints"] == [endpoint]
        (new / "operator").symlink_to(old / "operator")
        async with manager(new, etcd_endpoints=(endpoint,)) as api:
            assert [each.name for each in (await _machines(api)).machines] == ["mx1"]
        done = await _beside("restore", *arguments)
        assert (done.returncode, "not empty" in done.stderr) == (1, True)


async def test_a_folder_with_another_ca_is_not_taken_unasked(tmp_path: Path) -> None:
    old, new, file = tmp_path / "old", tmp_path / "new", tmp_path / "store.backup"
    async with manager(old) as api:
        await _fill(api)
    assert (await _beside("backup", "--folder", old, "--out", file)).returncode == 0
    assert (await _beside("init", "--folder", new)).returncode == 0
    done = await _beside("restore", file, "--folder", new)
    assert done.returncode == 1
    assert "has another CA" in done.stderr
    assert not (new / "etcd").exists()
    done = await _beside("restore", file, "--folder", new, "--keep-ca")
    assert done.returncode == 0, done.stderr


async def test_a_ca_that_came_by_a_rotation_since_is_kept(tmp_path: Path) -> None:
    """While the backup's is trusted too it is no other; then advice is not to go back to it."""
    old, new, file = tmp_path / "old", tmp_path / "new", tmp_path / "store.backup"
    async with manager(old) as api:
        await _fill(api)
    assert (await _beside("backup", "--folder", old, "--out", file)).returncode == 0
    first, second = Authority.load(old / "ca"), Authority.new()
    began = prepared(ca_folder.read(old / "ca"), second.pair, first.bridge_to(second), wall())
    signs = switched(began, wall())
    ca_folder.write(new / "ca", finished(signs, wall()))
    done = await _beside("restore", file, "--folder", new)
    assert done.returncode == 1
    assert f"{second.fingerprint[:16]}, which came by a rotation after" in done.stderr
    assert "Go on with this one: --keep-ca" in done.stderr
    assert "every machine again" not in done.stderr
    assert "without a CA" not in done.stderr
    ca_folder.write(new / "ca", signs)
    done = await _beside("restore", file, "--folder", new)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a small backup with a CA."""
    path = tmp_path_factory.mktemp("made") / "store.backup"
    first = first_line(Origin(1e9, "0.1.0", 5, "f" * 64, "embedded", {"names": ["m.example"]}))
    sealed = sealed_line(passphrase.seal({"ca.pem": b"certificate"}, PASSPHRASE, first))
    value = entry_line(Entry(keys.STORE, packed(StoreIdentity("an id"))))
    content = first + sealed + value
    path.write_bytes(content + last_line(End(1, hashlib.sha256(content).hexdigest())))
    return path


def test_advice_after_a_rotation_is_not_to_go_back(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = Authority.new(), Authority.new()
    began = prepared(CaState(first.pair), second.pair, first.bridge_to(second), wall())
    for state, rotated in (
        (finished(switched(began, wall()), wall()), True),
        (finished(switched(began, 1.0), 2.0), False),  # the backup was made after that
        (CaState(second.pair), False),
    ):
        ca_folder.write(tmp_path / "ca", state)
        code, said = _ran(capsys, "restore", made, "--folder", tmp_path)
        assert (code, "Nothing was written" in said) == (1, True)
        assert ("which came by a rotation after" in said) == rotated
        assert ("enrol every machine again" in said) != rotated


def test_what_is_in_a_file_is_said_without_a_folder(
    made: Path, secret: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = _ran(capsys, "restore", made, "--dry-run", "--passphrase-file", secret)
    assert code == 0, said
    assert "is whole: made 2001-09-09 01:46:40Z" in said
    assert "The passphrase opens the CA" in said
    secret.write_text("another passphrase\n")
    code, said = _ran(capsys, "restore", made, "--dry-run", "--passphrase-file", secret)
    assert (code, "does not open the CA" in said) == (1, True)
    code, said = _ran(capsys, "restore", made)
    assert (code, "--folder is required" in said) == (2, True)


@given(data=st.data())
def test_a_file_that_was_cut_off_or_altered_is_refused(made: Path, data: st.DataObject) -> None:
    content = made.read_bytes()
    at = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        spoilt = content[:at]
    else:
        flipped = content[at] ^ (1 << data.draw(st.integers(0, 7)))
        spoilt = content[:at] + bytes([flipped]) + content[at + 1 :]
    path = made.with_name("spoilt")
    path.write_bytes(spoilt)
    with pytest.raises(NotABackup, match="Nothing was written"):
        verified(path)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not a backup of tdc-manager"),
        (b'{"tdc_backup":2,"new":[]}\n', "a newer tdc-manager made it"),
        (b'{"tdc_backup":"1"}\n', "first line is damaged"),
        (b"{}\n", "not a backup of tdc-manager"),
        (b"[" * 100_000 + b"\n", "not a backup of tdc-manager"),
    ],
)
def test_another_file_is_refused_in_words(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(NotABackup, match=says):
        verified(tmp_path / "file")


def test_more_or_less_than_all_and_keys_out_of_order_are_refused(
    tmp_path: Path, made: Path
) -> None:
    (tmp_path / "more").write_bytes(made.read_bytes() + b"\n")
    with pytest.raises(NotABackup, match="more after its last line"):
        verified(tmp_path / "more")
    lines = made.read_bytes().splitlines(keepends=True)
    (tmp_path / "less").write_bytes(b"".join(lines[:3]))
    with pytest.raises(NotABackup, match="its last line is missing"):
        verified(tmp_path / "less")
    content = b"".join([*lines[:3], lines[2]])
    end = last_line(End(2, hashlib.sha256(content).hexdigest()))
    (tmp_path / "twice").write_bytes(content + end)
    with pytest.raises(NotABackup, match="line 4 is damaged: its key is not in order"):
        verified(tmp_path / "twice")


@pytest.mark.parametrize(
    ("text", "says"),
    [("short", "at least 12"), (None, "no terminal to ask on"), (b"\xff" * 20, "not UTF-8")],
)
def test_a_passphrase_that_is_none_is_refused(
    tmp_path: Path, text: str | bytes | None, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    path = None
    if text is not None:
        path = tmp_path / "secret"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(passphrase.PassphraseRefused, match=says):
        passphrase.asked_for(path, twice=True)


@pytest.mark.parametrize("change", [{"n": 2**30}, {"n": 3}, {"r": 99}, {"p": 0}, {"nonce": b""}])
def test_a_file_can_not_ask_for_all_of_the_memory(made: Path, change: dict[str, object]) -> None:
    found = verified(made)
    assert found.sealed is not None
    with pytest.raises(passphrase.PassphraseRefused, match="can't be used"):
        passphrase.opened(replace(found.sealed, **change), PASSPHRASE, found.first)  # type: ignore[arg-type]


def test_a_ca_is_good_in_its_own_backup_only(made: Path) -> None:
    found = verified(made)
    assert found.sealed is not None
    assert passphrase.opened(found.sealed, PASSPHRASE, found.first) == {"ca.pem": b"certificate"}
    with pytest.raises(passphrase.PassphraseRefused, match="does not open"):
        passphrase.opened(found.sealed, PASSPHRASE, found.first.replace(b"m.example", b"n.example"))
