"""`tdc login` and what it is for, with a real manager that has an operator port."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest

from tests.cli.conftest import Tdc
from tests.cli.real_manager import done
from tests.fakes.etcd import external_etcd
from tests.manager.test_login import Desk
from tests.stage.manager import Api, manager

pytestmark = pytest.mark.system

PASSWORD = "correct horse battery"


async def test_a_user_logs_in_and_makes_a_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tdc = Tdc(monkeypatch, capsys)
    secret = tmp_path / "password"
    secret.write_text(PASSWORD + "\n")
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
            assert made["reach"] == {"clusters": [], "groups": [{"cluster": "c1", "group": "g1"}]}
            assert done(tdc, "whoami")["means"] == "certificate"

        def as_bob() -> None:
            config = _by_login(tmp_path, api, monkeypatch)
            address = f"127.0.0.1:{api.ports.operators}"
            before = tdc("whoami")
            assert (before.code, "tdc login USER" in before.err) == (3, True)
            made = done(tdc, "login", "bob", "--password-file", str(secret))
            assert stat.S_IMODE(Path(made["file"]).stat().st_mode) == 0o600
            assert (made["name"], made["role"]) == ("bob", "read only")
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
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A copy of the file would be good still, wherever it is."""
    tdc = Tdc(monkeypatch, capsys)
    secret = tmp_path / "password"
    secret.write_text(PASSWORD + "\n")
    async with (
        external_etcd(tmp_path / "etcd") as etcd,
        manager(tmp_path / "manager", etcd_endpoints=etcd.options.endpoints) as api,
    ):
        await Desk(api).user("bob")
        _by_login(tmp_path, api, monkeypatch)
        made = await asyncio.to_thread(done, tdc, "login", "bob", "--password-file", str(secret))
        await etcd.stop()
        refused = await asyncio.to_thread(tdc, "logout")
        await etcd.start()
        assert refused.code in (1, 3)
        assert "You are not logged out: the session goes on" in refused.err
        assert Path(made["file"]).exists()


def _by_login(folder: Path, api: Api, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An operator.toml for sessions at the operator port, in use from now on."""
    config = folder / "bob" / "operator.toml"
    config.parent.mkdir()
    (config.parent / "ca.pem").write_bytes(api.authority.ca_pem)
    config.write_text(f'manager = "127.0.0.1:{api.ports.operators}"\nca = "ca.pem"\n')
    monkeypatch.setenv("TDC_CONFIG", str(config))
    return config
