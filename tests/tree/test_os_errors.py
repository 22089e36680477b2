"""Operators read what the system refused in the words of `os_words`, never in Python's."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.tree.source import modules


def _raw_texts(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ExceptHandler) and node.name and _catches_os_errors(node.type):
            for part in ast.walk(node):
                if (
                    isinstance(part, ast.FormattedValue)
                    and isinstance(part.value, ast.Name)
                    and part.value.id == node.name
                ):
                    yield f"{path}:{part.lineno}"


def _catches_os_errors(kind: ast.expr | None) -> bool:
    return kind is not None and any(
        isinstance(each, ast.Name) and each.id == "OSError" for each in ast.walk(kind)
    )


def test_no_sentence_holds_an_oserror_as_python_prints_it() -> None:
    assert [place for path in modules().values() for place in _raw_texts(path)] == []
