"""The rows of `delivery status`: intakes of one domain share one, and it is consistent."""

from __future__ import annotations

import pytest
from tdc.node_agent.deliver.destination import DestinationState
from tdc.node_agent.deliver.effects import Hold
from tdc.node_agent.deliver.facts import destination_facts


def held() -> DestinationState:
    one = DestinationState("first@intake.example")
    one.hold = Hold("Intake Refused", "550 5.1.1 no such user", since=1.0, next_probe=2.0)
    return one


def up() -> DestinationState:
    one = DestinationState("second@intake.example")
    one.note_delivery("250 OK")
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
