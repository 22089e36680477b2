"""`scripts/check`, the full form, on a suite of few tests: what it tries once more, and tells."""

from __future__ import annotations

import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

import pytest

from tests.tree.source import ROOT

pytestmark = pytest.mark.slow

ONCE = """
from pathlib import Path

def test_once{n}():
    seen = Path("seen{n}")
    seen_before = seen.exists()
    seen.touch()
    assert seen_before
"""
ALWAYS = "def test_always():\n    assert False\n"
NEVER = "def test_never():\n    pass\n"
UNSTEADY = "unsteady: passed only when run alone: test_a.py::test_once"


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The script, at work in the test's folder, where there is nothing but tests to be checked."""
    loader = SourceFileLoader("check", str(ROOT / "scripts" / "check"))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, loader.name, module)  # its dataclass looks there
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader.exec_module(module)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "CODE", {})
    monkeypatch.setattr(module, "MOST_UNSTEADY", 2)
    monkeypatch.setattr(module, "ALL_TESTS", module.ALL_TESTS.replace("-n 6", "-n 1"))
    assert "-n 1" in module.ALL_TESTS, "each worker is a start of Python"
    (tmp_path / "pytest.ini").touch()
    return module


@pytest.mark.parametrize(
    ("tests", "code", "unsteady"),
    [
        (NEVER, 0, 0),
        (NEVER + ONCE.format(n=0) + ONCE.format(n=1), 0, 2),
        (ALWAYS + ONCE.format(n=0), 1, 1),
        ("".join(ONCE.format(n=n) for n in range(3)), 1, 0),
        ("no Python", 1, 0),
    ],
    ids=["none", "two-once", "once-and-always", "too-many", "unreadable"],
)
def test_a_test_that_fails_is_tried_once_more_alone(
    check: Any,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    tests: str,
    code: int,
    unsteady: int,
) -> None:
    """As long as few do; what passes then is named, and what fails again fails the step."""
    (tmp_path / "test_a.py").write_text(tests)
    assert check.main([]) == code
    *before, last = capfd.readouterr().out.splitlines()
    told = [line for line in before if line.startswith("unsteady: ")]
    assert len(told) == unsteady
    assert all(line.startswith(UNSTEADY) for line in told)
    assert before[len(before) - unsteady :] == told
    assert last.startswith("check: FAILED in " if code else "check: passed in ")


def test_what_failed_in_an_earlier_run_is_not_tried(check: Any, tmp_path: Path) -> None:
    """Nor does a run that found no tests, or was given a wrong word, pass for them."""
    (tmp_path / "test_a.py").write_text(ALWAYS)
    assert check.main([]) == 1
    (tmp_path / "test_a.py").write_text(NEVER)
    assert check.main(["--no-such-option"]) == 1
    assert check.main([]) == 0
