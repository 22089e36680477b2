"""A clock that is set, while the agent runs, across its restarts and those of the machine (F21)."""

from __future__ import annotations

from pathlib import Path

import pytest
from tdc.node_agent.spool.spool import Spool
from tdc.node_agent.spool.steady import LONGEST_STEP

from tests.spool.conftest import FakeClock
from tests.spool.test_spool import ENVELOPE, INTAKE, claim_all, put

HOUR, YEAR = 3_600.0, 365 * 86_400.0
JUMPS = [YEAR, -YEAR, HOUR, -HOUR]


@pytest.mark.proves("F21")
@pytest.mark.parametrize("jump", JUMPS)
async def test_a_jump_while_running_makes_nothing_older_due_or_late(
    folder: Path, clock: FakeClock, jump: float
) -> None:
    spool = await Spool.open(folder, clocks=clock.machine)
    put_off, waiting = [await put(spool, b"%d" % n) for n in range(2)]
    await claim_all(spool, clock)
    await spool.defer(put_off, next_at=spool.now() + 60, reason="later")
    spool.unclaim([waiting])
    held = await spool.hold(ENVELOPE, b"x", INTAKE, "1")
    clock.now += 10
    clock.wrong_by = jump

    assert [copy.mid for copy in await spool.claim(spool.now(), 9)] == [waiting]
    spool.release(held)
    (fresh,) = await spool.claim(spool.now(), 9)
    assert fresh.mid == held
    assert spool.now() - fresh.taken_at == 10
    assert spool.next_due(spool.now()) == spool.now() + 50
    clock.now += 50
    assert [copy.mid for copy in await spool.claim(spool.now(), 9)] == [put_off]
    await spool.close()


@pytest.mark.proves("F21")
@pytest.mark.parametrize("jump", JUMPS)
async def test_a_jump_across_a_restart_of_the_agent_is_not_seen(
    folder: Path, clock: FakeClock, jump: float
) -> None:
    spool = await Spool.open(folder, clocks=clock.machine)
    mid = await put(spool)
    await claim_all(spool, clock)
    await spool.defer(mid, next_at=spool.now() + 60, reason="later")
    await spool.close()
    clock.now += 30
    clock.wrong_by = jump
    spool = await Spool.open(folder, clocks=clock.machine)
    assert spool.next_due(spool.now()) == pytest.approx(spool.now() + 30)
    clock.now += 30
    (copy,) = await spool.claim(spool.now(), 9)
    assert spool.now() - copy.taken_at == pytest.approx(60)
    await spool.close()


@pytest.mark.proves("F21")
@pytest.mark.parametrize("jump", JUMPS)
async def test_a_jump_across_a_start_of_the_machine_is_a_bounded_step(
    folder: Path, clock: FakeClock, jump: float
) -> None:
    """As of a gateway with an empty battery, or of one whose clock was wrong before."""
    spool = await Spool.open(folder, clocks=clock.machine)
    await put(spool)
    await spool.close()
    clock.reboot(seconds=60)
    clock.wrong_by = jump
    spool = await Spool.open(folder, clocks=clock.machine)
    (copy,) = await spool.claim(spool.now(), 9)
    assert 0 <= spool.now() - copy.taken_at <= LONGEST_STEP
    await spool.close()


async def test_a_right_clock_counts_the_time_that_the_machine_was_off(
    folder: Path, clock: FakeClock
) -> None:
    spool = await Spool.open(folder, clocks=clock.machine)
    await put(spool)
    await spool.close()
    clock.reboot(seconds=600)
    spool = await Spool.open(folder, clocks=clock.machine)
    (copy,) = await spool.claim(spool.now(), 9)
    assert spool.now() - copy.taken_at == pytest.approx(600)
    await spool.close()


@pytest.mark.parametrize("jump", JUMPS)
async def test_people_see_times_by_the_wall_clock_of_today(
    folder: Path, clock: FakeClock, jump: float
) -> None:
    spool = await Spool.open(folder, clocks=clock.machine)
    dead, _ = await put(spool), await put(spool)
    clock.now += 100
    await spool.claim(spool.now(), 1)
    await spool.dead(dead, reason="refused")
    clock.now += 200
    clock.wrong_by = jump
    assert spool.facts().oldest == pytest.approx(clock.wall() - 300)
    assert spool.backlogs()[INTAKE].oldest == pytest.approx(clock.wall() - 300)
    assert spool.destinations()["intake.example"].oldest == pytest.approx(clock.wall() - 300)
    events = await spool.history(dead)
    assert [event.at for event in events] == pytest.approx([clock.wall() - 300, clock.wall() - 200])
    await spool.close()


async def test_the_date_of_a_report_is_that_of_the_take_whatever_comes(
    folder: Path, clock: FakeClock
) -> None:
    spool = await Spool.open(folder, clocks=clock.machine)
    clock.wrong_by = -HOUR
    mid, taken = await put(spool), clock.wall()
    (first,) = await spool.claim(spool.now(), 1)
    await spool.defer(mid, next_at=spool.now() + 1, reason="later")
    await spool.close()
    clock.reboot(seconds=5)
    clock.wrong_by = YEAR
    spool = await Spool.open(folder, clocks=clock.machine)
    (again,) = await spool.claim(spool.now() + HOUR, 1)
    assert (first.dated, again.dated) == (taken, taken)
    await spool.close()


async def test_a_killed_agent_goes_on_from_its_last_note(folder: Path, clock: FakeClock) -> None:
    """The note is of the start; the clock since boot covers the rest."""
    spool = await Spool.open(folder, clocks=clock.machine)
    mid = await put(spool)
    await spool.claim(spool.now(), 1)
    clock.now += 5 * HOUR
    await spool.defer(mid, next_at=spool.now() + 60, reason="later")
    other = folder.with_name("copied while it runs")
    other.mkdir()
    for path in folder.glob("spool.db*"):
        (other / path.name).write_bytes(path.read_bytes())
    clock.wrong_by = -YEAR
    after = await Spool.open(other, clocks=clock.machine)
    assert after.next_due(after.now()) == pytest.approx(after.now() + 60)
    await after.close()
    await spool.close()


async def test_a_wait_that_a_wrong_clock_made_endless_ends_at_the_next_start(
    folder: Path, clock: FakeClock
) -> None:
    """A copy of an earlier agent may be put off by years; `retry.maximum` is a day at most."""
    spool = await Spool.open(folder, clocks=clock.machine)
    mids = [await put(spool), await put(spool)]
    await claim_all(spool, clock)
    for mid, wait in zip(mids, (YEAR, 12 * HOUR), strict=True):
        await spool.defer(mid, next_at=spool.now() + wait, reason="later")
    await spool.close()
    spool = await Spool.open(folder, clocks=clock.machine)
    assert [copy.mid for copy in await spool.claim(spool.now(), 9)] == mids[:1]
    await spool.close()
