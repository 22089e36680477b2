"""The managers that an agent knows: of agent.toml, and those that a manager named."""

from __future__ import annotations

from pathlib import Path

import pytest
from tdc.node_agent.sync.choice import Choice
from tdc.node_agent.sync.managers import FILE, FORGOTTEN_AFTER, Managers
from tdc.shared.wire.addresses import MOST_MANAGERS, addresses_in, addresses_to_wire
from tdc.v1 import agents_pb2

OWN, ADDED, THIRD = "one.example:7443", "two.example:7443", "192.0.2.3:7443"


def managers(folder: Path, now: float = 1e9) -> Managers:
    return Managers((OWN,), folder=folder, clock=lambda: now)


async def test_what_a_manager_named_is_known_after_a_restart(tmp_path: Path) -> None:
    first = managers(tmp_path)
    await first.learn((OWN, ADDED))
    assert first.addresses == (OWN, ADDED)
    assert managers(tmp_path).addresses == (OWN, ADDED)


async def test_a_manager_that_is_away_is_not_forgotten_at_once(tmp_path: Path) -> None:
    """It is not named while it is away, and the others may be away when it is back."""
    first = managers(tmp_path)
    await first.learn((OWN, ADDED, THIRD))
    await first.learn((OWN, THIRD))
    assert set(first.addresses) == {OWN, ADDED, THIRD}
    late = managers(tmp_path, 1e9 + FORGOTTEN_AFTER)
    assert late.addresses == (OWN,), "nobody named the others for a month"


async def test_of_many_those_named_last_are_known(tmp_path: Path) -> None:
    known = managers(tmp_path)
    for number in range(3 * MOST_MANAGERS):
        await known.learn((f"m{number}.example:7443",))
    assert len(known.addresses) == 1 + MOST_MANAGERS
    assert known.addresses[0] == OWN
    assert f"m{3 * MOST_MANAGERS - 1}.example:7443" in known.addresses


@pytest.mark.parametrize("damage", [b"", b"no checksum", b"x" * 1_000_000])
async def test_a_damaged_memory_is_no_memory(tmp_path: Path, damage: bytes) -> None:
    await managers(tmp_path).learn((ADDED,))
    (tmp_path / FILE).write_bytes(damage)
    known = managers(tmp_path)
    assert known.addresses == (OWN,)
    await known.learn((ADDED,))
    assert managers(tmp_path).addresses == (OWN, ADDED)


async def test_a_memory_that_can_not_be_written_is_one_until_the_end(tmp_path: Path) -> None:
    known = managers(tmp_path / "a" / "file")
    (tmp_path / "a").write_text("in the way")
    await known.learn((ADDED,))
    assert known.addresses == (OWN, ADDED)


def test_what_is_not_an_address_is_left_out() -> None:
    named = [OWN, "x", "a b:1", "h:0", "h:70000", "[::1]:7443", "h:1\n", ""]
    welcome = agents_pb2.Welcome(managers=agents_pb2.ManagerAddresses(addresses=named))
    assert addresses_in(agents_pb2.ManagerMessage(welcome=welcome)) == (OWN, "[::1]:7443")
    many = [f"m{number}.example:7443" for number in range(99)]
    ping = agents_pb2.Ping(managers=agents_pb2.ManagerAddresses(addresses=many))
    assert addresses_in(agents_pb2.ManagerMessage(ping=ping)) == tuple(many[:MOST_MANAGERS])
    assert addresses_in(agents_pb2.ManagerMessage(ping=agents_pb2.Ping(number=1))) == ()
    assert len(addresses_to_wire(many).addresses) == MOST_MANAGERS


def test_the_choice_goes_on_among_others() -> None:
    """What is known of those that stay, stays."""
    choice = Choice(("a", "b")).refused("a", "a copy", 0.0, 0.0, left=True).failed("b")
    among = choice.among(("a", "c"))
    assert among.addresses == ("a", "c")
    assert set(among.avoided) == {"a"}
    assert among.tried == frozenset()
    assert among.next(1.0)[0] == "c"
    assert among.among(("a", "c")) is among
