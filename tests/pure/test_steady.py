"""The spool's own time: only time that really passed moves it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tdc.node_agent.spool.steady import (
    LONGEST_STEP,
    Anchor,
    Reading,
    as_wall,
    passed,
    resumed,
    steady_at,
)

YEAR = 365 * 86_400.0
seconds = st.floats(0, 10 * YEAR).map(lambda value: round(value, 3))
wrong = st.floats(-60 * YEAR, 60 * YEAR).map(lambda value: round(value, 3))


@dataclass(frozen=True)
class Step:
    """Time passes, the wall clock is set, and the agent, or the machine, starts again."""

    passes: float
    wrong_by: float
    reboots: bool


steps = st.lists(st.builds(Step, seconds, wrong, st.booleans()), max_size=8)


def story(moves: list[Step]) -> list[tuple[float, float, int]]:
    """The scale after each step beside the time that really passed, and reboots so far."""
    true, booted_at, boots = 1_800_000_000.0, 1_799_000_000.0, 0
    anchor = resumed(None, Reading("boot 0", true - booted_at, true))
    begin, told = anchor.steady, []
    for move in moves:
        true += move.passes
        if move.reboots:
            boots += 1
            booted_at = true - 5
        now = Reading(f"boot {boots}", true - booted_at, true + move.wrong_by)
        anchor = resumed(anchor, now)
        told.append((anchor.steady - begin, true - 1_800_000_000.0, boots))
    return told


@pytest.mark.proves("F21")
@given(steps)
def test_it_never_goes_back_and_each_reboot_moves_it_by_a_bounded_step(moves: list[Step]) -> None:
    before = 0.0
    for move, (steady, _, _) in zip(moves, story(moves), strict=True):
        if move.reboots:
            assert -1e-3 <= steady - before <= LONGEST_STEP + 1e-3
        else:
            assert steady - before == pytest.approx(move.passes, abs=1e-3)
        before = steady


@pytest.mark.proves("F21")
@given(steps)
def test_without_a_reboot_no_setting_of_the_clock_is_seen(moves: list[Step]) -> None:
    for steady, true, boots in story(moves):
        if not boots:
            assert steady == pytest.approx(true, abs=1e-2)


@given(seconds, seconds, st.sampled_from(["", "a"]))
def test_a_right_clock_counts_a_short_time_off_exactly(off: float, up: float, boot: str) -> None:
    before = Reading(boot, up + 1e7, 1.8e9)
    after = Reading("b", 5.0, 1.8e9 + off)
    assert passed(before, after) == pytest.approx(min(off, LONGEST_STEP), abs=1e-3)


def test_where_the_start_of_the_machine_has_no_name_the_wall_clock_decides() -> None:
    assert passed(Reading("", 500.0, 1_000.0), Reading("", 9_500.0, 1_060.0)) == 60.0


def test_a_machine_whose_clock_since_boot_went_back_was_restored_from_an_image() -> None:
    assert passed(Reading("a", 500.0, 1_000.0), Reading("a", 20.0, 1_060.0)) == 60.0
    assert passed(Reading("a", 500.0, 1_000.0), Reading("a", 20.0, 10.0)) == 0.0


@given(seconds, seconds, wrong)
def test_what_people_see_is_the_wall_clock_less_the_age(
    age: float, since: float, wrong_by: float
) -> None:
    anchor = Anchor(1.8e9, Reading("a", 100.0, 1.8e9))
    steady = steady_at(anchor, 100.0 + since)
    wall = 1.8e9 + since + wrong_by
    assert as_wall(steady - age, steady, wall) == pytest.approx(wall - age, abs=1e-2)


def test_a_clock_since_boot_says_nothing_across_a_start_of_the_machine() -> None:
    """Also where it has come further than it was: the machine was off for long before, not now."""
    before = Reading("one", 100.0, 1_000.0)
    assert passed(before, Reading("one", 150.0, 5_000.0)) == 50.0
    assert passed(before, Reading("two", 900.0, 1_010.0)) == 10.0
    assert passed(before, Reading("", 150.0, 1_010.0)) == 10.0
    assert passed(before, Reading("two", 5.0, 10.0)) == 0.0
    assert passed(before, Reading("two", 5.0, 1e9)) == LONGEST_STEP
