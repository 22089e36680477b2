"""Bad input from operators and machines: a clear error, and nothing changes."""

from __future__ import annotations

import asyncio
import subprocess
import threading
from pathlib import Path

import pytest
import pytest_asyncio

from tests.stage.fleet import INTAKE_ADDRESS, RunningFleet
from tests.stage.programs import BIN

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fleet(shared: RunningFleet) -> RunningFleet:
    """With a machine mx1, and nothing set at any level."""
    await shared.tdc("machine", "create", "mx1", "--group", "Main_Group", "--yes")
    return shared


async def test_bad_input_gets_a_clear_error_and_changes_nothing(fleet: RunningFleet) -> None:
    """Each command exits 1 or 2 with a sentence that names the fault; the revision stays."""
    cases = [
        (("settings", "set", "cluster", "demo", "enabeld=true", "--yes"), 2, "enabeld"),
        (("settings", "set", "cluster", "demo", "intake_address=nobody", "--yes"), 2, "nobody"),
        (("settings", "set", "cluster", "demo", "tls.minimum_version=1.1", "--yes"), 2, "1.1"),
        (("settings", "set", "cluster", "demo", "retry.initial=5 m", "--yes"), 2, "5 m"),
        (("settings", "set", "machine", "mx9", "enabled=true", "--yes"), 1, "mx9"),
        (("settings", "show", "--effective", "mx9"), 1, "mx9"),
        (("settings", "set", "cluster", "demo", "enabled=true", "--yes"), 1, "mx1"),
        (("machine", "create", "mx1", "--group", "Main_Group", "--yes"), 1, "mx1"),
        (("machine", "create", "MX1", "--group", "Main_Group", "--yes"), 1, "mx1"),
        (("machine", "create", "mx/2", "--group", "Main_Group", "--yes"), 1, "mx/2"),
        (("machine", "create", "mx2", "--group", "nowhere", "--yes"), 1, "nowhere"),
        (("group", "create", "demo", "--cluster", "demo", "--yes"), 1, "demo"),
        (("cluster", "create", "demo"), 1, "demo"),
        (("commit", "rollback", "99", "--yes"), 1, "99"),
        (("settings", "frobnicate"), 2, "frobnicate"),
    ]
    before = await fleet.json("cluster", "show", "demo")
    for arguments, status, names in cases:
        done = fleet.run_tdc(*arguments)
        said = done.stderr + done.stdout
        assert done.returncode == status, (arguments, said)
        assert names.lower() in said.lower(), (arguments, said)
        assert "Traceback" not in said, arguments
    assert await fleet.json("cluster", "show", "demo") == before


async def test_a_question_without_a_terminal_is_refused_not_guessed(fleet: RunningFleet) -> None:
    """Without --yes nobody is there to say yes."""
    done = fleet.run_tdc("settings", "set", "cluster", "demo", "log.level=debug")
    assert done.returncode == 1
    assert "--yes" in done.stderr


async def test_of_two_racing_commits_on_one_value_the_loser_is_told(fleet: RunningFleet) -> None:
    """Both saw the value absent; one commits, the other is refused, or both came in turn."""
    before = await fleet.json("commit", "history")
    results: list[subprocess.CompletedProcess[str]] = []

    def commit(value: str) -> None:
        results.append(
            fleet.run_tdc("settings", "set", "cluster", "demo", f"retry.initial={value}", "--yes")
        )

    for round_ in range(3):
        threads = [
            threading.Thread(target=commit, args=(f"{60 + round_ * 2 + n}s",)) for n in (1, 2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    history = await fleet.json("commit", "history")
    accepted = sum(done.returncode == 0 for done in results)
    assert len(history) == len(before) + accepted
    for done in results:
        if done.returncode:
            assert done.returncode == 1
            assert "plan" in done.stderr


def _config(fleet: RunningFleet, name: str) -> Path:
    folder = fleet.folder / name
    folder.mkdir()
    config = folder / "agent.toml"
    config.write_text(fleet.agent_toml(folder, 0, 25, 25))
    return config


async def test_a_join_token_works_once_and_not_after_its_time(fleet: RunningFleet) -> None:
    """A second use and an expired token are refused in words."""
    token = (await fleet.json("machine", "token", "mx1"))["token"]
    await fleet.enrol(_config(fleet, "first"), token)
    again = _config(fleet, "second")
    said = await fleet.enrol(again, token, expect=1)
    assert "used" in said
    short = (await fleet.json("machine", "token", "mx1", "--lifetime", "1s"))["token"]
    await asyncio.sleep(1.5)
    said = await fleet.enrol(again, short, expect=1)
    assert "expired" in said


async def test_an_agents_certificate_opens_nothing_of_the_operators(fleet: RunningFleet) -> None:
    """tdc with a machine's identity is refused by the permission table."""
    before = await fleet.json("cluster", "show", "demo")
    config = _config(fleet, "third")
    await fleet.enrol(config, (await fleet.json("machine", "token", "mx1"))["token"])
    identity = config.parent / "state" / "identity" / "identity.pem"
    bundle = fleet.folder / "stolen.toml"
    bundle.write_text(
        fleet.operator_file.read_text()
        .replace('"ca.pem"', f'"{fleet.operator_file.parent / "ca.pem"}"')
        .replace('"operator.pem"', f'"{identity}"')
        .replace('"operator.key"', f'"{identity}"')
    )
    done = subprocess.run(
        [
            str(BIN / "tdc"),
            "settings",
            "set",
            "cluster",
            "demo",
            "enabled=true",
            f"intake_address={INTAKE_ADDRESS}",
            "--yes",
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        env={"TDC_CONFIG": str(bundle), "PATH": "/usr/bin:/bin", "HOME": str(fleet.folder)},
    )
    assert done.returncode == 1, done.stderr
    assert "operator" in done.stderr
    assert await fleet.json("cluster", "show", "demo") == before
