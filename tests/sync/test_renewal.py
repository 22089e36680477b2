"""A renewal that failed: the warning goes when its cause is gone, not when the next try is due."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tdc.manager.identity.authority import Authority
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.sync import identity as identities
from tdc.node_agent.sync import renewal as renewals
from tdc.node_agent.sync.identity import IdentityUnusable
from tdc.node_agent.sync.managers import Managers
from tdc.node_agent.sync.renewal import Renewal
from tdc.shared.edge.clock import wall
from tdc.shared.edge.tasks import running
from tdc.shared.sync.identity import Trust

from tests.stage.settings_stream import ManagerSide, agent, until


@pytest.fixture(autouse=True)
def _long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next try would come in ten minutes; the looks in between come soon."""
    monkeypatch.setattr(renewals, "RETRY_FIRST", 600.0)
    monkeypatch.setattr(renewals, "LOOK_WHILE_DUE", 0.02)


@pytest.mark.parametrize("manager_is_back", [True, False])
async def test_a_new_enrolment_ends_the_warning_of_the_one_before(
    manager: ManagerSide, machine: Path, manager_is_back: bool
) -> None:
    folder = machine / "identity"
    manager.lifetime = 60
    manager.enrolled(folder, enrolment="e2")
    half_life = identities.load(folder).renew_at(1.0) - wall()
    manager.view.enrolments["c1", "mx1"] = "e3"
    renewal = Renewal(
        Managers((manager.address,)), folder, TdcLog(), clock=lambda: wall() + half_life + 1
    )
    async with running(renewal.run(), name="renewal"):
        await until(lambda: "enrolled again" in "".join(renewal.warnings()))
        manager.lifetime = 3_600
        if not manager_is_back:
            await manager.stop()
        manager.enrolled(folder, enrolment="e4")
        await until(lambda: renewal.warnings() == ())
        await asyncio.sleep(0.1)
        assert renewal.warnings() == ()
    if not manager_is_back:
        await manager.start()  # for the fixture to stop


async def test_a_manager_that_is_back_is_asked_at_once(manager: ManagerSide, machine: Path) -> None:
    folder = machine / "identity"
    manager.lifetime = 60
    manager.enrolled(folder)
    made = identities.load(folder)
    manager.view.commit(1)
    await manager.stop()
    async with agent(machine, manager.address) as mx1:
        renewal = Renewal(
            Managers((manager.address,)),
            folder,
            TdcLog(),
            clock=lambda: made.renew_at(1.0) + 1,
            connected=lambda: mx1.stream.connected,
        )
        async with running(renewal.run(), name="renewal"):
            await until(lambda: renewal.warnings() != ())
            await asyncio.sleep(0.1)
            assert "could not be renewed" in renewal.warnings()[0]
            manager.lifetime = 3_600  # so that what is renewed is not due itself
            await manager.start()
            await until(lambda: identities.load(folder) != made)
            await until(lambda: renewal.warnings() == ())


class _Renamed:
    """A manager that issues certificates with this name, whatever machine asks."""

    def __init__(self, manager: ManagerSide, name: str) -> None:
        self.name, self.asked, self._issue = name, 0, manager.authority.issue_machine
        manager.authority.issue_machine = self  # type: ignore[method-assign,assignment]

    def __call__(
        self, csr: str, cluster: str, machine: str, enrolment: str, **options: float
    ) -> bytes:
        self.asked += 1
        return self._issue(csr, cluster, self.name, enrolment, **options)


@pytest.mark.parametrize("known", ["mx1.new", "mx1"])
async def test_a_new_name_is_taken_at_once_and_asked_for_once(
    manager: ManagerSide, machine: Path, known: str
) -> None:
    """A manager that has not heard of it yet gives the old one: the next welcome asks again."""
    folder = machine / "identity"
    manager.enrolled(folder)
    held = identities.load(folder)
    issuing = _Renamed(manager, known)
    renewal = Renewal(Managers((manager.address,)), folder, TdcLog())
    async with running(renewal.run(), name="renewal"):
        await asyncio.sleep(0.1)
        assert identities.load(folder) == held
        renewal.called("c1", "mx1")
        renewal.called("c1", "mx1.new")
        await until(lambda: identities.load(folder) != held)
        await asyncio.sleep(1.0)
        made = identities.load(folder)
        assert (made.machine, made.enrolment, made.key_pem) == (known, "e1", held.key_pem)
        assert issuing.asked == 1
        assert renewal.warnings() == ()


async def test_a_machine_that_is_told_of_another_ca_trusts_it_after_a_renewal(
    manager: ManagerSide, machine: Path
) -> None:
    """Once: not again while it trusts what it is to trust, nor for a manager that lags behind."""
    folder = machine / "identity"
    held = identities.load(folder)
    old, new = manager.authority, Authority.new()
    log = TdcLog()
    renewal = Renewal(Managers((manager.address,)), folder, log, chance=lambda: 0.5)
    async with running(renewal.run(), name="renewal"):
        await until(lambda: renewal.held == held)
        renewal.told(Trust((old.fingerprint,)))
        await asyncio.sleep(0.2)
        assert identities.load(folder) == held  # as it is
        renewal.told(Trust((old.fingerprint, new.fingerprint), spread=1_000.0))
        await asyncio.sleep(0.2)
        assert identities.load(folder) == held  # its turn comes later
        both = (old.fingerprint, new.fingerprint)
        renewal.told(Trust(both))
        await until(lambda: identities.load(folder) != held)  # by a manager that has not followed
        lagging = identities.load(folder)
        assert lagging.trusted == (old.fingerprint,)
        await asyncio.sleep(0.3)
        assert identities.load(folder) == lagging  # not again and again
        manager.authority.ca_pem = old.ca_pem + new.ca_pem
        renewal.told(Trust(both))
        await until(lambda: identities.load(folder).trusted == both)
        assert renewal.trust == (old.fingerprint, *both)
        settled = identities.load(folder)
        await asyncio.sleep(0.3)
        assert identities.load(folder) == settled


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_an_identity_knows_by_which_of_two_cas_it_is(
    tmp_path: Path, order: tuple[int, int]
) -> None:
    pair = Authority.new(), Authority.new()
    bundle = b"".join(pair[each].ca_pem for each in order)
    key = identities.new_key()
    certificate = pair[0].issue_machine(identities.request_for(key), "c1", "mx1", "e1")
    made = identities.make_identity(key, certificate, bundle)
    identities.save(tmp_path, made)
    assert identities.load(tmp_path) == made
    assert made.issuer == pair[0].fingerprint
    assert made.trusted == tuple(pair[each].fingerprint for each in order)
    with pytest.raises(IdentityUnusable):
        identities.make_identity(key, certificate, pair[1].ca_pem)
