"""`tdc login` and what it is for, with a real manager that has an operator port."""

from __future__ import annotations

import asyncio
import os
import re
import stat
from pathlib import Path

import pytest
from tdc.manager.people import totp
from tdc.shared.edge.clock import wall
from tdc.v1 import fleet_pb2, people_pb2

from tests.cli.conftest import Tdc
from tests.cli.real_manager import done
from tests.cli.terminal import on_terminal
from tests.fakes.etcd import external_etcd
from tests.manager.test_login import Desk
from tests.stage.manager import Api, manager

pytestmark = pytest.mark.system

PASSWORD = "correct horse battery"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file with PASSWORD."""
    path = tmp_path / "password"
    path.write_text(PASSWORD + "\n")
    return path


async def test_a_user_logs_in_and_makes_a_token(
    tmp_path: Path,
    secret: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tdc = Tdc(monkeypatch, capsys)
    async with manager(tmp_path / "manager") as api:
        monkeypatch.setenv("TDC_CONFIG", str(tmp_path / "manager/operator/operator.toml"))

        def as_administrator() -> None:
            typed = ("user", "create", "bob", "--role", "read-only", "--without-password")
            refused = tdc(*typed, "--group", "c1/g1")
            assert (refused.code, "tdc cluster create NAME" in refused.err) == (1, True)
            done(tdc, "cluster", "create", "c1")
            done(tdc, "group", "create", "g1", "--yes")
            made = done(
                tdc, "user", "create", "bob", "--role", "read-only", "--group", "c1/g1",
                "--password-file", str(secret),
            )  # fmt: skip
            groups = [{"cluster": "c1", "group": "g1"}]
            assert made["reach"] == {"clusters": [], "groups": groups, "gone": []}
            assert made["role"] == "read-only", "as --role takes it"
            assert done(tdc, "whoami")["means"] == "certificate"

        def as_bob() -> None:
            config = _by_login(tmp_path, api, monkeypatch)
            address = f"127.0.0.1:{api.ports.operators}"
            before = tdc("whoami")
            assert (before.code, "tdc login USER" in before.err) == (3, True)
            made = done(tdc, "login", "bob", "--password-file", str(secret))
            assert stat.S_IMODE(Path(made["file"]).stat().st_mode) == 0o600
            assert (made["name"], made["role"]) == ("bob", "read-only")
            assert [each["own"] for each in done(tdc, "session", "list")] == [True]
            denied = tdc("user", "list")
            assert (denied.code, "people.list_users" in denied.err) == (1, True)
            token = done(tdc, "token", "create", "ci", "--lifetime", "1d")
            (config.parent / "token").write_text(token["secret"])
            (config.parent / "token").chmod(0o600)
            assert done(tdc, "logout") == {"ended": 1}
            assert not Path(made["file"]).exists()
            config.write_text(f'manager = "{address}"\nca = "ca.pem"\ntoken_file = "token"\n')
            assert done(tdc, "whoami")["means"] == "API token"
            own = tdc("token", "revoke", token["token"]["id"], "-y")
            assert (own.code, "not for an API token" in own.err) == (1, True)
            by_session = config.with_name("session.toml")
            by_session.write_text(f'manager = "{address}"\nca = "ca.pem"\n')
            monkeypatch.setenv("TDC_CONFIG", str(by_session))
            done(tdc, "login", "bob", "--password-file", str(secret))
            assert done(tdc, "token", "revoke", token["token"]["id"], "-y") == {"ended": 1}
            monkeypatch.setenv("TDC_CONFIG", str(config))
            after = tdc("whoami")
            assert (after.code, "revoked" in after.err) == (1, True)

        await asyncio.to_thread(as_administrator)
        await asyncio.to_thread(as_bob)


async def test_who_is_not_logged_out_is_told_so_and_keeps_his_session(
    tmp_path: Path,
    secret: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A copy of the file would be good still, wherever it is."""
    tdc = Tdc(monkeypatch, capsys)
    async with (
        external_etcd(tmp_path / "etcd") as etcd,
        manager(tmp_path / "manager", etcd_endpoints=etcd.options.endpoints) as api,
    ):
        await Desk(api).user("bob")
        _by_login(tmp_path, api, monkeypatch)
        for _ in range(2):  # the second ends the first, whose file it takes
            words = ("login", "bob", "--password-file", str(secret))
            made = await asyncio.to_thread(done, tdc, *words)
            assert len(await asyncio.to_thread(done, tdc, "session", "list")) == 1
        both = await asyncio.to_thread(tdc, "login", "bob", "--provider")
        assert (both.code, "leave out USER" in both.err) == (2, True)
        await etcd.stop()
        refused = await asyncio.to_thread(tdc, "logout")
        await etcd.start()
        assert refused.code in (1, 3)
        assert "You are not logged out: the session goes on" in refused.err
        assert Path(made["file"]).exists()


async def test_who_reaches_nothing_gets_no_empty_answer(
    tmp_path: Path,
    secret: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A nightly export would become empty, and nobody would know."""
    tdc = Tdc(monkeypatch, capsys)
    async with manager(tmp_path / "manager") as api:
        for name in ("c1", "c2"):
            await api.create_cluster(name)
        await Desk(api).people.CreateUser(
            people_pb2.CreateUserRequest(
                name="bob", role="operator", reach=people_pb2.Reach(clusters=["c1"]),
                password=PASSWORD,
            )
        )  # fmt: skip
        config = _by_login(tmp_path, api, monkeypatch)

        def makes_a_token() -> None:
            done(tdc, "login", "bob", "--password-file", str(secret))
            token = done(tdc, "token", "create", "nightly")
            (config.parent / "token").write_text(token["secret"])
            (config.parent / "token").chmod(0o600)
            config.write_text(config.read_text() + 'token_file = "token"\n')
            assert done(tdc, "export") == {"clusters": {"c1": _NEW}}

        def finds_nothing() -> None:
            me = done(tdc, "whoami")
            assert (me["reach"]["clusters"], me["reach"]["groups"]) == ([], [])
            assert re.search(r"nothing|c1 \(not there\)", tdc("whoami").out)
            for words in (["export"], ["status"], ["delivery", "status"], ["cluster", "list"]):
                run = tdc(*words)
                assert (run.code, run.out) == (1, ""), words
                assert "bob reaches nothing here" in run.err
                assert "cluster create" not in run.err

        await asyncio.to_thread(makes_a_token)
        other = people_pb2.Reach(clusters=["c2"])
        await Desk(api).people.SetRole(
            people_pb2.SetRoleRequest(name="bob", role="operator", reach=other)
        )
        await asyncio.to_thread(finds_nothing)
        await Desk(api).people.SetRole(
            people_pb2.SetRoleRequest(
                name="bob", role="operator", reach=people_pb2.Reach(clusters=["c1"])
            )
        )
        await api.commit(fleet_pb2.Edit(remove_cluster=fleet_pb2.RemoveCluster(name="c1")))
        await asyncio.to_thread(finds_nothing)


_NEW: dict[str, object] = {
    "settings": {},
    "groups": {"Main_Group": {"settings": {}, "machines": {}}},
}


async def test_codes_and_passwords_are_set_without_a_terminal_and_asked_for_on_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tdc = Tdc(monkeypatch, capsys)
    old, new, secret = (tmp_path / name for name in ("old", "new", "secret"))
    old.write_text(PASSWORD + "\n")
    new.write_text("another long password\n")
    async with manager(tmp_path / "manager") as api:
        await Desk(api).user("bob")
        config = _by_login(tmp_path, api, monkeypatch)

        def without_a_terminal() -> None:
            done(tdc, "login", "bob", "--password-file", str(old))
            missing = tdc("user", "set-password", "--password-file", str(new))
            assert (missing.code, "--old-password-file FILE" in missing.err) == (1, True)
            files = ("--password-file", str(new), "--old-password-file", str(old))
            done(tdc, "user", "set-password", *files)
            done(tdc, "login", "bob", "--password-file", str(new))
            missing = tdc("user", "set-codes", "--password-file", str(new))
            assert (missing.code, missing.out) == (1, "")
            assert "--begin" in missing.err
            assert "otpauth" not in missing.err, "no secret for nothing"
            made = done(tdc, "user", "set-codes", "--begin")
            assert made["secret"] in made["uri"]
            secret.write_text(made["secret"] + "\n")
            by = ("--secret-file", str(secret), "--password-file", str(new))
            missing = tdc("user", "set-codes", *by)
            assert (missing.code, "--code CODE" in missing.err) == (1, True)
            code = _code(secret, -1)
            assert done(tdc, "user", "set-codes", *by, "--code", code) == {"in_force": True}
            for_code = tdc("login", "bob", "--password-file", str(new))
            assert (for_code.code, "--code CODE" in for_code.err) == (1, True)
            used = tdc("login", "bob", "--password-file", str(new), "--code", code)
            assert (used.code, "used already" in used.err) == (1, True)

        def on_one() -> None:
            kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
            where = {**kept, "TDC_CONFIG": str(config), "TERM": "xterm", "LANG": "C.UTF-8"}
            with on_terminal(["login", "bob"], where) as terminal:
                terminal.read_until("Password of bob: ")
                terminal.type(new.read_bytes())
                terminal.read_until("One-time code of bob: ")
                terminal.type(_code(secret, 0).encode() + b"\n")
                assert "Logged in as bob" in terminal.read_until(None)
                assert terminal.exit_code() == 0

        await asyncio.to_thread(without_a_terminal)
        await asyncio.to_thread(on_one)


def _code(secret: Path, later: int) -> str:
    """The code of a secret, so many steps from now."""
    return totp.code_at(totp.secret_read(secret.read_text()), int(wall()) // totp.STEP + later)


def _by_login(folder: Path, api: Api, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An operator.toml for sessions at the operator port, in use from now on."""
    config = folder / "bob" / "operator.toml"
    config.parent.mkdir()
    (config.parent / "ca.pem").write_bytes(api.authority.ca_pem)
    config.write_text(f'manager = "127.0.0.1:{api.ports.operators}"\nca = "ca.pem"\n')
    monkeypatch.setenv("TDC_CONFIG", str(config))
    return config
