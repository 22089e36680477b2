"""A second manager: the package that is made at the first, and the folder that it makes."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from tdc.manager.first_setup import AlreadySetUp, set_up
from tdc.manager.identity.authority import Authority
from tdc.manager.identity.sealed import NotOpened, new_passphrase, opened, seal
from tdc.manager.joining import GOOD_FOR, PackageUnusable, join, make_package
from tdc.manager.options import Options, read_options
from tdc.shared.edge.clock import wall


@pytest.fixture
def first(tmp_path: Path) -> Options:
    names = ("etcd-ca.pem", "client.pem", "client.key", "password")
    for name in names:
        (tmp_path / name).write_text(f"the content of {name}\n")
    ca, certificate, key, password = (tmp_path / name for name in names)
    options = Options(
        tmp_path / "first",
        etcd_endpoints=("etcd1:2379", "etcd2:2379"),
        etcd_ca=ca,
        etcd_certificate=certificate,
        etcd_key=key,
        etcd_user="tdc",
        etcd_password_file=password,
    )
    set_up(options, {}, "ana")
    return options


def test_a_second_manager_has_the_same_ca_and_reaches_the_same_etcd(
    first: Options, tmp_path: Path
) -> None:
    package, folder = tmp_path / "package", tmp_path / "second"
    made = make_package(first, package)
    raw = package.read_bytes()
    assert stat.S_IMODE(package.stat().st_mode) == 0o600
    assert b"PRIVATE KEY" not in raw
    assert b"etcd1" not in raw
    assert any("CA with its key" in each for each in made.holds)
    written = join(Options(folder), {"names": ["mgr2.example"]}, package, made.passphrase + "\n")
    assert Authority.load(folder / "ca").fingerprint == (
        Authority.load(first.folder / "ca").fingerprint
    )
    options = read_options({"folder": folder}, {})
    assert options.etcd_endpoints == first.etcd_endpoints
    assert options.names == ("mgr2.example",)
    assert options.etcd_password() == "the content of password"
    assert options.etcd_key is not None
    assert options.etcd_key.read_text() == "the content of client.key\n"
    assert stat.S_IMODE(options.etcd_key.stat().st_mode) == 0o600
    assert stat.S_IMODE((folder / "ca/ca-key.pem").stat().st_mode) == 0o600
    assert {folder / "ca", folder / "manager.toml", options.etcd_key} < set(written)
    assert not (folder / "operator").exists()
    with pytest.raises(AlreadySetUp, match="set up already"):
        join(Options(folder), {}, package, made.passphrase)


@pytest.mark.parametrize("how", ["passphrase", "altered", "no package", "late"])
def test_what_can_not_be_opened_makes_nothing(first: Options, tmp_path: Path, how: str) -> None:
    package, folder = tmp_path / "package", tmp_path / "second"
    passphrase = make_package(first, package).passphrase
    now = wall() + (GOOD_FOR + 1 if how == "late" else 0)
    if how == "passphrase":
        passphrase = new_passphrase()
    elif how == "altered":
        raw = bytearray(package.read_bytes())
        raw[-20] ^= 1
        package.write_bytes(raw)
    elif how == "no package":
        package.write_bytes(seal("another thing", {}, passphrase))
    with pytest.raises(PackageUnusable, match=r"othing was changed"):
        join(Options(folder), {}, package, passphrase, lambda: now)
    assert not folder.exists()


def test_an_embedded_etcd_serves_one_manager(tmp_path: Path) -> None:
    options = Options(tmp_path / "first")
    set_up(options, {}, "ana")
    with pytest.raises(PackageUnusable, match="embedded etcd, which serves one manager"):
        make_package(options, tmp_path / "package")
    assert not (tmp_path / "package").exists()


def test_a_package_overwrites_nothing(first: Options, tmp_path: Path) -> None:
    (tmp_path / "package").write_text("mine")
    with pytest.raises(PackageUnusable, match="exists already"):
        make_package(first, tmp_path / "package")
    assert (tmp_path / "package").read_text() == "mine"


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b"\xff", b'{"kind": "k", "salt": 1}'])
def test_any_bytes_are_refused_in_a_sentence(raw: bytes) -> None:
    with pytest.raises(NotOpened):
        opened("k", raw, "x")
