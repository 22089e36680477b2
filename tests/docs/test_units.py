"""The unit files of deploy/systemd, as systemd itself reads them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from tdc.node_agent.options import IngestSection
from tdc.node_agent.smtp.listener import BACKLOG

from tests.stage.programs import BIN
from tests.tree.source import ROOT

UNITS = ROOT / "deploy" / "systemd"
INSTALLED = "/opt/tdc/bin/"  # the operator guide, section 3


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd's tools")
def test_systemd_has_nothing_to_say_about_the_units(tmp_path: Path) -> None:
    copies = []
    for unit in sorted(UNITS.iterdir()):
        copies.append(tmp_path / unit.name)
        copies[-1].write_text(unit.read_text().replace(INSTALLED, f"{BIN}/"))
    run = subprocess.run(
        ["systemd-analyze", "verify", *map(str, copies)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (run.returncode, run.stdout + run.stderr) == (0, "")


def test_the_socket_is_the_one_that_the_agent_would_open() -> None:
    lines = (UNITS / "tdc-agent.socket").read_text().splitlines()
    assert f"ListenStream={IngestSection(next_hop='127.0.0.1:1').listen}" in lines
    assert f"Backlog={BACKLOG}" in lines


def test_the_log_that_is_rotated_is_in_a_folder_that_the_unit_makes() -> None:
    """And by a signal that does not read agent.toml."""
    rotated = (ROOT / "deploy" / "logrotate" / "tdc-agent").read_text()
    (name,) = [line.split()[0] for line in rotated.splitlines() if line.endswith("{")]
    unit = (UNITS / "tdc-agent.service").read_text()
    assert f"LogsDirectory={Path(name).parent.relative_to('/var/log')}\n" in unit
    assert f'log.file = "{name}"' in (ROOT / "docs" / "operator-guide.md").read_text()
    assert "--signal=USR1" in rotated
