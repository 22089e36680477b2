"""What the tests themselves keep to, so that `make check` stays quick and tests/pure stays pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.tree.source import ROOT

TESTS = ROOT / "tests"
# What an audit hook can't see (tests/pure/conftest.py watches for the rest).
UNSEEN = {"asyncio", "pytest_asyncio", "threading", "time"}
# The processor's time, which says what something costs and not how late it is.
ALLOWED = {"time.process_time"}


def test_no_property_counts_its_examples_past_the_profile() -> None:
    """A count of its own goes through tests.examples, or the quick profile would not reach it."""
    counting = [
        str(path.relative_to(ROOT))
        for path in TESTS.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.keyword) and node.arg == "max_examples"
    ]
    assert set(counting) == {"tests/examples.py"}


def test_nothing_in_tests_pure_is_asynchronous_or_imports_a_clock() -> None:
    for path in (TESTS / "pure").glob("*.py"):
        nodes = list(ast.walk(ast.parse(path.read_text())))
        assert not [each for each in nodes if isinstance(each, ast.AsyncFunctionDef)], path.name
        names = {name for each in nodes for name in _imported(each)} - ALLOWED
        assert not UNSEEN & {name.partition(".")[0] for name in names}, path.name


def _imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (each.name for each in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield from (f"{node.module}.{each.name}" for each in node.names)


def test_a_stage_or_fleet_stands_in_tests_stage_only() -> None:
    """Each thing that tests run against is made once, and found there."""
    named = {path for word in ("stage", "fleet") for path in TESTS.rglob(f"{word}*.py")}
    assert named == {TESTS / "stage" / "fleet.py"}
