"""docs/cli.md and the program say the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from tdc.manager.cli.command import DEFAULT_TIMEOUT
from tdc.manager.cli.main import app

REFERENCE = Path(__file__).parents[2].joinpath("docs", "cli.md").read_text(encoding="utf-8")


def commands(node: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    below = getattr(node, "commands", None)
    if below is None:
        yield path, node
        return
    for name, child in below.items():
        yield from commands(child, (*path, name))


def test_every_command_and_option_is_in_the_reference() -> None:
    """By its full name; a hidden option would be a secret."""
    tree = list(commands(typer.main.get_command(app), ("tdc",)))
    assert len(tree) > 15
    for path, node in tree:
        assert f"`{' '.join(path)}" in REFERENCE, path
        for parameter in node.params:
            for option in (name for name in parameter.opts if name.startswith("--")):
                assert option in REFERENCE, (path, option)


def test_every_command_in_the_reference_exists() -> None:
    """What the table of commands promises can be typed."""
    known = {path for path, _ in commands(typer.main.get_command(app), ("tdc",))}
    table = REFERENCE.split("## Commands")[1].split("## ")[0]
    promised = re.findall(r"`(tdc [a-z]+(?: [a-z]+)?)", table)
    assert len(promised) > 15
    for words in promised:
        assert tuple(words.split()) in known, words


def test_the_reference_says_the_defaults_that_hold() -> None:
    """Of the options that have one worth saying."""
    defaults = {
        (path[-1], parameter.name): parameter.default
        for path, node in commands(typer.main.get_command(app), ("tdc",))
        for parameter in node.params
    }
    assert f"--limit {defaults['history', 'limit']}]" in REFERENCE
    assert f"--lifetime {defaults['token', 'lifetime']}]" in REFERENCE
    assert f"deadline: {DEFAULT_TIMEOUT:g} s, or `--timeout SECONDS`" in REFERENCE
