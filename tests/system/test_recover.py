"""A store is restored from an older backup, and gets back what its machines run: whole programs."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.stage.fleet import RunningFleet
from tests.stage.programs import BIN

pytestmark = pytest.mark.system


SOCKETS = shutil.ignore_patterns("localh*")


async def _stopped_copy(fleet: RunningFleet, to: Path) -> None:
    await fleet.manager.stop()
    await asyncio.to_thread(
        shutil.copytree, fleet.folder / "manager/etcd", to, ignore=SOCKETS, symlinks=True
    )
    await fleet.manager.start()


async def _restored(fleet: RunningFleet, backup: Path) -> None:
    """Put the older data in place of the newer: as another folder, which has to be adopted."""
    await fleet.manager.stop()
    folder = fleet.folder / "manager/etcd"
    await asyncio.to_thread(shutil.rmtree, folder)
    await asyncio.to_thread(shutil.copytree, backup, folder, symlinks=True)
    refused = await _tdc_manager(fleet, "run")
    assert refused.returncode == 1
    assert "--keep-id if it is of an older backup" in " ".join(refused.stderr.split())
    kept = await _tdc_manager(fleet, "adopt", "--keep-id")
    assert kept.returncode == 0, kept.stderr
    assert "keeps its id" in kept.stdout
    await fleet.manager.start()


async def _adopt(fleet: RunningFleet) -> None:
    await fleet.manager.stop()
    done = await _tdc_manager(fleet, "adopt")
    assert done.returncode == 0, done.stderr
    await fleet.manager.start()


async def _tdc_manager(fleet: RunningFleet, *verb: str) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(
        subprocess.run,
        [str(BIN / "tdc-manager"), *verb, "--folder", str(fleet.folder / "manager")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


async def _running(fleet: RunningFleet, machine: str) -> Any:
    return (await fleet.json("settings", "explain", machine))["running"]


@pytest.mark.proves("F49")
async def test_a_store_restored_from_an_older_backup_gets_back_what_machines_run(
    copying: RunningFleet,
) -> None:
    await copying.tdc("group", "create", "branch", "--cluster", "demo")
    await copying.add_gateway("mx1", group="Main_Group")
    await copying.add_gateway("mx2", group="branch")
    await copying.in_sync()
    backup = copying.folder / "backup"
    await _stopped_copy(copying, backup)
    for level, name, setting in (
        ("cluster", "demo", "max_message_size=7MiB"),
        ("group", "branch", "spool.max_messages=12345"),
        ("machine", "mx1", "log.level=debug"),
    ):
        await copying.tdc("settings", "set", level, name, setting, "--cluster", "demo", "-y")
    later = await copying.add_gateway("mx3", group="Main_Group")
    await copying.in_sync()
    before = {name: await _running(copying, name) for name in ("mx1", "mx2")}

    await _restored(copying, backup)
    await copying.wait_for(
        lambda rows: [rows[name]["state"] for name in before] == ["rejected"] * 2
    )
    status = copying.run_tdc("status")
    said = " ".join(status.stderr.split())
    assert "the fleet is ahead of the store: 2 machines run revisions up to" in said, said
    assert "`tdc recover demo`" in said
    rows = await copying.status()
    assert "mx3" not in rows
    await asyncio.to_thread(_until_stranger, copying)
    assert all(row["copying"] for row in rows.values()), "copying never stopped"

    plan = await copying.json("recover", "demo", "--dry-run")
    # mx1 is all that is known of its group, so what it runs alone is set there.
    assert sorted((each["level"], each["name"], each["setting"]) for each in plan["levels"]) == [
        ("cluster", "demo", "max_message_size"),
        ("group", "Main_Group", "log.level"),
        ("group", "branch", "spool.max_messages"),
    ]
    recovered = copying.run_tdc("recover", "demo", "-y")
    assert recovered.returncode == 0, recovered.stderr
    said = " ".join(recovered.stderr.split())
    assert "Known: what 2 of 2 machines of cluster demo run." in said
    assert "Last step" in said
    await copying.wait_for(
        lambda rows: all(row["applied_revision"] == row["wanted_revision"] for row in rows.values())
    )
    history = await copying.json("commit", "history", "--limit", "1")
    assert history[0]["comment"] == "recovered from what 2 machines run"
    assert {name: await _running(copying, name) for name in before} == before, "nothing was sent"
    said = " ".join(copying.run_tdc("status").stderr.split())
    assert "will refuse its next commits. When `tdc recover demo` knows" in said

    await _adopt(copying)
    await copying.in_sync()
    assert {name: await _running(copying, name) for name in before} == before
    assert "ahead of the store" not in copying.run_tdc("status").stderr
    assert (await copying.json("recover", "demo"))["committed"] is False
    await copying.tdc("settings", "set", "cluster", "demo", "retry.maximum=9s", "-y")
    await copying.in_sync()
    assert all(row["copying"] for row in (await copying.status()).values())
    explained = await copying.json("settings", "explain", "mx1", "retry.maximum")
    assert explained["running"] != before["mx1"], "machines follow it"

    place = ("--group", "Main_Group", "--cluster", "demo", "-y")
    await copying.tdc("machine", "create", "mx3", *place)
    token = await copying.json("machine", "token", "mx3", "--cluster", "demo")
    await copying.enrol(later.folder / "agent.toml", token["token"])
    await copying.wait_for(lambda rows: rows["mx3"]["state"] == "in sync")
    assert "does not know" not in copying.run_tdc("status").stderr


def _until_stranger(fleet: RunningFleet) -> None:
    """Wait until status names the machine that was enrolled since the backup."""
    for _ in range(40):
        said = " ".join(fleet.run_tdc("status").stderr.split())
        if (
            "1 machine comes with a certificate that the store does not know: demo/mx3 (from"
            in said
        ):
            return
    raise AssertionError(said)
