"""What asks, and which options answer it, over all commands; and what messages advise."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tdc.manager.cli.completing import TREE

from tests.cli.conftest import Tdc
from tests.cli.real_manager import Running

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT.joinpath("docs", "cli.md").read_text("utf-8")

TAKES_ACCESS_AWAY = {
    "machine withdraw",
    "user set-role",
    "user remove-codes",
    "user delete",
    "session end",
    "token revoke",
    "operator withdraw",
}
ONLY_WORK = {"machine suspend", "machine resume"}
UNASKED = {
    *("user create", "user set-password", "user set-codes", "token create", "machine token"),
    *("login", "logout"),
    *("draft set", "draft unset", "draft remove", "draft keep", "draft share", "draft unshare"),
    "draft restore",
}
"""What is made, or comes back, or is asked for a password. A new command that changes something and
asks nothing belongs here with a reason, and into docs/cli.md."""
READS = re.compile(
    r"status|export|whoami|.* (list|show|status|check|explain|history|diff|dead)|audit .*"
)


def having(option: str) -> set[str]:
    return {" ".join(path) for path, takes in TREE.items() if option in takes}


def test_every_command_asks_or_is_known_not_to() -> None:
    asks, dry = having("--yes,-y"), having("--dry-run")
    assert asks - dry == TAKES_ACCESS_AWAY | {"draft discard"}
    assert dry <= asks
    assert dry - having("--comment,-m=TEXT") == ONLY_WORK
    assert having("--comment,-m=TEXT") <= dry
    reads = {" ".join(path) for path in TREE if READS.fullmatch(" ".join(path))}
    assert reads & (asks | UNASKED) == set()
    assert {" ".join(path) for path in TREE} == asks | UNASKED | reads


def test_the_reference_says_which_command_has_which_option() -> None:
    (yes,) = re.findall(r"^\| `-y`, `--yes` \|([^|]*)\|", REFERENCE, re.MULTILINE)
    assert set(re.findall(r"`([^`]+)`", yes)) == TAKES_ACCESS_AWAY | {"draft discard"}
    (dry,) = re.findall(r"^\| `--dry-run` \|([^|]*)\|", REFERENCE, re.MULTILINE)
    assert set(re.findall(r"`([^`]+)`", dry)) == ONLY_WORK
    said = " ".join(REFERENCE.split()).split("Nothing is asked before")[1].split("## ")[0]
    assert {name for name in UNASKED if not name.startswith("draft")} <= set(
        re.findall(r"`([^`]+)`", said)
    )


@pytest.mark.system
@pytest.mark.parametrize("words", sorted(TAKES_ACCESS_AWAY))
def test_without_a_terminal_it_says_only_what_the_command_has(
    words: str, running: Running, tdc: Tdc, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TDC_CONFIG", str(running.config))
    role = ["--role", "read-only"] if words.endswith("role") else []
    ended = tdc(*words.split(), "0123456789ab", *role)
    assert (ended.code, "use --yes" in ended.err) == (1, True), ended.err
    said = re.findall(r"--[a-z-]+", ended.err)
    takes = TREE[tuple(words.split())]
    assert [each for each in said if not any(each in word.split(",") for word in takes)] == []


def advised(path: Path) -> Iterator[str]:
    """Commands in backquotes in what a file may print; what is put in is an X."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.JoinedStr):
            text = "".join(
                str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        else:
            continue
        yield from re.findall(r"`(tdc [^`]*[a-z][^`]*)`", " ".join(text.split()))


def test_every_command_that_a_message_advises_can_be_typed() -> None:
    rooms = [ROOT / room / "tdc" for room in ("manager", "shared", "node_agent")]
    found = {
        (text, path.name) for room in rooms for path in room.rglob("*.py") for text in advised(path)
    }
    assert len(found) > 30
    assert [each for each in sorted(found) if not typable(each[0])] == []


def typable(text: str) -> bool:
    """Whether it is a command, or begins several, with options that it has."""
    words = text.replace("…", " ").replace("|", " | ").split()[1:]
    nouns = {path[0] for path in TREE if len(path) > 1}
    if not words or words[0].startswith(("-", "|")) or (len(words) == 1 and words[0] in nouns):
        return True
    options = {word.partition("=")[0].strip("[]") for word in words if word.startswith(("-", "[-"))}
    everywhere = ("--output,-o", "--timeout", "--config")
    return any(
        options
        <= {name for each in (*takes, *everywhere) for name in each.partition("=")[0].split(",")}
        for path, takes in TREE.items()
        if tuple(words[: len(path)]) == path
    )
