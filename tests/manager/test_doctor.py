"""`tdc-manager doctor` over a real etcd, sound and hurt; and what `repair` does beside clusters."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tdc.manager.doctor.verb import doctor
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.errors import EtcdError
from tdc.manager.etcd.values import Delete, Put, prefix_end
from tdc.manager.first_setup import set_up
from tdc.manager.identity.authority import Authority
from tdc.manager.identity.ca_record import pack_record
from tdc.manager.identity.ca_state import CaState, finished, prepared, switched
from tdc.manager.options import Options
from tdc.manager.store import keys
from tdc.manager.store.encoding import pack
from tdc.manager.store.others import others
from tdc.manager.store.repair import repair

from tests.fakes.etcd import (
    FULL_QUOTA,
    PASSWORD,
    USER,
    ExternalEtcd,
    etcd_cluster,
    external_etcd,
    fill,
)
from tests.fakes.listening import free_port
from tests.stage.house import House, house
from tests.stage.manager import add_machine, manager, options_for, put
from tests.stage.programs import BIN
from tests.stage.stored_clusters import CLUSTER, set_values

__all__ = ["house"]


def _options(folder: Path, *endpoints: str, **given: object) -> Options:
    options = options_for(folder, etcd_endpoints=endpoints, **given)
    if not (folder / "ca").exists():
        set_up(options, {}, "ana")
    return options


def _of(etcd: ExternalEtcd) -> str:
    return etcd.options.endpoints[0].partition("://")[2]


async def _said(options: Options) -> tuple[dict[str, Any], int]:
    text, code = await doctor(options, as_json=True)
    return json.loads(text), code


def _in_store(document: dict[str, Any]) -> list[dict[str, Any]]:
    """What is wrong with stored values; the stage's last maintenance is long ago."""
    wanted = ("store", "critical")
    return [each for each in document["findings"] if (each["area"], each["severity"]) == wanted]


def _named(document: dict[str, Any], words: str) -> dict[str, Any]:
    found = [each for each in document["findings"] if words in each["what"]]
    assert found, document["findings"]
    return dict(found[0])


async def test_a_running_manager_is_looked_at_beside_it_and_a_stopped_one_too(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "m"
    command = [str(BIN / "tdc-manager"), "doctor", "--folder", str(folder)]
    for running in (True, False):
        if running:
            async with manager(folder) as api:
                await api.create_cluster("corp")
                await api.commit(add_machine("mx1", "Main_Group"))
                done = await _ran(command)
                assert await api.commit(put("machine", "mx1", retry__initial=7)) == 3
        else:
            done = await _ran(command)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        assert "Nothing is wrong." in done.stdout
        assert "leader, revision" in done.stdout
    (folder / "ca" / "ca-key.pem").chmod(0o644)
    done = await _ran([*command, "-o", "json"])
    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert document["verdict"] == "critical"
    assert "chmod 600" in _named(document, "mode 0644")["do"]


async def _ran(command: list[str]) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, check=False, timeout=60
    )


async def test_a_store_that_is_not_there_is_named_and_not_made(tmp_path: Path) -> None:
    """By what reads: `doctor`, `backup`, `repair`. An empty backup would pass for a whole one."""
    folder = tmp_path / "m"
    _options(folder)
    before = sorted(folder.rglob("*"))
    document, code = await _said(_options(folder))
    assert (code, document["verdict"], document["etcd"]["reachable"]) == (4, "warning", False)
    found = _named(document, "no manager has been started on this folder")
    assert f"tdc-manager run --folder {folder}" in found["do"]
    assert sorted(folder.rglob("*")) == before

    async with manager(folder) as api:
        await api.create_cluster("corp")
    (folder / "etcd").rename(tmp_path / "moved")
    before = sorted(folder.rglob("*"))
    document, code = await _said(_options(folder))
    found = _named(document, "the store is gone")
    assert (code, found["severity"]) == (1, "critical")
    assert f"tdc-manager restore FILE --folder {folder}" in found["do"]
    for verb in (["backup", "--out", str(tmp_path / "b")], ["repair"]):
        done = await _ran([str(BIN / "tdc-manager"), *verb, "--folder", str(folder)])
        assert done.returncode == 1
        assert "there is no store in" in " ".join(done.stderr.split())
    assert sorted(folder.rglob("*")) == before
    (tmp_path / "moved").rename(folder / "etcd")
    assert (await _said(_options(folder)))[1] == 0


async def test_an_etcd_of_ones_own_that_lost_all_is_named(tmp_path: Path) -> None:
    async with external_etcd(tmp_path / "etcd") as etcd:
        options = _options(tmp_path / "m", _of(etcd))
        assert _named((await _said(options))[0], "no manager has been started")
        async with manager(tmp_path / "m", etcd_endpoints=(_of(etcd),)) as api:
            await api.create_cluster("corp")
        async with EtcdClient(etcd.options) as client:
            await client.txn([], [Delete(keys.ROOT, prefix_end(keys.ROOT))])
        document, code = await _said(options)
        assert code == 1
        assert _named(document, "the store is gone")["severity"] == "critical"


@pytest.mark.proves("F44", "F45")
async def test_members_that_are_down_frozen_or_all_away(tmp_path: Path) -> None:
    async with etcd_cluster(tmp_path / "etcd") as members:
        options = _options(tmp_path / "m", _of(members[0]), _of(members[1]))
        document, code = await _said(options)
        rows = document["etcd"]["members"]
        assert sorted(each["name"] for each in rows) == ["m0", "m1", "m2"], "all that etcd lists"
        assert sum(each["leader"] for each in rows) == 1
        assert all(abs(each["clock_ahead"]) < 3 for each in rows)
        # Debian's 3.4.23 has faults that concern more than one member.
        # And no manager has been started on this one.
        assert {each["area"] for each in document["findings"]} <= {"version", "store"}
        assert code in (0, 4)

        await members[2].stop()
        document, code = await _said(options)
        assert code == 4
        assert _named(document, "member m2 does not answer")["severity"] == "warning"
        members[1].pause()
        try:
            document, code = await _said(options)
        finally:
            members[1].resume()
        assert code == 1
        assert _named(document, "member ")["severity"] == "critical"
        for each in members:
            await each.stop()
        document, code = await _said(options)
        assert (code, document["etcd"]["reachable"]) == (1, False)
        assert "endpoint health" in _named(document, "no connection to etcd")["do"]


@pytest.mark.proves("F46")
async def test_a_full_etcd_is_named_and_the_commands_that_it_names_repair_it(
    tmp_path: Path,
) -> None:
    arguments = (f"--quota-backend-bytes={FULL_QUOTA}",)
    async with external_etcd(tmp_path / "etcd", arguments=arguments) as etcd:
        async with EtcdClient(etcd.options) as client:
            await fill(client)
            document, code = await _said(_options(tmp_path / "m", _of(etcd)))
            found = _named(document, "NOSPACE")
            assert (code, found["severity"]) == (1, "critical")
            compact, defrag, disarm, *_ = found["do"].split("; ")
            revision = int(compact.removeprefix("etcdctl compact "))
            assert (defrag, disarm) == ("etcdctl defrag --cluster", "etcdctl alarm disarm")
            await client.compact(revision, wait=True)
            await client.defragment()
            await client.disarm()
        document, _ = await _said(_options(tmp_path / "m", _of(etcd)))
        assert not [each for each in document["findings"] if each["area"] == "space"]


@pytest.mark.proves("S7")
async def test_tls_logins_and_permissions_are_named_each_with_its_command(tmp_path: Path) -> None:
    async with external_etcd(tmp_path / "tls", tls=True) as etcd:
        how: dict[str, object] = {
            "etcd_ca": etcd.options.ca_file,
            "etcd_certificate": etcd.options.cert_file,
            "etcd_key": etcd.options.key_file,
        }
        options = _options(tmp_path / "m", _of(etcd), **how)
        document, _ = await _said(options)
        assert document["etcd"]["reachable"]
        assert abs(document["etcd"]["members"][0]["clock_ahead"]) < 3
        other = {**how, "etcd_certificate": None, "etcd_key": None}
        document, code = await _said(_options(tmp_path / "m", _of(etcd), **other))
        assert (code, document["etcd"]["reachable"]) == (1, False)
    secret = tmp_path / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o644)
    async with external_etcd(tmp_path / "login", login=True) as etcd:
        login: dict[str, object] = {"etcd_user": USER, "etcd_password_file": secret}
        document, code = await _said(_options(tmp_path / "m", _of(etcd), **login))
        assert (code, document["etcd"]["reachable"]) == (1, True)
        assert "chmod 600" in _named(document, f"{secret} has mode 0644")["do"]
        secret.chmod(0o600)
        secret.write_text("wrong")
        document, code = await _said(_options(tmp_path / "m", _of(etcd), **login))
        assert "etcd_password_file" in _named(document, "refused the login")["do"]
        without = _options(tmp_path / "m", _of(etcd))
        document, code = await _said(without)
        assert "etcd_user" in _named(document, "requires a login")["do"]


async def test_what_does_not_run_at_all_is_a_finding_too(tmp_path: Path) -> None:
    document, code = await _said(_options(tmp_path / "m", f"127.0.0.1:{free_port()}"))
    assert (code, document["etcd"]["reachable"]) == (1, False)
    document, code = await _said(options_for(tmp_path / "none"))
    assert code == 1
    assert "has no CA" in _named(document, "has no CA")["what"]
    assert not (tmp_path / "none").exists()


@contextmanager
def _doctored(house: House, tmp_path: Path) -> Iterator[Options]:
    yield _options(tmp_path / "m", house.etcd.options.endpoints[0].partition("://")[2])


@pytest.mark.parametrize("name", ["machines", "newest commit", "enrolment", "join token", "store"])
@pytest.mark.proves("F51")
async def test_values_written_by_hand_are_found_beside_running_managers(
    house: House, tmp_path: Path, name: str
) -> None:
    with _doctored(house, tmp_path) as options:
        document, _ = await _said(options)
        assert not _in_store(document)
        await house.hurt(name, "edited")
        document, code = await _said(options)
        found = _in_store(document)
        assert (code, len(found)) == (1, 1), document["findings"]


async def test_a_commit_during_the_look_is_no_finding(house: House, tmp_path: Path) -> None:
    async def commits() -> None:
        for number in range(1_000):
            await house.commit(set_values(CLUSTER, max_message_size=10 + number), f"m{number}")

    with _doctored(house, tmp_path) as options:
        async with asyncio.TaskGroup() as tasks:
            going_on = tasks.create_task(commits())
            await asyncio.sleep(0.2)
            for _ in range(5):
                document, _ = await _said(options)
                assert not _in_store(document)
            going_on.cancel()


DRAFT, SUSPENSIONS = keys.draft_key("west", "ana"), keys.suspensions_key("west")


@pytest.mark.parametrize("value", [b"\x01no value", pack({"seal": "0" * 32}), pack({"rows": 1})])
async def test_repair_removes_a_draft_that_serves_nobody(house: House, value: bytes) -> None:
    await house.etcd.txn([], [Put(DRAFT, value)])
    (found,) = await repair(house.etcd, write=False)
    assert found.right
    assert "can neither commit nor discard it" in found.text
    assert await house.etcd.get(DRAFT) is not None
    (found,) = await repair(house.etcd, write=True)
    assert "Removed" in found.text
    assert await house.etcd.get(DRAFT) is None
    assert await repair(house.etcd, write=True) == ()


async def test_repair_leaves_a_draft_of_a_newer_version_and_one_that_changed(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = pack({}).replace(b'"schema":1', b'"schema":2')
    await house.etcd.txn([], [Put(DRAFT, newer)])
    (found,) = await repair(house.etcd, write=True)
    assert not found.right
    assert await house.etcd.get(DRAFT) is not None
    await house.etcd.txn([], [Put(DRAFT, b"damaged")])
    real = house.etcd.txn

    async def late(*arguments: Any, **more: Any) -> Any:
        await real([], [Put(DRAFT, b"other")])
        return await real(*arguments, **more)

    monkeypatch.setattr(house.etcd, "txn", late)
    (found,) = await repair(house.etcd, write=True)
    assert "changed meanwhile" in found.text


@pytest.mark.parametrize("how", ["edited", "damaged", "deleted"])
async def test_repair_names_suspensions_and_what_writes_them_again(house: House, how: str) -> None:
    await house.hurt("suspensions", how)
    (found,) = await repair(house.etcd, write=True)
    assert not found.right
    assert SUSPENSIONS in found.text
    assert "suspend or resume a machine of the cluster" in found.text
    assert ("was deleted by hand" in found.text) == (how == "deleted")
    assert await repair(house.etcd, write=False) == (found,), "as doctor looks"
    await house.suspend(2e9)
    assert await repair(house.etcd, write=True) == ()
    assert [each async for each in others(house.etcd)] == []


async def test_a_look_says_what_it_could_not_look_at(house: House, tmp_path: Path) -> None:
    """etcd goes away in the middle: that is said, and nothing ends with a traceback."""
    real = EtcdClient.range

    async def fails(self: EtcdClient, *arguments: Any, **more: Any) -> Any:
        raise EtcdError("etcd went away")

    with _doctored(house, tmp_path) as options, pytest.MonkeyPatch.context() as patch:
        patch.setattr(EtcdClient, "range", fails)
        document, code = await _said(options)
        assert (code, bool(_named(document, "etcd went away"))) == (1, True)
    assert EtcdClient.range is real


@pytest.mark.parametrize(
    ("how", "what", "do"),
    [
        ("replaced", "which was replaced while this manager was away", "tdc-manager package"),
        ("of others", "from which that does not follow", "etcd_endpoints"),
        ("damaged", "is not used", "find out who can write to etcd"),
        ("followed", "", ""),
    ],
)
async def test_a_ca_that_was_replaced_without_this_manager_is_named(
    tmp_path: Path, how: str, what: str, do: str
) -> None:
    async with external_etcd(tmp_path / "etcd") as etcd:
        options = _options(tmp_path / "data", _of(etcd))
        own, new = Authority.load(options.folder / "ca"), Authority.new()
        began = prepared(CaState(own.pair), new.pair, own.bridge_to(new), 10.0)
        values = {
            "replaced": pack_record(finished(switched(began, 20.0), 30.0)),
            "of others": pack_record(CaState(new.pair, number=3)),
            "damaged": b"x",
            "followed": pack_record(began),
        }
        async with EtcdClient(etcd.options) as client:
            await client.txn([], [Put(keys.AUTHORITY, values[how])])
        document, _ = await _said(options)
        found = [each for each in document["findings"] if "store's CA" in each["what"]]
        found += [each for each in document["findings"] if "says of the CA" in each["what"]]
        assert [each["severity"] for each in found] == ["critical"] * bool(what)
        assert all(what in each["what"] and do in each["do"] for each in found)
