"""What TAB offers: by the real script of bash, with names from a real manager, in its time."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import time
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

import grpc
import pytest
from tdc.manager.cli import complete
from tdc.manager.cli.completing import (
    ASKED,
    BY_PLACE,
    NOT_NAMES,
    OFFERED,
    TREE,
    Source,
    Wanted,
    wanted,
)
from tdc.manager.first_setup import add_operator

from tests.cli import samples
from tests.cli.conftest import Tdc
from tests.cli.real_manager import Fleet, Running, done
from tests.cli.scripted import Refusal, ScriptedManager
from tests.cli.terminal import PATIENCE, TDC
from tests.tree import command_words

PATIENT = "--timeout 20"
"""Typed where a test asks for names: a machine that is busy may take longer than a TAB has."""


def kinds() -> dict[tuple[str, ...], list[str]]:
    """What stands for a word, by command."""
    found: dict[tuple[str, ...], list[str]] = {}
    for path, takes in TREE.items():
        for each in takes:
            stands_for = each.partition("=")[2] if each.startswith("-") else each.rstrip("*")
            found.setdefault(path, []).extend([stands_for] if stands_for else [])
    return found


def test_the_words_that_completion_knows_are_those_of_the_commands() -> None:
    """If not: `python -m tests.tree.command_words`."""
    assert command_words.FILE.read_text() == command_words.text()


def test_every_word_that_stands_for_a_name_is_completed() -> None:
    """Of all commands: a new one that takes a name says so, or is known as no name."""
    known = {*ASKED, *OFFERED, *BY_PLACE, *NOT_NAMES}
    unknown = {
        (" ".join(path), word)
        for path, words in kinds().items()
        for word in words
        if not word.startswith("{") and word not in known
    }
    assert unknown == set()
    assert {word for words in kinds().values() for word in words} >= {*ASKED, *OFFERED, *BY_PLACE}


@pytest.mark.parametrize(
    ("line", "sources"),
    [
        ("cluster show ", (Source.CLUSTERS,)),
        ("cluster create ", ()),
        ("group rename g", (Source.GROUPS,)),
        ("group rename g1 ", ()),
        ("machine suspend mx1 m", (Source.MACHINES,)),
        ("machine move mx1 --to ", (Source.GROUPS,)),
        ("settings set machine m", (Source.MACHINES,)),
        ("settings set group ", (Source.GROUPS,)),
        ("settings set machine mx1 enabled=true ", ()),
        ("settings set machine --match mx* ", ()),
        ("settings copy machine mx1 group ", (Source.GROUPS,)),
        ("settings show --effective ", (Source.MACHINES,)),
        ("draft remove cluster ", (Source.CLUSTERS,)),
        ("draft commit --of ", (Source.OWNERS,)),
        ("commit diff 5 ", (Source.REVISIONS,)),
        ("delivery move --from ", (Source.INTAKES,)),
        ("user delete ", (Source.USERS,)),
        ("user create ", ()),
        ("user create ann --cluster ", (Source.CLUSTERS,)),
        ("user create ann --group ", (Source.GROUP_PATHS,)),
        ("user set-role ana --role operator --group ", (Source.GROUP_PATHS,)),
        ("session end ", (Source.SESSIONS,)),
        ("token revoke ", (Source.TOKENS,)),
        ("operator withdraw ", (Source.CERTIFICATES,)),
        ("audit list --who ", (Source.USERS,)),
        ("audit show ", (Source.ENTRIES,)),
        ("status --cluster=", ()),
        ("nothing such ", ()),
    ],
)
def test_what_is_asked_for_depends_on_the_words_before(
    line: str, sources: tuple[Source, ...]
) -> None:
    *words, typed = line.split(" ")
    assert wanted(words, typed).sources == sources


def test_what_stands_before_the_cursor_in_options_is_kept() -> None:
    found = wanted(["--timeout=3", "machine", "show", "--cluster", "emea"], "m")
    assert (found.cluster, found.timeout, found.typed) == ("emea", "3", "m")
    assert found.fitting(["mx1", "nx1"]) == {"mx1": ""}
    assert Wanted("", taken=frozenset({"mx1"})).fitting(["mx1", "mx2"]) == {"mx2": ""}


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("tdc settings set group g1 tls.m", {"tls.minimum_version="}),
        ("tdc settings set group g1 enabled=f", {"false"}),
        ("tdc settings set group g1 enabled=", {"true", "false"}),
        ("tdc settings unset group g1 log.l", {"log.level"}),
        ("tdc settings set m", {"machine"}),
        ("tdc draft un", {"unset", "unshare"}),
        ("tdc delivery retry --which d", {"dead"}),
        ("tdc user create ann --role read", {"read-only"}),
        ("tdc status --state in", {r"in\ sync"}),
        ("tdc machine token mx1 --li", {"--lifetime"}),
        ("tdc status --output j", {"json"}),
    ],
)
def test_bash_offers_what_needs_no_manager(tmp_path: Path, line: str, offered: set[str]) -> None:
    environment = {"TDC_CONFIG": str(tmp_path / "none.toml")}
    assert typed_in_bash(tmp_path, environment, line) == offered


def typed_in_bash(folder: Path, environment: Mapping[str, str], line: str) -> set[str]:
    """What the real script makes a real bash offer, which splits the line by itself."""
    program = folder / "bin" / "tdc"
    if not program.exists():
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\nexec {TDC[0]} -c '{TDC[2]}' \"$@\"\n")
        program.chmod(0o700)
    kept = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
    path = f"{program.parent}:{os.environ['PATH']}"
    whole = {**kept, "PATH": path, "HOME": str(folder), **environment}
    script = subprocess.run(
        [program],
        env={**whole, "_TDC_COMPLETE": "source_bash"},
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    ).stdout
    # bash hands a function the words as readline splits them: at COMP_WORDBREAKS, "=" and "@" too.
    words = [word for word in re.split(r"[ ]+|([=@:]+)", line) if word]
    words += [""] if line.endswith(" ") else []
    quoted = " ".join(f"'{word}'" for word in words)
    asking = f"COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _tdc_completion tdc"
    done = subprocess.run(
        ["bash", "--norc", "-c", f"{script}\n{asking}\nprintf '%s\\n' \"${{COMPREPLY[@]}}\""],
        env=whole,
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    assert done.stderr == ""
    return set(filter(None, done.stdout.split("\n")))


Typed = Callable[[str], set[str]]


@pytest.fixture
def typed(running: Running, tmp_path: Path) -> Typed:
    def offered(line: str) -> set[str]:
        return typed_in_bash(tmp_path, {"TDC_CONFIG": str(running.config)}, f"tdc {PATIENT} {line}")

    return offered


def test_bash_offers_the_names_that_the_manager_has(fleet: Fleet, typed: Typed, tdc: Tdc) -> None:
    machines = {fleet.one, fleet.two, fleet.three}
    assert fleet.cluster in typed("cluster show em")
    assert typed(f"group show --cluster {fleet.cluster} g1") == {fleet.group}
    assert typed(f"settings set machine --cluster {fleet.cluster} m") == machines
    assert typed(f"machine move {fleet.one} --cluster {fleet.cluster} --to g2") == {fleet.other}
    assert typed(f"machine suspend {fleet.one} --cluster {fleet.cluster} mx") == machines - {
        fleet.one
    }
    history = done(tdc, "commit", "history", "--cluster", fleet.cluster)
    revisions = {str(row["revision"]) for row in history}
    assert typed(f"commit show --cluster {fleet.cluster} ") == revisions
    intake = typed(f"delivery retry --cluster {fleet.cluster} --intake in@in")
    assert intake == {"intake.example"}  # bash keeps what stands before the @
    done(tdc, "user", "create", "ann", "--role", "operator", "--without-password")
    assert typed("user show a") == {"ann"}


def test_names_out_of_reach_are_not_offered(
    fleet: Fleet, running: Running, tdc: Tdc, tmp_path: Path
) -> None:
    """The manager is asked as who types."""
    other = done(tdc, "cluster", "create", f"other-{fleet.cluster}")["cluster"]
    narrow = ("--role", "read-only", "--cluster", fleet.cluster, "--without-password")
    done(tdc, "user", "create", "bob", *narrow)
    folder, address = running.config.parents[1], _address(running.config)
    config = add_operator(folder, tmp_path / "bob", "bob", address)
    line = f"tdc {PATIENT} cluster show "
    assert {fleet.cluster, other} <= typed_in_bash(
        tmp_path, {"TDC_CONFIG": str(running.config)}, line
    )
    assert typed_in_bash(tmp_path, {"TDC_CONFIG": str(config)}, line) == {fleet.cluster}


def test_a_tab_has_its_answer_in_300_ms(fleet: Fleet, running: Running) -> None:
    """By its processor time, for others may work beside a test; the time on the wall is printed."""
    line = f"tdc machine show --cluster {fleet.cluster} mx1"
    environment = _as_bash_asks(line) | {"TDC_CONFIG": str(running.config)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    walls, processor = [], []
    for _ in range(6):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        began = time.perf_counter()
        done = subprocess.run(TDC, env=environment, capture_output=True, text=True, check=True)
        walls.append(time.perf_counter() - began)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        processor.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        assert done.stdout in (fleet.one, "")
    print(
        f"\ncompletion of a machine's name: {min(walls) * 1000:.0f} ms, of which the processor had "
        f"{min(processor) * 1000:.0f} ms"
    )
    assert min(processor) < 0.3


@pytest.mark.parametrize("name", ["$(id)", "`id`", "mx1;id", "mx1'", 'mx"1', "mx1\nid"])
def test_nothing_that_a_shell_would_act_on_is_offered(manager: ScriptedManager, name: str) -> None:
    """Whatever the manager says: zsh evaluates what it is given."""
    answered = samples.machines()
    answered.machines[0].name = name
    manager.answers["ListMachines"] = answered
    for shell in ("bash", "zsh", "fish"):
        said = complete.answer(_as_asked(shell, "machine show ", manager))
        assert name not in said
        assert "id" not in said


def test_zsh_and_fish_get_names_in_their_forms(manager: ScriptedManager) -> None:
    manager.answers["ListMachines"] = samples.machines()
    name = samples.machines().machines[0].name
    assert f'"{name}"' in complete.answer(_as_asked("zsh", "machine show ", manager))
    assert name in complete.answer(_as_asked("fish", "machine show ", manager)).split("\n")
    meant = complete.answer(_as_asked("zsh", "settings explain mx1 tls.m", manager))
    assert meant.startswith('_arguments \'*: :(("tls.minimum_version":"')


def test_where_the_manager_can_not_say_nothing_is_said(
    manager: ScriptedManager, tmp_path: Path
) -> None:
    def refused(_: object) -> None:
        raise Refusal(grpc.StatusCode.PERMISSION_DENIED, "no")

    manager.answers["ListMachines"] = refused  # type: ignore[assignment]  # it never returns
    for config in (manager.config, tmp_path / "none.toml"):
        environment = _as_bash_asks("tdc machine show m") | {"TDC_CONFIG": str(config)}
        done = subprocess.run(
            TDC, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def _as_bash_asks(line: str) -> dict[str, str]:
    words = line.split(" ")
    return {
        **os.environ,
        "_TDC_COMPLETE": "complete_bash",
        "COMP_WORDS": "\n".join(words),
        "COMP_CWORD": str(len(words) - 1),
    }


def _as_asked(shell: str, line: str, manager: ScriptedManager) -> dict[str, str]:
    asked = f"tdc {PATIENT} --config {manager.config} {line}"
    return _as_bash_asks(asked) | {
        "_TDC_COMPLETE": f"complete_{shell}",
        "_TYPER_COMPLETE_ARGS": asked,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }


def _address(config: Path) -> str:
    return str(tomllib.loads(config.read_text())["manager"])
