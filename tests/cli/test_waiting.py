"""`--wait`: what machines say of a commit, and how long `tdc` listens."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from tdc.manager.cli import waiting
from tdc.manager.cli.waiting import judged
from tdc.shared.wire import answers
from tdc.v1 import operators_pb2

from tests.cli import samples
from tests.cli.conftest import Tdc
from tests.cli.scripted import ScriptedManager

ENABLE = ("settings", "set", "machine", "mx1", "enabled=false", "--yes", "--wait")
SOME_TIME = Timestamp(seconds=1_800_000_000)


def _row(name: str, state: str, revision: int = 8, **more: Any) -> operators_pb2.MachineRowStatus:
    given = {"since": SOME_TIME, "cluster": "emea", **more}
    return operators_pb2.MachineRowStatus(name=name, state=state, wanted_revision=revision, **given)


def _judged(*rows: operators_pb2.MachineRowStatus) -> waiting.Said:
    return judged(["mx1", "mx2"], [answers.status(row) for row in rows], 8)


def test_only_machines_that_the_commit_changes_are_judged() -> None:
    said = _judged(_row("mx1", "in sync"), _row("mx3", "offline"), _row("mx4", "rejected"))
    assert (said.applied, said.all_of_them) == (1, True)


def test_a_view_from_before_the_commit_says_nothing() -> None:
    said = _judged(_row("mx1", "in sync", revision=7), _row("mx2", "rejected", revision=7))
    assert (said.applied, said.refused, len(said.silent)) == (0, (), 2)


def test_a_later_commit_counts_too() -> None:
    assert _judged(_row("mx1", "in sync", revision=9)).applied == 1


@pytest.mark.parametrize("state", ["offline", "stale", "out of sync"])
def test_who_says_nothing_is_waited_for(state: str) -> None:
    said = _judged(_row("mx1", state, reason="since noon"))
    assert said.silent == (f"mx1 has not applied it: {state}, since noon",)
    assert not said.all_of_them


def test_a_refusal_is_an_answer() -> None:
    said = _judged(_row("mx1", "rejected", reason="tls.pins has no pin"))
    assert said.refused == ("mx1 refuses it: tls.pins has no pin",)
    assert said.all_of_them


def test_a_machine_that_never_enrolled_is_not_waited_for() -> None:
    said = _judged(_row("mx1", "in sync"), _row("mx2", "offline", since=None))
    assert (said.applied, said.unenrolled, said.all_of_them) == (1, 1, True)


@pytest.fixture
def committing(manager: ScriptedManager, monkeypatch: pytest.MonkeyPatch) -> ScriptedManager:
    monkeypatch.setattr(waiting, "BETWEEN", 0.01)
    manager.answers.update(MakePlan=samples.disable_plan(), MakeCommit=samples.committed())
    return manager


def _status(*rows: operators_pb2.MachineRowStatus) -> operators_pb2.StatusResponse:
    return operators_pb2.StatusResponse(machines=rows)


def test_it_ends_once_all_have_applied(tdc: Tdc, committing: ScriptedManager) -> None:
    looks = iter(
        [
            _status(_row("mx1", "in sync", revision=7), _row("mx2", "in sync", revision=7)),
            _status(_row("mx1", "in sync"), _row("mx2", "out of sync")),
            _status(_row("mx1", "in sync"), _row("mx2", "in sync")),
        ]
    )
    committing.answers["GetStatus"] = lambda _: next(looks)
    run = tdc(*ENABLE)
    assert run.code == 0, run.err
    assert "Committed revision 8 of emea." in run.out
    assert "Applied on 2 machines." in run.err
    assert next(looks, None) is None


def test_who_refuses_is_named_at_once_and_the_code_is_4(
    tdc: Tdc, committing: ScriptedManager
) -> None:
    committing.answers["GetStatus"] = _status(
        _row("mx1", "in sync"), _row("mx2", "rejected", reason="no such pin")
    )
    run = tdc(*ENABLE)
    assert run.code == 4
    assert "mx2 refuses it: no such pin." in run.err
    assert "1 of 2 machines that it changes do not run it." in " ".join(run.err.split())
    assert len(committing.asked("GetStatus")) == 1


def test_it_ends_after_the_limit(tdc: Tdc, committing: ScriptedManager) -> None:
    committing.answers["GetStatus"] = _status(_row("mx1", "offline"), _row("mx2", "in sync"))
    run = tdc(*ENABLE, "--wait-limit", "1")
    assert run.code == 4
    assert "mx1 has not applied it: offline." in run.err
    assert "1 of 2 machines that it changes do not run it after 1 s." in " ".join(run.err.split())


def test_without_it_nothing_is_asked(tdc: Tdc, committing: ScriptedManager) -> None:
    assert tdc(*ENABLE[:-1]).code == 0
    assert not committing.asked("GetStatus")
