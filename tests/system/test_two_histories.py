"""A copied data folder: refused at the start; forced, the machine stays with what it has."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from pathlib import Path

import pytest
from tdc.manager.etcd.embedded import EmbeddedEtcd
from tdc.manager.first_setup import ETCD_FOLDER
from tdc.manager.store.keys import PLACE

from tests.stage.fleet import RunningFleet
from tests.stage.programs import BIN, Program

pytestmark = pytest.mark.system


def _tdc_manager(verb: str, folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(BIN / "tdc-manager"), verb, "--folder", str(folder), *more],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


async def _forced(folder: Path) -> None:
    """Make a copy a fork under the same id: as one of before places were kept would be."""
    member = EmbeddedEtcd(folder / ETCD_FOLDER, anywhere=True, mark=PLACE)
    async with member:
        await member.settle()


def _manager_on(folder: Path, log: Path) -> Program:
    """A manager where the last one served: `last-ports.json` is in the folder."""
    ports = folder / "ports.json"
    command = [str(BIN / "tdc-manager"), "run", "--folder", str(folder), "--ports-file", str(ports)]
    return Program([*command, "--status-interval", "0.5"], log=log, ports_file=ports)


@pytest.mark.proves("P16", "F49")
async def test_a_copied_store_is_refused_and_a_machine_stays_with_the_history_it_has(
    copying: RunningFleet,
) -> None:
    await copying.add_gateway("mx1", group="Main_Group")
    await copying.in_sync()
    folder, copy = copying.folder / "manager", copying.folder / "copy"
    await copying.manager.stop()
    await asyncio.to_thread(shutil.copytree, folder, copy, ignore=shutil.ignore_patterns("localh*"))

    refused = await asyncio.to_thread(_tdc_manager, "run", copy)
    assert refused.returncode == 1
    for words in (str(folder / "etcd"), "copied", "nothing was started", f"adopt --folder {copy}"):
        assert words in refused.stderr, refused.stderr

    await copying.manager.start()
    await copying.tdc(*_sets("15s"))
    await copying.wait_for(lambda rows: rows["mx1"]["applied_revision"] > 1)
    await copying.in_sync()
    stayed = (await copying.status())["mx1"]["applied_revision"]
    await copying.manager.stop()

    await _forced(copy)
    second = _manager_on(copy, copying.folder / "copy.log")
    await second.start()
    try:
        await copying.tdc(*_sets("25s"))
        await copying.wait_for(lambda rows: rows["mx1"]["state"] == "rejected")
        row = (await copying.status())["mx1"]
        assert row["wanted_revision"] == row["applied_revision"] == stayed
        assert "another history" in row["reason"]
        assert not any("another history" in each for each in row["warnings"]), "once is enough"
        assert "another history" in (copying.gateways["mx1"].folder / "agent.log").read_text()

        await second.stop()
        adopted = await asyncio.to_thread(_tdc_manager, "adopt", copy)
        assert adopted.returncode == 0, adopted.stderr
        await second.start()
        await copying.in_sync()
        assert "25" in await copying.tdc("settings", "explain", "mx1", "retry.initial")
    finally:
        await second.stop()

    await copying.manager.start()
    await copying.tdc(*_sets("35s"))
    await copying.wait_for(lambda rows: rows["mx1"]["state"] == "rejected")
    assert "which this machine left" in (await copying.status())["mx1"]["reason"]


@pytest.mark.proves("P16", "F49")
async def test_a_machine_leaves_a_fork_that_it_meets_first_for_the_right_manager(
    copying: RunningFleet,
) -> None:
    """Both run. Commits of the right one arrive, and the fork says why it has no machine."""
    gateway = await copying.add_gateway("mx1", group="Main_Group")
    await copying.in_sync()
    folder, copy = copying.folder / "manager", copying.folder / "copy"
    await copying.manager.stop()
    await asyncio.to_thread(shutil.copytree, folder, copy, ignore=shutil.ignore_patterns("localh*"))
    (copy / "last-ports.json").unlink(missing_ok=True)
    await _forced(copy)
    fork = _manager_on(copy, copying.folder / "copy.log")
    await copying.manager.start()
    await fork.start()
    try:
        right = f"127.0.0.1:{copying.manager.ports['main']}"
        wrong = f"127.0.0.1:{fork.ports['main']}"
        operator = copying.folder / "manager/operator"
        other = operator / "fork.toml"
        other.write_text((operator / "operator.toml").read_text().replace(right, wrong))
        await copying.tdc(*_sets("15s"))
        await copying.in_sync()
        await copying.tdc("--config", str(other), *_sets("25s"))

        await copying.manager.stop()  # so that it meets the fork first
        await gateway.agent.stop()
        toml = gateway.folder / "agent.toml"
        toml.write_text(toml.read_text().replace(f'["{right}"]', f'["{wrong}", "{right}"]'))
        await gateway.agent.start()
        await _until_logged(gateway.folder / "agent.log", f"left manager {wrong}")
        await copying.manager.start()
        await copying.in_sync()
        await copying.tdc(*_sets("35s"))
        await copying.in_sync()
        row = (await copying.status())["mx1"]
        assert any(f"manager {wrong} was refused" in each for each in row["warnings"])
        checked = copying.run_tdc("--config", str(other), "status", "--check")
        assert checked.returncode == 1
        lines = [line for line in checked.stdout.splitlines() if "another history" in line]
        assert len(lines) == 2, checked.stdout  # the summary, and the problem
        assert "mx1 offline: it refused this manager" in lines[1]
    finally:
        await fork.stop()


async def _until_logged(log: Path, text: str) -> None:
    async with asyncio.timeout(20):
        while text not in await asyncio.to_thread(log.read_text):
            await asyncio.sleep(0.1)


def _sets(seconds: str) -> tuple[str, ...]:
    where = ("machine", "mx1", "--cluster", "demo")
    return ("settings", "set", *where, f"retry.initial={seconds}", f"retry.maximum={seconds}", "-y")
