"""Runs `tdc` in this process, as an operator would type it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tdc.manager.cli.main import main

from tests.cli.real_manager import Fleet, Running, new_fleet, running_in
from tests.cli.scripted import ScriptedManager, serving


@dataclass(frozen=True)
class Ended:
    """How one run ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Tdc:
    """Call it with the words of a command line."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, *words: str) -> Ended:
        self._monkeypatch.setattr("sys.argv", ["tdc", *words])
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        shown = self._capsys.readouterr()
        code = left.value.code
        return Ended(code if isinstance(code, int) else 0, shown.out, shown.err)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedManager]:
    with serving(tmp_path_factory.mktemp("operator")) as manager:
        yield manager


@pytest.fixture
def manager(server: ScriptedManager, monkeypatch: pytest.MonkeyPatch) -> ScriptedManager:
    """The scripted manager, with nothing scripted yet; `tdc` is configured for it."""
    server.answers.clear()
    server.requests.clear()
    monkeypatch.setenv("TDC_CONFIG", str(server.config))
    return server


@pytest.fixture
def tdc(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Tdc:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("TDC_DEBUG", raising=False)
    return Tdc(monkeypatch, capsys)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A real manager for the tests of one file."""
    with running_in(tmp_path_factory.mktemp("manager")) as manager:
        yield manager


@pytest.fixture
def fleet(running: Running, tdc: Tdc, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    """A cluster of its own on the real manager; `tdc` is configured for it."""
    monkeypatch.setenv("TDC_CONFIG", str(running.config))
    return new_fleet(tdc)
