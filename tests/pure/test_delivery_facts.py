"""The rows of `delivery status`: intakes of one domain share one, and it is consistent."""

from __future__ import annotations

import pytest
from tdc.node_agent.deliver.destination import DestinationState
from tdc.node_agent.deliver.effects import Hold
from tdc.node_agent.deliver.facts import destination_facts
from tdc.node_agent.deliver.mx import Candidate


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
    [row] = destination_facts([up()], {}, lead=1_000.0)
    assert row.held_since is None


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
