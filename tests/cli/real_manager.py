"""A real manager with its embedded etcd, and fleets on it that `tdc` made."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:  # it has the fixtures made from this
    from tests.cli.conftest import Tdc

TDC_MANAGER = Path(sys.executable).parent / "tdc-manager"
_START_TIMEOUT = 60.0
_STOP_TIMEOUT = 20.0
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Running:
    """A manager that serves: its process, and the operator's file that its `init` made."""

    process: subprocess.Popen[bytes]
    config: Path


@dataclass(frozen=True)
class Fleet:
    """A cluster of its own: machines `one` and `two` in `group`, `three` in `other`."""

    cluster: str
    group: str
    other: str
    one: str
    two: str
    three: str


@contextmanager
def running_in(parent: Path) -> Iterator[Running]:
    """A manager, set up and run by `tdc-manager` as by an operator."""
    folder = parent / "data"
    ports = folder.parent / "ports.json"
    flags = ["--folder", str(folder), "--listen-port", "0", "--enrol-port", "0"]
    subprocess.run(
        [TDC_MANAGER, "init", *flags, "--ports-file", str(ports), "--operator", "ada"],
        check=True,
        capture_output=True,
        timeout=30,
    )
    log = folder.parent / "log"
    with (
        log.open("wb") as sink,
        subprocess.Popen(
            [TDC_MANAGER, "run", "--folder", str(folder)], stdout=sink, stderr=sink
        ) as process,
    ):
        try:
            _wait_for(ports, process, log)
            yield Running(process, folder / "operator" / "operator.toml")
        finally:
            process.terminate()
            try:
                process.wait(_STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


def _wait_for(ports: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    tick = threading.Event()
    for _ in range(int(_START_TIMEOUT / 0.05)):
        if ports.exists():
            return
        if process.poll() is not None:
            pytest.fail(f"the manager ended: {log.read_text()}")
        tick.wait(0.05)
    pytest.fail("the manager did not serve in time")


def new_fleet(tdc: Tdc) -> Fleet:
    """Three machines in two groups, enabled at the cluster: created by `tdc`."""
    tag = next(_numbers)
    made = Fleet(f"emea{tag}", f"g1-{tag}", f"g2-{tag}", f"mx1-{tag}", f"mx2-{tag}", f"mx3-{tag}")
    done(tdc, "cluster", "create", made.cluster)
    for group in (made.group, made.other):
        done(tdc, "group", "create", group, "--cluster", made.cluster)
    for machine, group in (
        (made.one, made.group),
        (made.two, made.group),
        (made.three, made.other),
    ):
        done(tdc, "machine", "create", machine, "--group", group)
    done(
        tdc,
        *("settings", "set", "cluster", made.cluster, "enabled=true"),
        *("intake_address=in@intake.example", "-y", "-m", "pilot"),
    )
    return made


def done(tdc: Tdc, *words: str) -> Any:
    """Run `tdc` and return its document; it must have done what it was asked."""
    run = tdc(*words, "-o", "json")
    assert run.code == 0, run.err
    return run.json


def enabled(tdc: Tdc, level: str, name: str) -> bool | None:
    """What a level says itself."""
    document = done(tdc, "settings", "show", level, name)
    value = document["settings"].get("enabled")
    assert value is None or isinstance(value, bool)
    return value
