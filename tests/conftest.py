"""The order of the tests, and the event loop of each: the agent's rooms run on the agent's own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop

import tests.examples  # noqa: F401  # registers the profiles before a property is read
from tests import surroundings

surroundings.settle()

AGENT_ROOMS = {"deliver", "hostile", "ingest", "log", "smtp", "spool"}

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, LoopFactory]:
    """Return the one loop of the folder that a test is in."""
    if item.path.parent.name in AGENT_ROOMS:
        return {"uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.new_event_loop}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest first: one that began last would keep one worker busy, the other idle."""
    items.sort(key=lambda item: -len({"system", "crash"} & set(item.keywords)))
