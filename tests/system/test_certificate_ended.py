"""A machine's certificate has ended: its mail and copies go on, and a new token brings it back."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tdc.manager.identity.authority import Authority
from tdc.manager.identity.peer import identity_of
from tdc.node_agent.sync import identity as identities
from tdc.shared.sync.identity import MachinePeer

from tests.demo.messages import Message
from tests.demo.send import send_all
from tests.stage.fleet import Gateway, RunningFleet

pytestmark = pytest.mark.system

LIFETIME = 1.0


def _shorten(gateway: Gateway, ca: Path) -> None:
    """Give the machine a certificate of the same enrolment that ends in a moment."""
    folder = gateway.folder / "state/identity"
    peer = identity_of(identities.load(folder).certificate_pem)
    assert isinstance(peer, MachinePeer)
    authority, key = Authority.load(ca), identities.new_key()
    certificate = authority.issue_machine(
        identities.request_for(key), peer.cluster, peer.machine, peer.enrolment, lifetime=LIFETIME
    )
    identities.save(folder, identities.make_identity(key, certificate, authority.ca_pem))


async def _send(gateway: Gateway, count: int) -> None:
    content = b"Subject: x\r\n\r\nx\r\n"
    message = Message("x", "ann@partner.example", ("bob@corp.example",), content)
    await send_all("127.0.0.1", gateway.port, [message] * count)


@pytest.mark.proves("S6", "F54")
async def test_mail_and_copies_go_on_after_the_end_and_a_token_brings_it_back(
    copying: RunningFleet,
) -> None:
    gateway = await copying.add_gateway("mx1", group="Main_Group")
    await copying.in_sync()
    await gateway.agent.stop()
    _shorten(gateway, copying.folder / "manager/ca")
    await asyncio.sleep(LIFETIME)
    await gateway.agent.start()
    await _send(gateway, 10)
    await copying.intake.wait_for(10)
    assert gateway.next_hop is not None
    await gateway.next_hop.wait_for(10)
    row = (await copying.status())["mx1"]
    assert row["state"] == "offline"
    log = gateway.agent.log.read_text()
    assert "Mail flow continues with current settings" in log
    assert log.count("this machine's certificate expired") == 1
    token = await copying.json("machine", "token", "mx1", "--cluster", "demo")
    await copying.enrol(gateway.folder / "agent.toml", token["token"])
    await copying.in_sync(timeout=30)
    await _send(gateway, 1)
    await copying.intake.wait_for(11)
