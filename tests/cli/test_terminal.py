"""`tdc` as a process: pipes that close, Ctrl-C, terminals, locales."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from tdc.manager.cli.layout import Piece
from tdc.manager.cli.render import Out
from tdc.v1 import operators_pb2

from tests.cli import samples
from tests.cli.conftest import Tdc
from tests.cli.scripted import ScriptedManager
from tests.cli.terminal import PATIENCE, TDC, on_terminal

DISABLE = ["settings", "set", "machine", "mx1", "enabled=false"]


@pytest.fixture
def environment(manager: ScriptedManager) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    return {**kept, "TDC_CONFIG": str(manager.config), "TERM": "xterm", "LANG": "C.UTF-8"}


@pytest.mark.proves("B106", "S10")
def test_an_escape_sequence_from_the_manager_reaches_no_table(
    tdc: Tdc, manager: ScriptedManager
) -> None:
    """A comment and an error text are shown with their controls visible; JSON keeps the data."""
    history = samples.history()
    history.commits[0].comment = "\x1b]0;owned\x07\u202etxt"
    manager.answers["ListCommits"] = history
    shown = tdc("commit", "history").out
    assert "\x1b" not in shown
    assert r"\x1b]0;owned\x07\u202etxt" in "".join(shown.split())
    rows = tdc("commit", "history", "-o", "json").json
    assert rows[0]["comment"] == "\x1b]0;owned\x07\u202etxt"


@pytest.mark.proves("B106")
def test_a_reader_that_goes_away_ends_tdc_quietly(
    manager: ScriptedManager, environment: dict[str, str]
) -> None:
    """`tdc settings list | head`: 141 as other programs, and nothing on standard error."""
    with subprocess.Popen(
        [*TDC, "settings", "list"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
        assert process.wait(PATIENCE) == 141
    assert said == b""


@pytest.mark.parametrize("command", [("settings", "list"), ("export", "--schema"), ("--version",)])
@pytest.mark.parametrize(
    ("redirect", "code", "words"),
    [("> /dev/full", 1, "No space left"), (">&-", 141, ""), ("2>&-", 0, "")],
)
def test_output_that_can_not_be_written_is_no_fault_of_tdc(
    environment: dict[str, str], command: tuple[str, ...], redirect: str, code: int, words: str
) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f'"$@" {redirect}', "sh", *TDC, *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
        env=environment,
    )
    assert done.returncode == code
    assert words in done.stderr
    assert "Internal error" not in done.stderr
    assert "Traceback" not in done.stderr


def test_help_that_can_not_be_written_is_no_fault_of_tdc(environment: dict[str, str]) -> None:
    for command in (["-h"], ["commit", "apply", "-h"]):
        done = subprocess.run(
            ["/bin/sh", "-c", '"$@" > /dev/full', "sh", *TDC, *command],
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
            env=environment,
        )
        assert (done.returncode, "Traceback" in done.stderr) == (1, False)
        assert "Can't write the output: No space left on device." in done.stderr


def test_nothing_is_committed_while_nobody_can_read_the_plan(
    manager: ScriptedManager, environment: dict[str, str]
) -> None:
    manager.answers.update(MakePlan=samples.disable_plan(), MakeCommit=samples.committed())
    done = subprocess.run(
        ["/bin/sh", "-c", '"$@" >&-', "sh", *TDC, *DISABLE, "--yes"],
        check=False,
        timeout=PATIENCE,
        env=environment,
    )
    assert done.returncode == 141
    assert manager.asked("MakePlan")
    assert not manager.asked("MakeCommit")


def test_a_full_disk_is_told_with_what_was_committed_by_then(
    manager: ScriptedManager, environment: dict[str, str]
) -> None:
    """Nothing, where it is the plan that can't be shown; the revision, where it is the result."""
    manager.answers.update(MakePlan=samples.disable_plan(), MakeCommit=samples.committed())

    def said(*options: str) -> str:
        words = ("settings", "set", "group", "g1", "enabled=true", "--yes", *options)
        return subprocess.run(
            ["/bin/sh", "-c", '"$@" > /dev/full', "sh", *TDC, *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
            env=environment,
        ).stderr

    assert "No space left on device. Nothing was committed." in said()
    assert not manager.asked("MakeCommit")
    assert "Revision 8 of emea was committed." in said("-o", "json")


@pytest.mark.parametrize("redirect", ["2> /dev/full", "2>&-", "2>&1 | true"])
def test_an_error_that_nobody_can_be_told_keeps_its_exit_code(
    tmp_path: Path, environment: dict[str, str], redirect: str
) -> None:
    """A job whose log is on a full disk still learns that the manager was not reached."""
    script = f'{{ "$@"; echo $? > {tmp_path}/code; }} {redirect}'
    subprocess.run(
        ["/bin/sh", "-c", script, "sh", *TDC, "status", "--config", tmp_path / "none.toml"],
        check=False,
        timeout=PATIENCE,
        env=environment,
    )
    assert (tmp_path / "code").read_text() == "3\n"


def test_a_key_that_others_can_read_is_told_of_and_used(tdc: Tdc, manager: ScriptedManager) -> None:
    manager.answers.update(ListClusters=samples.clusters())
    key = manager.config.parent / "operator.key"
    key.chmod(0o644)
    try:
        done = tdc("cluster", "list")
    finally:
        key.chmod(0o600)
    assert done.code == 0
    assert "chmod 600" in done.err
    assert tdc("cluster", "list").err == ""


def test_a_plan_that_nobody_could_read_is_not_committed(
    manager: ScriptedManager, environment: dict[str, str]
) -> None:
    """Even with --yes: the blast radius is shown first, or nothing happens."""
    manager.answers.update(MakePlan=samples.disable_plan(), MakeCommit=samples.committed())
    with subprocess.Popen(
        [*TDC, *DISABLE, "--yes"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(PATIENCE) == 141
    assert manager.asked("MakePlan")
    assert not manager.asked("MakeCommit")


def test_a_commit_whose_report_nobody_reads_is_told_on_standard_error(
    manager: ScriptedManager, environment: dict[str, str]
) -> None:
    """The reader went away between plan and commit: what was done is still said."""
    manager.answers["MakePlan"] = samples.disable_plan()
    with subprocess.Popen(
        [*TDC, *DISABLE, "--yes"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        reader = process.stdout

        def read_the_plan_and_leave(_: object) -> operators_pb2.CommitResponse:
            reader.close()
            return samples.committed()

        manager.answers["MakeCommit"] = read_the_plan_and_leave
        said = process.stderr.read()
        assert process.wait(PATIENCE) == 141
    assert said == b"Committed revision 8 of emea.\n"


def test_ctrl_c_after_the_commit_says_that_it_was_made(
    tdc: Tdc, manager: ScriptedManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is there, the connection is being closed: nothing false is said."""
    manager.answers.update(MakePlan=samples.disable_plan(), MakeCommit=samples.committed())
    original = Out.emit

    def interrupted_after(self: Out, document: object, pieces: Iterable[Piece]) -> None:
        original(self, document, pieces)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Out, "emit", interrupted_after)
    run = tdc(*DISABLE, "--yes", "-o", "json")
    assert run.code == 130
    assert "after revision 8 of emea was committed" in run.err


@pytest.mark.parametrize(
    ("slow", "said"),
    [("MakePlan", "Nothing was committed"), ("MakeCommit", "may or may not have been made")],
)
@pytest.mark.proves("B106")
def test_ctrl_c_says_whether_the_commit_may_have_been_made(
    manager: ScriptedManager, environment: dict[str, str], slow: str, said: str
) -> None:
    """130, and with the request id where it may have been."""
    entered, leave = threading.Event(), threading.Event()

    def hang(_: object) -> operators_pb2.CommitResponse:
        entered.set()
        leave.wait(2 * PATIENCE)
        return samples.committed()

    manager.answers.update(MakePlan=samples.disable_plan(), MakeCommit=samples.committed())
    manager.answers[slow] = hang
    with subprocess.Popen(
        [*TDC, *DISABLE, "--yes"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
    ) as process:
        try:
            assert entered.wait(PATIENCE)
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=PATIENCE)
        finally:
            leave.set()
    assert process.returncode == 130
    assert said in errors
    assert "Traceback" not in errors
    if slow == "MakeCommit":
        assert manager.asked("MakeCommit")[0].request_id in errors


def test_a_terminal_gets_colours_and_the_question(
    manager: ScriptedManager, environment: dict[str, str]
) -> None:
    """A real terminal: the plan in colours, then the question, then the commit."""
    manager.answers.update(MakePlan=samples.disable_plan(), MakeCommit=samples.committed())
    with on_terminal(DISABLE, environment) as terminal:
        before = terminal.read_until("[y/N]")
        terminal.type(b"y\n")
        after = terminal.read_until(None)
        assert terminal.exit_code() == 0
    assert "\x1b[" in before
    assert "would stop copying: mx1, mx2" in before
    assert "Committed revision 8" in after


@pytest.mark.parametrize(("key", "code"), [(b"\x03", 130), (b"\x04", 1)], ids=["^C", "^D"])
def test_ctrl_c_at_the_question_commits_nothing(
    manager: ScriptedManager, environment: dict[str, str], key: bytes, code: int
) -> None:
    """One is enough; so is the end of input. The answer to it begins a line of its own."""
    manager.answers.update(MakePlan=samples.disable_plan(), MakeCommit=samples.committed())
    with on_terminal(DISABLE, environment) as terminal:
        terminal.read_until("[y/N]")
        terminal.type(key)
        after = terminal.read_until(None)
        assert terminal.exit_code() == code
    assert "Nothing was committed" in after.splitlines()[-1]
    assert "[y/N]" not in after.splitlines()[-1]
    assert len(after.splitlines()) > 1
    assert not manager.asked("MakeCommit")


def test_no_color_means_no_colour(manager: ScriptedManager, environment: dict[str, str]) -> None:
    """NO_COLOR, whatever its value."""
    manager.answers["GetStatus"] = samples.status()
    with on_terminal(["status"], {**environment, "NO_COLOR": "1"}) as terminal:
        shown = terminal.read_until(None)
        assert terminal.exit_code() == 0
    assert "in sync" in shown
    assert "\x1b" not in shown


def test_a_long_wait_is_named_on_a_terminal_and_wiped(
    manager: ScriptedManager, environment: dict[str, str]
) -> None:
    """After a second; nothing of it is left when the answer is there."""
    leave = threading.Event()

    def slow(_: object) -> operators_pb2.StatusResponse:
        leave.wait(2 * PATIENCE)
        return samples.status()

    manager.answers["GetStatus"] = slow
    with on_terminal(["status"], environment) as terminal:
        waiting = terminal.read_until("waiting for the manager")
        leave.set()
        shown = terminal.read_until(None)
        assert terminal.exit_code() == 0
    assert "waiting for the manager" in waiting
    assert "\r" in shown
    assert "mx1" in shown


@pytest.mark.parametrize("locale", [{"LC_ALL": "C"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}])
@pytest.mark.proves("B106")
def test_a_locale_without_the_letters_still_gets_its_answer(
    manager: ScriptedManager, environment: dict[str, str], locale: dict[str, str]
) -> None:
    """The table shows what it can, and never a traceback."""
    history = samples.history()
    history.commits[0].comment = "Prüfung"
    manager.answers["ListCommits"] = history
    done = subprocess.run(
        [*TDC, "commit", "history"],
        env={**environment, **locale, "PYTHONCOERCECLOCALE": "0"},
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0
    assert done.stderr == b""
    assert b"Pr" in done.stdout
    assert b"fung" in done.stdout


@pytest.mark.parametrize("program", ["tdc", "tdc-manager", "tdc-agent"])
def test_ctrl_c_while_a_program_starts_is_said_and_is_130(
    tmp_path: Path, environment: dict[str, str], program: str
) -> None:
    """SIGINT waits until the libraries are loaded: half an import has no words for it."""
    words = {
        "tdc": ["status", "--config", str(tmp_path / "none.toml")],
        "tdc-manager": ["adopt", "--folder", str(tmp_path)],
        "tdc-agent": ["check", "--config", str(tmp_path / "none.toml")],
    }
    with subprocess.Popen(
        [Path(sys.executable).parent / program, *words[program]],
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stderr is not None
        give_up = time.monotonic() + 20
        while not _blocks_sigint(process.pid):
            assert time.monotonic() < give_up, "SIGINT never waited"
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
        assert process.wait(20) == 130, said
    assert "nterrupted" in said
    assert "Traceback" not in said


def _blocks_sigint(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    blocked = next(line for line in status.splitlines() if line.startswith("SigBlk:"))
    return bool(int(blocked.split()[1], 16) & 1 << (signal.SIGINT - 1))
