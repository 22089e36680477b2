"""`tdc delivery dead`, `retry`, `move`, `drop`: counts, the question, what is asked, exit codes."""

from __future__ import annotations

import os

import grpc
import pytest
from google.protobuf.message import Message

from tests.cli import samples
from tests.cli.conftest import Tdc
from tests.cli.scripted import Refusal, ScriptedManager
from tests.cli.terminal import on_terminal

AWAY = "offline: agent disconnected"
MOVE = ("delivery", "move", "--from", "typo@intake.example", "--to", "in@intake.example")
DROP = ("delivery", "drop", "--intake", "typo@intake.example")


def test_dead_copies_are_a_table_and_a_document(tdc: Tdc, manager: ScriptedManager) -> None:
    manager.answers["ListDead"] = samples.counted(samples.queue_row("mx1", 2, dead=2))
    shown = tdc("delivery", "dead")
    assert shown.code == 0
    assert all(len(line) <= 80 for line in shown.out.splitlines())
    assert shown.out.split()[:6] == ["MACHINE", "MID", "DEAD", "SINCE", "INTAKE", "MESSAGE-ID"]
    found = tdc("delivery", "dead", "--machine", "mx1", "--machine", "mx2", "-o", "json")
    assert found.json == [
        {
            "machine": "mx1",
            "cluster": "emea",
            "problem": "",
            "copies": 2,
            "bytes": 8_042,
            "dead": [
                {
                    "mid": mid,
                    "report_id": "ab" * 16,
                    "message_id": "<a1@example.com>",
                    "intake": "in@intake.example",
                    "sender": "ann@example.com",
                    "recipients": ["bob@example.org"],
                    "size": 4_021,
                    "taken_at": "2026-11-23T09:15:02.250Z",
                    "dead_at": "2026-11-23T09:15:02.250Z",
                    "attempts": 9,
                    "reason": "552 5.3.4 message too big",
                }
                for mid in (2, 1)
            ],
        }
    ]
    assert list(manager.asked("ListDead")[1].scope.machines) == ["mx1", "mx2"]


def test_a_list_that_lacks_something_says_so_and_exits_with_4(
    tdc: Tdc, manager: ScriptedManager
) -> None:
    rows = (samples.queue_row("mx1", 1_200, dead=2), samples.queue_row("mx2", problem=AWAY))
    manager.answers["ListDead"] = samples.counted(*rows)
    run = tdc("delivery", "dead")
    assert run.code == 4
    assert "mx1: the newest 2 of 1200 dead copies are shown" in run.out
    assert f"mx2: {AWAY}" in run.out
    assert "1 of 2 machines" in run.err


def test_without_any_machine_reached_it_is_a_failure(tdc: Tdc, manager: ScriptedManager) -> None:
    away = samples.counted(samples.queue_row("mx2", problem=AWAY))
    manager.answers.update(ListDead=away, CountCopies=away)
    assert tdc("delivery", "dead").code == 1
    run = tdc(*MOVE, "--yes")
    assert run.code == 1
    assert "No machine can do it; each says why above." in " ".join(run.err.split())
    assert "nothing to do" not in run.out
    assert not manager.asked("DoWork")


def test_work_is_counted_shown_and_ordered_from_the_machines_that_were_shown(
    tdc: Tdc, manager: ScriptedManager
) -> None:
    rows = (samples.queue_row("mx1", 12), samples.queue_row("mx2"), samples.queue_row("mx3", 3))
    manager.answers["CountCopies"] = samples.counted(*rows)
    manager.answers["DoWork"] = samples.worked(rows[0], rows[2])
    run = tdc(*MOVE, "--yes", "-m", "typo")
    assert run.code == 0
    assert run.out.split("\n")[1].split() == ["mx1", "12", "47.1", "KiB"]
    assert "Moved 15 copies on 2 machines; revision 9 of emea records it." in run.out
    (order,) = manager.asked("DoWork")
    assert (list(order.scope.machines), order.scope.cluster) == (["mx1", "mx3"], "emea")
    assert (order.move.to_intake, order.comment) == ("in@intake.example", "typo")
    chosen = order.move.selection
    assert (chosen.intake, chosen.waiting, chosen.dead) == ("typo@intake.example", True, True)
    assert order.request_id


def test_a_machine_left_out_makes_the_work_partial(tdc: Tdc, manager: ScriptedManager) -> None:
    manager.answers["CountCopies"] = samples.counted(
        samples.queue_row("mx1", 1), samples.queue_row("mx2", problem=AWAY)
    )
    manager.answers["DoWork"] = samples.worked(samples.queue_row("mx1", 1))
    run = tdc(*DROP, "--yes", "-o", "json")
    assert run.code == 4
    assert [(row["machine"], row["problem"]) for row in run.json["machines"]] == [
        ("mx1", ""),
        ("mx2", AWAY),
    ]
    assert (run.json["kind"], run.json["committed"], run.json["revision"]) == ("drop", True, 9)


def test_a_machine_that_falls_silent_is_named_at_the_end(
    tdc: Tdc, manager: ScriptedManager
) -> None:
    manager.answers["CountCopies"] = samples.counted(
        samples.queue_row("mx1", 1), samples.queue_row("mx2", 1)
    )
    silent = samples.queue_row("mx2", problem="it did not answer within 10 s")
    manager.answers["DoWork"] = samples.worked(samples.queue_row("mx1", 1), silent)
    run = tdc(*DROP, "--yes")
    assert run.code == 4
    assert "mx2: it did not answer within 10 s" in run.out
    assert "Dropped 1 copy on 1 machine" in run.out


@pytest.mark.parametrize("options", [["--dry-run"], []])
def test_nothing_is_done_in_a_dry_run_or_without_a_terminal(
    tdc: Tdc, manager: ScriptedManager, options: list[str]
) -> None:
    manager.answers["CountCopies"] = samples.counted(samples.queue_row("mx1", 12))
    run = tdc(*DROP, *options)
    assert run.code == (0 if options else 1)
    assert ("Dry run: nothing was done." in run.out) is bool(options)
    assert ("Not a terminal" in run.err) is not bool(options)
    assert not manager.asked("DoWork")


@pytest.mark.parametrize(("typed", "code"), [(b"n\n", 1), (b"y\n", 0)])
def test_the_question_names_the_copies_and_the_machines(
    manager: ScriptedManager, typed: bytes, code: int
) -> None:
    row = samples.queue_row("mx1", 12)
    manager.answers.update(CountCopies=samples.counted(row), DoWork=samples.worked(row))
    environment = {"PATH": os.environ["PATH"], "TDC_CONFIG": str(manager.config), "LANG": "C.UTF-8"}
    with on_terminal(list(DROP), environment) as terminal:
        seen = terminal.read_until("[y/N]")
        terminal.type(typed)
        terminal.read_until(None)
        assert terminal.exit_code() == code
    assert "Drop 12 copies for typo@intake.example on 1 machine? [y/N]" in seen
    assert len(manager.asked("DoWork")) == (code == 0)


def test_without_such_copies_there_is_nothing_to_do(tdc: Tdc, manager: ScriptedManager) -> None:
    manager.answers["CountCopies"] = samples.counted(samples.queue_row("mx1"))
    run = tdc(*DROP, "--yes")
    assert run.code == 0
    assert "There is nothing to do." in run.out


@pytest.mark.parametrize(
    ("words", "waiting", "dead"),
    [
        (("delivery", "retry"), False, True),
        (("delivery", "retry", "--which", "waiting"), True, False),
        (DROP, True, True),
        ((*DROP, "--which", "dead"), False, True),
    ],
)
def test_which_copies_are_meant(
    tdc: Tdc, manager: ScriptedManager, words: tuple[str, ...], waiting: bool, dead: bool
) -> None:
    """A retry is of dead copies unless it says more; what waits is tried anyway."""
    manager.answers["CountCopies"] = samples.counted()
    tdc(*words, "--dry-run")
    (asked,) = manager.asked("CountCopies")
    chosen = asked.retry.selection if words[1] == "retry" else asked.drop.selection
    assert (chosen.waiting, chosen.dead) == (waiting, dead)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("delivery", "drop"), "--intake ADDRESS, or --mid MID"),
        (("delivery", "retry", "--mid", "7"), "with one --machine"),
        (("delivery", "drop", "--mid", "7", "--machine", "a", "--machine", "b"), "one --machine"),
        (("delivery", "move", "--from", "a@b.example"), "--to"),
    ],
)
def test_what_could_mean_too_much_is_wrong_usage(
    tdc: Tdc, manager: ScriptedManager, words: tuple[str, ...], said: str
) -> None:
    run = tdc(*words)
    assert run.code == 2
    assert said in " ".join(run.err.split())
    assert not manager.requests


def test_an_order_whose_answer_is_lost_is_sent_again_under_its_id(
    tdc: Tdc, manager: ScriptedManager
) -> None:
    row = samples.queue_row("mx1", 12)

    def lost_once(_: object) -> Message:
        if len(manager.asked("DoWork")) == 1:
            raise Refusal(grpc.StatusCode.UNAVAILABLE, "connection lost")
        return samples.worked(row)

    manager.answers.update(CountCopies=samples.counted(row), DoWork=lost_once)
    assert tdc(*DROP, "--yes").code == 0
    first, again = manager.asked("DoWork")
    assert first.request_id == again.request_id


def test_the_history_says_in_words_what_was_ordered(tdc: Tdc, manager: ScriptedManager) -> None:
    commit = samples.moved_commit()
    listed = samples.history()
    listed.commits.insert(0, commit)
    manager.answers.update(ListCommits=listed, GetCommit=commit)
    words = "ordered: move 12 copies from typo@intake.example to in@intake.example"
    assert words in " ".join(tdc("commit", "show", "9").out.split())
    history = tdc("commit", "history", "-o", "json").json
    assert history[0]["work"]["copies"] == 12
    assert history[1]["work"] is None
    assert "ordered: move" in " ".join(tdc("commit", "history").out.split())


def test_a_plan_names_the_copies_that_wait(tdc: Tdc, manager: ScriptedManager) -> None:
    plan = samples.disable_plan()
    for machine in ("mx1", "mx2"):
        plan.backlogs.add(
            machine=machine, intake="typo@intake.example", copies=6, oldest=samples.TIME, goes=True
        )
    manager.answers["MakePlan"] = plan
    words = ("settings", "set", "group", "g1", "intake_address=in@intake.example", "--dry-run")
    shown = tdc(*words)
    assert all(len(line) <= 80 for line in shown.out.splitlines())
    folded = " ".join(shown.out.split())
    assert "Copies that wait for an intake which changes:" in folded
    assert "tdc delivery move --from" in folded
    assert tdc(*words, "-o", "json").json["backlogs"][0] == {
        "machine": "mx1",
        "intake": "typo@intake.example",
        "copies": 6,
        "oldest": "2026-11-23T09:15:02.250Z",
        "happens": "the intake goes; they keep its last address, route and TLS settings",
    }
    for each in plan.backlogs:
        each.goes = False
    assert "the intake stays" in " ".join(tdc(*words).out.split())
    assert "tdc delivery move" not in tdc(*words).out, "there is nothing to move them from"
