"""Whose connections end: those beyond an identity's share, oldest first, and those denied."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from tdc.manager.identity.rates import Endpoint
from tdc.manager.rpc.known import GRACE, MACHINE_SHARE, OPERATOR_SHARE, Known, share_of
from tdc.shared.sync.identity import MachinePeer, Operator, Peer

MX1 = MachinePeer("c1", "mx1", "enrolment-1")
AGAIN = MachinePeer("c1", "mx1", "enrolment-2")
MX2 = MachinePeer("c1", "mx2", "enrolment-3")
ANA = Operator("ana")


class Steady:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Steady:
    return Steady()


@pytest.fixture
def known(clock: Steady) -> Known:
    return Known(clock)


def at(port: int) -> Endpoint:
    return (ip_address("192.0.2.7"), port)


def come(known: Known, peer: Peer, *ports: int) -> None:
    for port in ports:
        known.identified(f"ipv4:192.0.2.7:{port}", peer)


@pytest.mark.proves("S15", "S22")
@pytest.mark.parametrize(
    ("peer", "share"), [(MX1, MACHINE_SHARE), (ANA, OPERATOR_SHARE)], ids=["machine", "operator"]
)
def test_of_an_identity_the_oldest_beyond_its_share_end(
    known: Known, peer: Peer, share: int
) -> None:
    ports = range(1, share + 4)
    come(known, MX2, 9_001)
    come(known, peer, *ports[:share])
    assert not known.is_due()
    come(known, peer, *ports[share:])
    come(known, peer, 1)  # a call on the oldest makes it no newer
    assert known.is_due()
    ending = known.ending({at(each) for each in (*ports, 9_001)})
    assert list(ending) == [at(1), at(2), at(3)]
    assert all(str(share) in why and str(peer) in why for why in ending.values())


def test_certificates_of_one_machine_share(known: Known) -> None:
    come(known, MX1, *range(1, MACHINE_SHARE + 1))
    come(known, AGAIN, 99)
    everybody = {at(each) for each in (*range(1, MACHINE_SHARE + 1), 99)}
    assert list(known.ending(everybody)) == [at(1)]


def test_connections_that_have_ended_do_not_count(known: Known) -> None:
    """Somebody who runs one command after the other must not lose the console beside them."""
    come(known, ANA, *range(1, 3 * OPERATOR_SHARE))
    assert known.ending({at(1), at(3 * OPERATOR_SHARE - 1)}) == {}
    known.forget(at(each) for each in range(2, 3 * OPERATOR_SHARE - 1))
    assert list(known) == [at(1), at(3 * OPERATOR_SHARE - 1)]
    assert not known.is_due()


@pytest.mark.proves("S15", "S22")
def test_a_denied_connection_is_forgotten_at_once_and_ends_soon(
    known: Known, clock: Steady
) -> None:
    come(known, MX1, 1, 2)
    known.denied("ipv4:192.0.2.7:1")
    known.denied("ipv4:192.0.2.7:3")  # nobody was let in there
    assert at(1) not in known
    assert at(2) in known
    assert not known.is_due(), "who is denied may read why"
    clock.now += GRACE / 2
    known.denied("ipv4:192.0.2.7:1")  # calls that go on are no delay
    clock.now += GRACE / 2
    assert known.is_due()
    assert known.ending({at(1), at(2), at(3)}).keys() == {at(1), at(3)}
    assert not known.is_due()


def test_whose_number_another_has_got_is_not_taken_for_him(known: Known, clock: Steady) -> None:
    come(known, MX1, 1, 2)
    known.deny([at(1)])
    come(known, MX2, 1, 2)
    clock.now += GRACE
    assert known.ending({at(1), at(2)}) == {}
    assert known.of(("c1", "mx1")) == []
    assert known.of(("c1", "mx2")) == [(at(1), MX2), (at(2), MX2)]


def test_a_unix_socket_is_not_counted(known: Known) -> None:
    known.identified("unix:/run/tdc.sock", ANA)
    known.denied("unix:/run/tdc.sock")
    assert len(known) == 0
    assert not known.is_due()


def test_an_operator_named_like_a_machine_has_a_share_of_his_own(known: Known) -> None:
    come(known, Operator("mx1"), *range(1, MACHINE_SHARE + 1))
    come(known, MX1, *range(11, MACHINE_SHARE + 11))
    assert not known.is_due()
    assert share_of("mx1") == OPERATOR_SHARE
