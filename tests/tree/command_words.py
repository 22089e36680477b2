"""The tree of commands of `tdc` as text, by which completion reads what was typed.

`python -m tests.tree.command_words` writes it from the commands; a test compares the two.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from tdc.manager.cli.main import app

FILE = Path(__file__).parents[2] / "manager/tdc/manager/cli/command_words.py"

_HEAD = '''"""PURE. The commands of `tdc` with the words that they take, one a line; for completion.

Written by `python -m tests.tree.command_words`; not by hand. An argument, or the value of an
option, is what stands for it in the help; `*` after it: several. `tdc` takes what all do.
"""

WORDS = """
'''
_PLACES = {
    "NAME... SETTING=VALUE...": "NAMES_VALUES*",
    "NAME... SETTING...": "NAMES_SETTINGS*",
}


def commands(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command by its words."""
    below = getattr(node, "commands", None)
    if below is None:
        yield path, node
        return
    for name, child in below.items():
        yield from commands(child, (*path, name))


def tree() -> dict[tuple[str, ...], list[str]]:
    """What each command takes; those of `tdc` itself first."""
    root = typer.main.get_command(app)
    everywhere = [_written(part) for part in root.params] + ["--help,-h"]
    found: dict[tuple[str, ...], list[str]] = {("tdc",): everywhere}
    for path, node in commands(root):
        arguments = [_written(part) for part in node.params if part.param_type_name == "argument"]
        options = [_written(part) for part in node.params if part.param_type_name == "option"]
        found[path] = arguments + [each for each in options if each not in everywhere]
    return found


def text() -> str:
    """The file as it should be."""
    lines = [
        "\n".join(
            textwrap.wrap(
                f"{' '.join(path)}: {' '.join(takes)}",
                98,
                subsequent_indent=" ",
                break_long_words=False,
                break_on_hyphens=False,
            )
        )
        for path, takes in tree().items()
    ]
    return f'{_HEAD}{chr(10).join(lines)}\n"""\n'


def _written(part: Any) -> str:
    stands_for = str(part.metavar or "")
    if not stands_for and (choices := getattr(part.type, "choices", ())):
        stands_for = "{" + "|".join(str(getattr(each, "value", each)) for each in choices) + "}"
    if part.param_type_name == "argument":
        if stands_for in _PLACES:
            return _PLACES[stands_for]
        return stands_for.strip("[].") + ("*" if part.nargs == -1 else "")
    names = ",".join(sorted(part.opts, key=lambda name: not name.startswith("--")))
    flag = not stands_for or part.is_flag
    return names if flag else f"{names}={stands_for}"


if __name__ == "__main__":
    FILE.write_text(text())
