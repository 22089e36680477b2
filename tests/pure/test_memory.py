"""When the agent asks for its freed memory to be given back."""

from __future__ import annotations

from tdc.shared.edge.memory import AGAIN_AFTER, WORTH, Keeper

REST = 10 * WORTH


def test_it_asks_after_growth_and_again_only_after_a_while() -> None:
    keeper = Keeper(0.0)
    assert not keeper.due(REST, 0.0)
    assert not keeper.due(REST + WORTH - 1, 2.0)
    assert keeper.due(REST + WORTH, 4.0)
    keeper.asked(REST + WORTH, 4.0)  # it is in use
    assert not keeper.due(REST + WORTH, 6.0)
    assert keeper.due(REST + 2 * WORTH, 8.0)
    keeper.asked(REST + 2 * WORTH, 8.0)
    assert not keeper.due(REST + 2 * WORTH, 8.0 + AGAIN_AFTER - 1)
    assert keeper.due(REST + 2 * WORTH, 8.0 + AGAIN_AFTER)  # it may be free by now
    keeper.asked(REST, 8.0 + AGAIN_AFTER)
    assert not keeper.due(REST, 10 * AGAIN_AFTER)


def test_what_shrinks_and_grows_again_is_noticed() -> None:
    keeper = Keeper(0.0)
    assert not keeper.due(REST, 0.0)
    keeper.asked(REST + 4 * WORTH, 0.0)
    assert not keeper.due(REST, 1.0)
    assert keeper.due(REST + WORTH, 2.0)
