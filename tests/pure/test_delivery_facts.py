"""The rows of `delivery status`: intakes of one domain share one, and it is consistent."""

from __future__ import annotations

import pytest
from tdc.node_agent.deliver.destination import DestinationState
from tdc.node_agent.deliver.effects import Hold
from tdc.node_agent.deliver.facts import destination_facts, in_use
from tdc.node_agent.deliver.mx import Candidate
from tdc.node_agent.spool.values import Backlog, IntakeBacklog


def held() -> DestinationState:
    one = DestinationState("first@intake.example")
    one.hold = Hold("Intake Refused", "550 5.1.1 no such user", since=1.0, next_probe=2.0)
    return one


def up() -> DestinationState:
    one = DestinationState("second@intake.example")
    one.note_delivery(1, 1.0)
    return one


def untried() -> DestinationState:
    return DestinationState("third@intake.example")


@pytest.mark.parametrize("intakes", [[held(), up(), untried()], [untried(), up(), held()]])
def test_a_domain_is_down_while_one_of_its_intakes_is_on_hold(
    intakes: list[DestinationState],
) -> None:
    [row] = destination_facts(intakes, {})
    assert (row.host_status, row.held_reason) == ("down", "Intake Refused: 550 5.1.1 no such user")


@pytest.mark.parametrize("intakes", [[up(), untried()], [untried(), up()]])
def test_an_intake_without_a_delivery_does_not_hide_that_another_is_up(
    intakes: list[DestinationState],
) -> None:
    [row] = destination_facts(intakes, {})
    assert (row.host_status, row.held_reason, row.delivered) == ("up", "", 1)


def test_a_row_says_since_when_by_the_wall_clock_of_what_was_held_longest() -> None:
    later = DestinationState("other@intake.example")
    later.hold = Hold("Timeout", "no banner", since=5.0, next_probe=9.0)
    for intakes in ([held(), later], [later, held()]):
        [row] = destination_facts(intakes, {}, lead=1_000.0)
        assert (row.held_since, row.held_reason) == (
            1_001.0,
            "Intake Refused: 550 5.1.1 no such user",
        )
        assert row.next_probe == 1_002.0
    [row] = destination_facts([up()], {}, lead=1_000.0)
    assert (row.held_since, row.next_probe) == (None, None)


def test_a_probe_that_was_asked_for_keeps_what_was_planned() -> None:
    one = held()
    for now in (1.2, 1.4):  # asked for twice, before it is made
        one.start_over(now)
        assert one.hold is not None
        assert (one.hold.next_probe, one.hold.planned) == (now, 2.0)


def test_an_intake_that_refuses_several_reports_is_not_up() -> None:
    """With one of two backends full half of the reports pass."""
    one = up()
    for mid in (2, 3, 4):
        one.record.note_failure(mid, 2.0, died=False)
        one.note_delivery(mid + 10, 3.0)
    [row] = destination_facts([untried(), one, up()], {})
    assert row.host_status == "refusing"
    for mid in (2, 3, 4):
        one.note_delivery(mid, 4.0)
    [row] = destination_facts([one], {})
    assert row.host_status == "up"


def test_the_last_reply_is_the_latest_and_names_its_host() -> None:
    first, second = up(), untried()
    first.note_reply(Candidate("mx1.intake.example", "192.0.2.1", 25), "250 2.0.0 Taken", 5.0)
    second.note_reply(Candidate("mx2.intake.example", "192.0.2.2", 25), "450 later", 4.0)
    for both in ([first, second], [second, first]):
        [row] = destination_facts(both, {})
        assert row.last_reply == "mx1.intake.example:25: 250 2.0.0 Taken"


WAITS = {"first@intake.example": IntakeBacklog(waiting=1, dead=0, oldest=1.0)}
DEAD = {"first@intake.example": IntakeBacklog(waiting=0, dead=3, oldest=None)}


@pytest.mark.parametrize(
    ("in_force", "backlogs", "shown"),
    [
        (["first@intake.example"], {}, True),
        (["other@intake.example"], WAITS, True),
        (["other@intake.example"], {}, False),
        (["other@intake.example"], DEAD, False),
        ([], {}, False),
    ],
)
def test_a_hold_is_shown_while_the_intake_is_in_force_or_copies_wait_for_it(
    in_force: list[str], backlogs: dict[str, IntakeBacklog], shown: bool
) -> None:
    """After `delivery drop` and a new address nothing would ever try it, and so end the hold."""
    rows = destination_facts(in_use([held()], in_force, backlogs), {})
    assert [row.held_reason != "" for row in rows] == ([True] if shown else [])


def test_an_intake_of_before_does_not_put_the_domain_of_the_new_one_on_hold() -> None:
    used = in_use([held(), up()], ["second@intake.example"], {})
    [row] = destination_facts(used, {"intake.example": Backlog(0, None)})
    assert (row.host_status, row.held_reason) == ("up", "")


def test_an_intake_in_force_has_a_row_before_its_first_delivery() -> None:
    [row] = destination_facts([], {}, in_force=["intake.example"])
    assert (row.intake_domain, row.host_status) == ("intake.example", "unknown")
    [row] = destination_facts([up()], {}, in_force=["intake.example"])
    assert row.host_status == "up"


def test_a_domain_goes_once_nothing_waits_for_it() -> None:
    assert destination_facts([], {"intake.example": Backlog(0, None)}) == []
