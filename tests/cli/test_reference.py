"""docs/cli.md and the program say the same."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from tdc.manager.cli.audit import WHOLE_LOG
from tdc.manager.cli.command import DEFAULT_TIMEOUT
from tdc.manager.cli.login import PROVIDER_TIMEOUT
from tdc.manager.cli.main import app
from tdc.manager.cli.queue import TIMEOUT
from tdc.manager.options import add_flags

from tests.cli.conftest import Tdc

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT.joinpath("docs", "cli.md").read_text(encoding="utf-8")
ROOMS = ("manager", "node_agent", "shared")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


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


def test_the_help_says_the_deadline_that_holds() -> None:
    """Work on queues waits for machines, so it has another."""
    assert f"has {TIMEOUT:g} s, because the manager itself waits for machines" in REFERENCE
    on_queues = {("tdc", "delivery", verb) for verb in ("dead", "retry", "move", "drop")}
    for path, node in commands(typer.main.get_command(app), ("tdc",)):
        (option,) = (part for part in node.params if part.name == "timeout")
        default = TIMEOUT if path in on_queues else DEFAULT_TIMEOUT
        default = PROVIDER_TIMEOUT if path == ("tdc", "login") else default
        default = WHOLE_LOG if path == ("tdc", "audit", "verify") else default
        assert option.help == f"Seconds to wait for the manager (default {default:g}).", path


def test_no_help_has_python_in_it(tdc: Tdc) -> None:
    """Names of types, or braces around what is needed."""
    for path, _ in commands(typer.main.get_command(app), ("tdc",)):
        shown = tdc(*path[1:], "--help").out
        assert re.findall(r"<(?:str|int|float|list|path)\b|[{}]|\[\[", shown) == [], path
    assert "set [OPTIONS] LEVEL NAME... SETTING=VALUE...\n" in tdc("settings", "set", "-h").out


def test_what_the_guide_says_that_one_sees_is_said() -> None:
    """At 3 a.m. a message is searched for in the guide by its words."""
    guide = (ROOT / "docs" / "operator-guide.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|]+) \|", guide.split("## 5.")[1], re.MULTILINE)[2:]
    quoted = [
        part for row in rows for text in re.findall("`([^`]+)`", row) for part in text.split("…")
    ]
    assert len(quoted) > 15
    sources = [path.read_text("utf-8") for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    said = re.sub(r'"\n\s*f?"', "", "\n".join(sources))  # texts in several pieces are one
    assert [part for part in quoted if part.strip() not in said] == []


def typed(page: Path, program: str) -> Iterator[tuple[list[str], set[str]]]:
    """Yield commands that a page tells to type, in blocks and within lines, and their options."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    lines += [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", prose)]
    for line in lines:
        words = line.partition(" #")[0].split()
        if words[:1] == [program] and re.match("[a-z]", "".join(words[1:2])):
            yield words, {word.strip("[]") for word in words if re.match(r"\[?-", word)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_tells_to_type_can_be_typed(page: Path) -> None:
    """Each `tdc` command of the documents is one, and has the options that stand beside it."""
    tree = dict(commands(typer.main.get_command(app), ("tdc",)))
    for words, options in typed(page, "tdc"):
        found = [node for path, node in tree.items() if words[: len(path)] == list(path)]
        assert len(found) == 1, words
        assert options <= {each for part in found[0].params for each in part.opts}, words


def test_what_a_page_tells_to_type_for_the_manager_can_be_typed() -> None:
    """With the option that it can't do without."""
    parser = argparse.ArgumentParser()
    add_flags(parser)
    flags = set(parser._option_string_actions) | {"--operator", "--out", "--dry-run"}
    flags |= {
        "--with-ca",
        "--adopt",
        "--keep-ca",
        "--with-faults",
        "--passphrase-file",
        "--join",
        "-",
        "-o",
        "--keep-id",
        "--back",
        "--force",
        "--user",
        "--password-file",
    }
    told = [each for page in PAGES for each in typed(page, "tdc-manager") if each[1]]
    assert len(told) > 5
    for words, options in told:
        assert {"--folder"} <= options <= flags or "--dry-run" in options <= flags, words
