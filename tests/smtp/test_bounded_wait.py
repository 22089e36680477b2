"""The wait that connections share: ended by the peer, or by its time."""

from __future__ import annotations

import asyncio

import pytest
from tdc.node_agent.smtp.bounded_wait import BoundedWait

from tests.surroundings import in_time


async def test_a_wait_that_the_peer_ends_does_not_expire() -> None:
    expired: list[bool] = []
    loop = asyncio.get_running_loop()
    wait = BoundedWait(loop, lambda: expired.append(True))
    loop.call_later(0.01, wait.end)
    await wait.wait(0.05)
    await asyncio.sleep(0.08)
    assert expired == []


async def test_a_later_deadline_moves_and_an_earlier_one_is_kept() -> None:
    """The timer of a short first wait does not end a longer second one before its time."""
    loop = asyncio.get_running_loop()
    ends: list[float] = []

    def expired() -> None:
        ends.append(loop.time())
        wait.end()

    wait = BoundedWait(loop, expired)
    loop.call_later(0.01, wait.end)
    await wait.wait(0.03)
    second, ends[:] = loop.time(), []  # where others take the processor, the first expires as well
    await wait.wait(0.1)
    (end,) = ends
    assert second + 0.09 < end
    assert in_time(end - second, 0.15)
    began = loop.time()
    await wait.wait(30, until=began + 0.02)
    assert in_time(loop.time() - began, 1)
    wait.cancel_timer()


async def test_a_short_wait_after_a_long_one_ends_at_its_own_time() -> None:
    loop = asyncio.get_running_loop()
    ends: list[float] = []

    def expired() -> None:
        ends.append(loop.time())
        wait.end()

    wait = BoundedWait(loop, expired)
    loop.call_later(0.01, wait.end)
    await wait.wait(5)
    began = loop.time()
    await wait.wait(0.05)
    assert ends == [pytest.approx(began + 0.05, abs=1)]
    wait.cancel_timer()


async def test_what_is_renewed_ends_at_its_last_moment_all_the_same() -> None:
    loop = asyncio.get_running_loop()

    def expired() -> None:
        wait.end()

    wait = BoundedWait(loop, expired)
    began = loop.time()
    for after in range(1, 50):
        loop.call_later(after / 20, wait.renew)
    await wait.wait(0.15, until=began + 0.6)
    assert loop.time() - began > 0.55
    assert in_time(loop.time() - began, 1.5)
    wait.cancel_timer()
