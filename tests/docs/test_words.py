"""The glossary is kept: one word for each thing in documents, help, errors and log lines."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GLOSSARY = ROOT / "docs" / "glossary.md"
PROGRAMS = ("manager/tdc", "node_agent/tdc", "shared/tdc/shared")
TEXTS = [
    ROOT / "README.md",
    *sorted(path for path in (ROOT / "docs").rglob("*.md") if path != GLOSSARY),
    *sorted(path for path in (ROOT / "deploy").rglob("*") if path.is_file()),
    *sorted((ROOT / "proto" / "tdc").rglob("*.proto")),
]
HABITS = ("anew", "mend", "mends", "mended", "mending", "whoever", "be it")
"""Not wrong, but slow to read at 3 a.m.: again, repair, who."""


def _table(heading: str) -> list[list[str]]:
    section = GLOSSARY.read_text("utf-8").split(f"## {heading}")[1].split("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row] for row in rows[1:]]


def _pattern(words: Iterator[str] | tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, words))})\b", re.IGNORECASE)


UNUSED = _pattern(
    word.strip() for row in _table("Words that these pages") for word in row[0].split(",")
)


def _printed(path: Path) -> Iterator[str]:
    """Yield the texts of a program that may be printed: all but docstrings and comments."""
    tree = ast.parse(path.read_text("utf-8"))
    alone = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in alone:
            yield node.value


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_page_uses_a_word_that_the_glossary_replaces(path: Path) -> None:
    """One word for each thing, so that a page can be searched for it."""
    assert UNUSED.findall(" ".join(path.read_text("utf-8").split())) == []


@pytest.mark.parametrize("program", PROGRAMS)
def test_no_program_prints_a_word_that_the_glossary_replaces_or_a_habit(program: str) -> None:
    """What an operator reads in help, errors and logs is in the glossary's words."""
    paths = sorted((ROOT / program).rglob("*.py"))
    assert len(paths) > 20
    slow = _pattern(HABITS)
    found = [
        (path.name, text)
        for path in paths
        for text in _printed(path)
        if UNUSED.search(text) or slow.search(text)
    ]
    assert found == []


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_pages_are_written_plainly(path: Path) -> None:
    """Of the habits that docs/architecture.md asks to avoid, those that a search can find."""
    text = " ".join(path.read_text("utf-8").split())
    quoted = re.sub(r"`[^`]*`", "", text)  # names of files, tests and settings
    assert _pattern(HABITS).findall(quoted) == []


def test_each_word_stands_once_in_the_glossary() -> None:
    """A word with two entries would have two meanings."""
    sections = ("The fleet", "What a machine", "Mail", "The life of a copy")
    words = [
        word.strip() for name in sections for row in _table(name) for word in row[0].split(",")
    ]
    assert len(words) > 50
    assert sorted(words) == sorted(set(words))


def test_the_states_of_a_machine_are_in_the_glossary() -> None:
    """`tdc status` prints these words."""
    words = {row[0] for row in _table("What a machine")}
    assert {"in sync", "out of sync", "offline", "stale", "rejected"} <= words


def test_the_life_of_a_copy_is_in_the_glossary() -> None:
    """In the order in which it is lived."""
    words = [row[0] for row in _table("The life of a copy")]
    assert words[:5] == ["held", "queued", "deferred", "delivered", "dead"]
