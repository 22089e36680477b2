"""`tdc machine suspend` and `resume`: who is chosen, what is asked and shown, exit codes."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta, timezone

import grpc
import pytest
from tdc.manager.cli.errors import WrongUsage
from tdc.manager.cli.suspensions import parse_lasting, parse_until
from tdc.v1 import agents_pb2, operators_pb2

from tests.cli import samples
from tests.cli.conftest import Tdc
from tests.cli.scripted import Refusal, ScriptedManager
from tests.cli.terminal import on_terminal

SUSPEND = ("machine", "suspend", "mx1", "--reason", "disk change")
PART = agents_pb2.SuspendedPart(by="ada", reason="disk change", since=samples.TIME)
AWAY = "it is offline, and does it once it connects"


def row(name: str = "mx1", *, changed: bool = True, waits: str = "") -> operators_pb2.SuspensionRow:
    suspension = agents_pb2.Suspension(number=7, delivery=PART)
    return operators_pb2.SuspensionRow(
        machine=name, changed=changed, suspension=suspension, waits=waits
    )


@pytest.fixture
def suspends(manager: ScriptedManager) -> ScriptedManager:
    answer = operators_pb2.SuspensionResponse(
        cluster="emea", machines=[row(), row("mx2", waits=AWAY)]
    )
    manager.answers.update(SuspendMachines=answer, ResumeMachines=answer)
    return manager


def test_it_is_looked_at_first_then_done_once(tdc: Tdc, suspends: ScriptedManager) -> None:
    run = tdc(*SUSPEND, "mx2", "--delivery", "--for", "2h", "--yes")
    assert run.code == 0
    looked, done = suspends.asked("SuspendMachines")
    assert (looked.check_only, looked.request_id) == (True, "")
    assert not done.check_only
    assert done.request_id
    assert list(done.machines) == ["mx1", "mx2"]
    assert (done.copying, done.delivery, done.lifetime) == (False, True, 7_200)
    assert done.reason == "disk change"
    assert f"mx2: not at once: {AWAY}" in run.out
    said = " ".join(run.out.split())
    assert "delivery is suspended by ada since 2026-11-23 09:15:02Z, with no end: disk" in said
    assert "Suspended delivery on 2 machines (mx1, mx2)." in run.out


def test_each_part_says_until_when(tdc: Tdc, suspends: ScriptedManager) -> None:
    """With no end it is not over when it is resumed: it has none. And which part has which."""
    shown = tdc(*SUSPEND, "mx2", "--dry-run").out
    assert "no end" in shown
    assert "resumed" not in shown
    assert "delivery is suspended by ada" in shown
    ending = agents_pb2.SuspendedPart(by="ada", reason="disk change", since=samples.TIME)
    ending.until.FromJsonString("2026-11-28T10:00:00Z")
    both = row()
    both.suspension.copying.CopyFrom(ending)
    suspends.answers["SuspendMachines"] = operators_pb2.SuspensionResponse(machines=[both])
    shown = " ".join(tdc(*SUSPEND, "--dry-run").out.split())
    assert "copying: 2026-11-28 10:00:00Z, delivery: no end" in shown
    assert "copying is suspended by ada since 2026-11-23 09:15:02Z, until" in shown
    assert "The table shows how it would be." in shown


def test_both_are_meant_unless_one_is_named(tdc: Tdc, suspends: ScriptedManager) -> None:
    tdc(*SUSPEND, "--yes")
    tdc("machine", "resume", "mx1", "--copying", "--yes")
    assert [(each.copying, each.delivery) for each in suspends.asked("SuspendMachines")] == [
        (True, True)
    ] * 2
    assert [(each.copying, each.delivery) for each in suspends.asked("ResumeMachines")] == [
        (True, False)
    ] * 2


@pytest.mark.parametrize("verb", ["suspend", "resume"])
def test_nothing_is_done_without_a_yes(tdc: Tdc, suspends: ScriptedManager, verb: str) -> None:
    words = SUSPEND if verb == "suspend" else ("machine", "resume", "mx1")
    for more in ((), ("--dry-run",), ("--dry-run", "--yes")):
        run = tdc(*words, *more)
        assert run.code == (0 if more else 1)
    asked = suspends.asked("SuspendMachines") + suspends.asked("ResumeMachines")
    assert [each.check_only for each in asked] == [True] * 3
    assert "Dry run: nothing was done." in run.out


@pytest.mark.parametrize(("typed", "code"), [(b"y\n", 0), (b"n\n", 1)])
def test_the_question_names_the_work_and_the_machines(
    suspends: ScriptedManager, typed: bytes, code: int
) -> None:
    environment = {**os.environ, "TDC_CONFIG": str(suspends.config)}
    with on_terminal([*SUSPEND, "--copying"], environment) as terminal:
        seen = terminal.read_until("[y/N]")
        terminal.type(typed)
        terminal.read_until(None)
        assert terminal.exit_code() == code
    assert "Suspend copying on 2 machines (mx1, mx2)? [y/N]" in seen
    assert len(suspends.asked("SuspendMachines")) == 2 - code


def test_machines_are_chosen_by_pattern_and_group_and_none_never_means_all(
    tdc: Tdc, suspends: ScriptedManager
) -> None:
    machines = [
        operators_pb2.MachineRow(name=name, group="edge", cluster="emea")
        for name in ("mx1", "mx2", "relay")
    ]
    suspends.answers["ListMachines"] = operators_pb2.ListMachinesResponse(machines=machines)
    base = ("machine", "suspend", "--reason", "x", "--yes")
    assert tdc(*base, "--group", "edge", "--match", "mx*").code == 0
    assert suspends.asked("ListMachines")[0].group == "edge"
    assert list(suspends.asked("SuspendMachines")[0].machines) == ["mx1", "mx2"]
    suspends.requests.clear()
    assert tdc(*base).code == 2
    assert tdc(*base, "mx1", "--match", "mx*").code == 2
    none = tdc(*base, "--match", "nothing*")
    assert none.code == 1
    assert "No machine matches" in none.err
    assert not suspends.asked("SuspendMachines")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("machine", "suspend", "mx1"), "--reason TEXT"),
        ((*SUSPEND, "--for", "1h", "--until", "18:00"), "not both"),
        ((*SUSPEND, "--for", "0s"), "too short"),
        ((*SUSPEND, "--for", "soon"), "--for"),
        ((*SUSPEND, "--until", "tomorrow"), "is not a time"),
        ((*SUSPEND, "--until", "2001-01-01T00:00Z"), "over already"),
    ],
)
def test_wrong_use_is_found_without_a_manager(
    tdc: Tdc, suspends: ScriptedManager, words: tuple[str, ...], said: str
) -> None:
    run = tdc(*words, "--yes")
    assert run.code == 2
    assert said in " ".join(run.err.split())
    assert not suspends.requests


def test_json_is_the_outcome(tdc: Tdc, suspends: ScriptedManager) -> None:
    found = tdc(*SUSPEND, "--yes", "-o", "json").json
    part = {
        "by": "ada",
        "reason": "disk change",
        "since": "2026-11-23T09:15:02.250Z",
        "until": None,
    }
    assert found["done"]
    assert found["machines"][1] == {
        "machine": "mx2",
        "changed": True,
        "copying": None,
        "delivery": part,
        "waits": AWAY,
    }
    assert not tdc(*SUSPEND, "--dry-run", "-o", "json").json["done"]


def test_where_there_is_nothing_to_do_nothing_is_asked(tdc: Tdc, manager: ScriptedManager) -> None:
    manager.answers["ResumeMachines"] = operators_pb2.SuspensionResponse(
        cluster="emea", machines=[row(changed=False)]
    )
    run = tdc("machine", "resume", "mx1")
    assert run.code == 0
    assert "There is nothing to do." in run.out


def test_an_answer_that_is_lost_says_where_to_look(tdc: Tdc, suspends: ScriptedManager) -> None:
    answer = suspends.answers["SuspendMachines"]

    def lost(request: operators_pb2.SuspendRequest) -> operators_pb2.SuspensionResponse:
        if request.check_only:
            assert isinstance(answer, operators_pb2.SuspensionResponse)
            return answer
        raise Refusal(grpc.StatusCode.UNAVAILABLE, "gone")

    suspends.answers["SuspendMachines"] = lost
    run = tdc(*SUSPEND, "--yes")
    assert run.code == 1
    assert "It may or may not have been done. `tdc status` says" in " ".join(run.err.split())
    ids = {each.request_id for each in suspends.asked("SuspendMachines") if not each.check_only}
    assert len(ids) == 1, "each try is the same request"


def test_status_shows_who_suspended_what(tdc: Tdc, manager: ScriptedManager) -> None:
    status = samples.status()
    text = "copying is suspended by ada since 2026-11-23 09:15:02Z, with no end: disk change"
    status.machines[0].suspension.copying.CopyFrom(PART)
    status.machines[0].warnings.append(text)
    manager.answers["GetStatus"] = status
    shown = tdc("status")
    assert " suspended " in next(line for line in shown.out.splitlines() if "mx1" in line)
    assert f"mx1: {text}" in " ".join(shown.out.split())
    document = tdc("status", "-o", "json").json[0]["suspension"]
    assert document["copying"]["by"] == "ada"
    assert document["delivery"] is None


def test_delivery_status_and_explain_show_it_too(tdc: Tdc, manager: ScriptedManager) -> None:
    delivery = samples.delivery()
    delivery.rows[0].suspended.CopyFrom(PART)
    delivery.rows[0].destination.host_status = "suspended"
    manager.answers["GetDelivery"] = delivery
    shown = " ".join(tdc("delivery", "status").out.split())
    assert "mx1: delivery is suspended by ada since 2026-11-23 09:15:02Z, with no end" in shown
    explained = samples.explained()
    explained.suspension.wanted_delivery.CopyFrom(PART)
    explained.suspension.pending = AWAY
    manager.answers["Explain"] = explained
    shown = " ".join(tdc("settings", "explain", "mx1").out.split())
    assert f"disk change; not in force: {AWAY}" in shown


def test_times_are_in_the_operator_s_zone_and_a_time_of_day_is_the_next_one() -> None:
    now = datetime(2026, 11, 28, 17, 0, tzinfo=timezone(timedelta(hours=1)))
    assert parse_until("18:00", now).astimezone(UTC) == datetime(2026, 11, 28, 17, 0, tzinfo=UTC)
    assert parse_until("16:59", now).day == 29
    assert parse_until("2026-11-29T08:00", now).utcoffset() == timedelta(hours=1)
    assert parse_until("2026-11-29T08:00Z", now).utcoffset() == timedelta(0)
    for text in ("25:00", "", "2026-13-01T00:00", "1h"):
        with pytest.raises(WrongUsage):
            parse_until(text, now)
    assert parse_lasting("1d") == 86_400
