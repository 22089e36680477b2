"""A manager, or what stands in front of it, that breaks every connection in an odd way."""

from __future__ import annotations

import asyncio
import itertools
import ssl
from pathlib import Path

import pytest

from tests.fakes.goes_away import ENHANCE_YOUR_CALM, GoesAway, Moment
from tests.stage.settings_stream import ManagerSide, agent, until

INTAKE = "journal@intake.example"


@pytest.fixture
def tls(manager: ManagerSide, tmp_path: Path) -> ssl.SSLContext:
    """What a server needs that agents take for a manager."""
    issued = manager.authority.issue_server()
    chain, key = tmp_path / "server.pem", tmp_path / "server.key"
    chain.write_bytes(issued.certificate_pem)
    key.write_bytes(issued.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    context.set_alpn_protocols(["h2"])
    return context


@pytest.mark.slow
@pytest.mark.proves("F55")
async def test_an_agent_that_is_sent_away_again_and_again_comes_less_often_and_at_odd_times(
    manager: ManagerSide, machine: Path, tls: ssl.SSLContext
) -> None:
    """GOAWAY for a stream that was just opened: we wait, and gRPC tries nothing by itself."""
    manager.view.commit(1, enabled=True, intake_address=INTAKE)
    async with agent(machine, manager.address):
        await until(lambda: manager.state() == "in sync")
    async with GoesAway(Moment.ONCE_IT_CALLS, error=ENHANCE_YOUR_CALM, tls=tls) as bad:
        async with agent(machine, bad.address, retry_maximum=0.8) as mx1:
            await asyncio.sleep(5)
            assert not mx1.stream.connected
            assert mx1.in_force.current().intake_address == INTAKE  # so mail and copies go on
        waits = [b - a for a, b in itertools.pairwise(bad.came)]
        assert len(waits) >= 3
        assert len(bad.came) < 5 / (0.8 / 4) * 2
        assert max(waits) - min(waits) > 0.05


@pytest.mark.proves("F55")
@pytest.mark.parametrize("when", list(Moment))
async def test_a_manager_that_sends_an_agent_away_sees_it_once_for_each_try(
    manager: ManagerSide, machine: Path, tls: ssl.SSLContext, when: Moment
) -> None:
    """No try lasts until the stream's deadline, and gRPC adds none: it would do so without end.

    Where the agent is sent away as it comes, its connection may be gone before there is a call on
    it; then gRPC connects once more.
    """
    tries = 0

    def chance() -> float:
        nonlocal tries
        tries += 1  # once at the start, and once for the wait after each try
        return 0.0

    async with (
        GoesAway(when, tls=tls) as bad,
        agent(machine, bad.address, retry_maximum=0.2, chance=chance),
    ):
        await until(lambda: tries > 12, timeout=14)
        assert len(bad.came) >= tries - 1
        assert when is Moment.AS_IT_COMES or len(bad.came) <= tries


@pytest.mark.proves("F55")
@pytest.mark.parametrize("when", list(Moment))
async def test_an_agent_that_one_manager_sends_away_goes_to_another(
    manager: ManagerSide, machine: Path, tls: ssl.SSLContext, when: Moment
) -> None:
    """Long before it would take the first one for silent."""
    manager.view.commit(1)
    async with (
        GoesAway(when, tls=tls) as bad,
        agent(machine, bad.address, manager.address, chance=lambda: 0.0),
    ):
        await until(lambda: manager.state() == "in sync", timeout=10)
        assert bad.came
