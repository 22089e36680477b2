"""A store with two managers is restored from an older backup: whole programs.

Each agent knows both managers, refuses both, and goes from one to the other.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tdc.v1 import operators_pb2

from tests.fakes.listening import free_port
from tests.stage.managers import OneManager, Several, holds, several, tdc_manager
from tests.stage.programs import BIN, Program

pytestmark = pytest.mark.system

AGENT = """\
state_folder = "{folder}/state"
ports_file = "{folder}/ports.json"

[manager]
addresses = ["{manager}"]

[ingest]
listen = "127.0.0.1:0"
next_hop = "127.0.0.1:9"

[deliver]
helo_name = "{name}.corp.example"
"""


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[Several]:
    """Two managers that keep their ports, for agents remember them, and an agent at each."""
    async with several(tmp_path) as managers:
        for name in ("one", "two"):
            await managers.add(name, "--listen-port", str(free_port()))
        await managers.fleet("mx1", "mx2")
        await _gateway(managers, "mx1", "one")
        await _gateway(managers, "mx2", "two")
        await holds(partial(_in_sync, managers))
        yield managers


async def _gateway(managers: Several, name: str, at: str) -> None:
    """Enrol a machine and start its agent, whose file names one manager; it learns of the other."""
    request = operators_pb2.CreateJoinTokenRequest(machine=name)
    token = (await managers["one"].api.fleet.CreateJoinToken(request)).token
    folder = managers.folder / name
    folder.mkdir()
    config = folder / "agent.toml"
    config.write_text(AGENT.format(folder=folder, name=name, manager=managers[at].address))
    enrol = [str(BIN / "tdc-agent"), "enrol", "--config", str(config), "--token-file", "-"]
    process = await asyncio.create_subprocess_exec(
        *enrol, "--manager", managers[at].enrol_address, stdin=subprocess.PIPE
    )
    async with asyncio.timeout(30):
        await process.communicate(token.encode())
    assert process.returncode == 0
    agent = Program(
        [str(BIN / "tdc-agent"), "run", "--config", str(config)],
        log=folder / "agent.log",
        ports_file=folder / "ports.json",
    )
    managers.closing.push_async_callback(agent.stop)
    await agent.start()


async def _in_sync(managers: Several) -> bool:
    return all([set((await each.states()).values()) == {"in sync"} for each in _all(managers)])


def _all(managers: Several) -> list[OneManager]:
    return list(managers.managers.values())


async def _tdc(managers: Several, at: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `tdc` at a manager."""
    first = managers["one"].folder / "operator"
    config = managers.folder / f"{at}.toml"
    config.write_text(
        f'manager = "{managers[at].address}"\nca = "{managers["one"].folder}/ca/ca.pem"\n'
        f'certificate = "{first}/operator.pem"\nkey = "{first}/operator.key"\n'
    )
    environment = {"TDC_CONFIG": str(config), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
    return await asyncio.to_thread(
        subprocess.run,
        [str(BIN / "tdc"), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**environment, "COLUMNS": "100", "HOME": str(managers.folder)},
    )


async def _running(managers: Several) -> dict[str, Any]:
    found = {}
    for name in ("mx1", "mx2"):
        answer = await _tdc(managers, "one", "settings", "explain", name, "-o", "json")
        found[name] = json.loads(answer.stdout)["running"]
    return found


async def _restored(managers: Several, backup: Path) -> None:
    """Put the older state in place of the newer, with no manager running."""
    for each in _all(managers):
        await each.program.stop()
    await managers.etcd.stop()
    for data in managers.etcd.folder.glob("*"):
        if data.is_dir():
            await asyncio.to_thread(shutil.rmtree, data)
    await managers.etcd.start()
    endpoints = ("--etcd-endpoints", ",".join(managers.etcd.options.endpoints))
    said = await tdc_manager(
        "restore", str(backup), "--folder", str(managers["one"].folder), *endpoints
    )
    assert "`tdc recover`" in said
    for name in managers.managers:
        await managers.again(name)


@pytest.mark.proves("F49")
async def test_a_store_of_two_managers_gets_back_what_machines_run(two: Several) -> None:
    backup = two.folder / "store.backup"
    endpoints = ("--etcd-endpoints", ",".join(two.etcd.options.endpoints))
    one = str(two["one"].folder)
    await tdc_manager("backup", "--folder", one, "--out", str(backup), *endpoints)
    for change in (
        ("cluster", "c1", "max_message_size=7MiB"),
        ("machine", "mx2", "log.level=debug"),
    ):
        done = await _tdc(two, "one", "settings", "set", *change, "-y")
        assert done.returncode == 0, done.stderr
    await holds(partial(_in_sync, two))
    before = await _running(two)

    await _restored(two, backup)

    async def known(at: str) -> bool:
        """Whether a manager knows what both run; until then it says that it does not."""
        plan = await _tdc(two, at, "recover", "c1", "--dry-run")
        said = " ".join((plan.stdout + plan.stderr).split())
        if "Known: what 2 of 2 machines of cluster c1 run." in said:
            assert plan.returncode == 0, said
            return True
        assert plan.returncode == 4, said
        assert "Nothing to recover" not in said
        assert "Last step" not in said
        return False

    for at in ("one", "two"):
        await holds(partial(known, at), timeout=60)
    done = await _tdc(two, "two", "recover", "c1", "-y")
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 0, said
    assert "Last step" in said
    for each in _all(two):
        await each.program.stop()
    await tdc_manager("adopt", "--folder", one, *endpoints)
    for name in two.managers:
        await two.again(name)
    await holds(partial(_in_sync, two), timeout=60)
    assert await _running(two) == before
