"""Reads docs/FLOW.md: numbered steps under `##` headings, and the code that each step names.

What the page may name, in backticks:
    `manager/levels/plan.py:plan_of`             a function; so is `…/fleet.py:FleetView.wanted`
    `node_agent/deliver/scheduler.py:Delivery`   a class: whatever of it runs
    `node_agent/journal/report.py`, `deploy/postfix`   a file or a folder
A path leaves out the folder `tdc`: `manager/levels/plan.py` is manager/tdc/manager/levels/plan.py.
A method of one class of the file may be named alone. tests/tree/test_flow.py holds the page to it.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

from tests.tree.source import ROOT, TREES

PAGE = ROOT / "docs" / "FLOW.md"
_NAMED = re.compile(r"`((?:[\w.-]+/)+[\w.-]+)(?::([\w.]+))?`")


@dataclass(frozen=True)
class Reference:
    """What a step names: a path, and a function or class in it (empty: all of it)."""

    text: str
    path: Path
    name: str

    @property
    def defined(self) -> dict[str, type[ast.AST]]:
        """What the file defines, by qualified name."""
        found: dict[str, type[ast.AST]] = {}
        _collect(ast.parse(self.path.read_text()), "", found)
        return found

    @property
    def kind(self) -> str:
        """`function`, `class`, `file`, or `nothing` where it leads nowhere."""
        if not self.path.exists():
            return "nothing"
        if not self.name:
            return "file"
        kinds = {kind for name, kind in self.defined.items() if self._names(name)}
        return "nothing" if not kinds else "class" if ast.ClassDef in kinds else "function"

    def _names(self, qualified: str) -> bool:
        return qualified == self.name or (
            "." not in self.name and qualified.endswith(f".{self.name}")
        )

    def covers(self, path: Path, qualified: str) -> bool:
        """True where a running function is what is named, or part of it."""
        if path != self.path and self.path not in path.parents:
            return False
        parts = qualified.split(".")
        heads = [".".join(parts[:end]) for end in range(1, len(parts) + 1)]
        return not self.name or any(self._names(head) for head in heads)


@dataclass(frozen=True)
class Step:
    """One numbered step: its place in the page, and what it names."""

    walk: str
    number: int
    references: tuple[Reference, ...]

    def __str__(self) -> str:
        return f"{self.walk}, step {self.number}"


def read_steps(page: str) -> list[Step]:
    """All steps in the page's order."""
    steps = []
    for section in page.split("\n## ")[1:]:
        walk = section.partition(":")[0]
        for number, text in re.findall(r"(?ms)^(\d+)\. (.*?)(?=^\d+\. |\Z)", section):
            steps.append(Step(walk, int(number), tuple(_references(text))))
    return steps


def _references(text: str) -> list[Reference]:
    return [
        Reference(found[0].strip("`"), _located(found[1]), found[2] or "")
        for found in _NAMED.finditer(text)
    ]


def _located(path: str) -> Path:
    tree, _, _ = path.partition("/")
    inside = TREES.get(tree, ROOT) / path
    return inside if inside.exists() else ROOT / path


def _collect(node: ast.AST, prefix: str, found: dict[str, type[ast.AST]]) -> None:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found[prefix + child.name] = type(child)
            if isinstance(child, ast.ClassDef):
                _collect(child, f"{prefix}{child.name}.", found)
