"""The layout's promises: one namespace in three trees, an agent without the manager's libraries."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TREES = [ROOT / "manager/tdc", ROOT / "node_agent/tdc", ROOT / "shared/tdc"]
GENERATED = ("tdc/v1/", "tdc/manager/etcd/stubs/")
SOURCES = [
    path
    for tree in TREES
    for path in tree.rglob("*.py")
    if not any(folder in str(path) for folder in GENERATED)
]


@pytest.mark.parametrize("tree", TREES, ids=lambda tree: tree.parent.name)
def test_no_folder_called_tdc_has_an_init_file(tree: Path) -> None:
    """One such file would hide the other two trees of the namespace."""
    assert tree.is_dir()
    assert not (tree / "__init__.py").exists()


@pytest.mark.parametrize(
    ("program", "forbidden"),
    [
        (
            "tdc.node_agent.program",
            {"tdc.manager", "typer", "rich", "yaml", "grpc_health", "grpc_reflection"},
        ),
        (
            "tdc.manager.program",
            {"aiosmtpd", "dns", "uvloop", "typer", "rich", "yaml", "httpx", "jwt"},
        ),
        (
            "tdc.manager.cli.main",
            {"tdc.manager.etcd", "aiosmtpd", "dns", "uvloop", "sqlite3", "httpx", "jwt"},
        ),
    ],
)
def test_a_program_imports_without_the_libraries_of_the_others(
    program: str, forbidden: set[str]
) -> None:
    """Each extra of the distribution is enough for its program."""
    code = (
        "import sys\n"
        f"for name in {sorted(forbidden)!r}: sys.modules[name] = None\n"
        f"import {program}\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("entry", "library", "extra"),
    [
        ("tdc.shared.edge.entry_point:tdc", "typer", "cli"),
        ("tdc.shared.edge.entry_point:tdc_manager", "grpc_health", "manager"),
        ("tdc.shared.edge.entry_point:tdc_agent", "dns", "agent"),
    ],
)
def test_a_program_without_its_extra_says_which_one_to_install(
    entry: str, library: str, extra: str
) -> None:
    """A sentence, exit code 1, and no traceback: all programs come with each installation."""
    assert f' = "{entry}"\n' in (ROOT / "pyproject.toml").read_text()
    module, _, function = entry.partition(":")
    code = f"import sys\nsys.modules[{library!r}] = None\nimport {module} as m\nm.{function}()\n"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    wheel = "./threat_defense_connector-0.1.0-py3-none-any.whl"
    assert f"pip install '{wheel}[{extra}]'" in done.stderr
    assert wheel in (ROOT / "docs" / "operator-guide.md").read_text(), "as the guide has it"
    assert "Traceback" not in done.stderr


def test_files_stay_readable_in_one_sitting() -> None:
    """A file is about one thing; over 400 lines it is about two."""
    long = {
        str(path.relative_to(ROOT)): lines
        for path in SOURCES
        if (lines := path.read_text().count("\n")) > 400
    }
    assert not long


def test_every_rfc_cited_in_the_code_has_its_row_in_the_standards_table() -> None:
    """docs/STANDARDS.md is the table of contents of what we follow."""
    table = (ROOT / "docs/STANDARDS.md").read_text()
    rows = {
        number
        for line in table.splitlines()
        if line.startswith("| ")
        for number in re.findall(r"\b\d{3,4}\b", line.split("|")[1])
    }
    cited = {
        number for path in SOURCES for number in re.findall(r"RFC ?(\d{3,4})", path.read_text())
    }
    assert cited - rows == set()
    assert len(cited) > 10
