"""Waits between attempts: growing, random from zero, bounded."""

from __future__ import annotations

import asyncio

import pytest
from tdc.manager.etcd.backoff import Backoff


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits that were asked for; none is waited."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return waits


async def test_waits_grow_to_the_longest_and_begin_again_after_a_reset(slept: list[float]) -> None:
    backoff = Backoff(longest=1.0, chance=lambda: 1.0)
    for _ in range(6):
        await backoff.wait()
    backoff.reset()
    await backoff.wait()
    assert slept == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 0.1]


async def test_a_wait_is_any_part_of_its_bound(slept: list[float]) -> None:
    """Many who lost the same etcd at once do not come back at once."""
    parts = iter([0.0, 0.5, 0.25])
    backoff = Backoff(longest=0.3, first=0.2, chance=lambda: next(parts))
    for _ in range(3):
        await backoff.wait()
    assert slept == [0.0, 0.15, 0.075]
