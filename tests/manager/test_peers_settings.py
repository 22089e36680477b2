"""One manager asks another, over mTLS, what a machine runs that is connected there."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from tdc.manager.peers.peer import Peer
from tdc.manager.store.announced import Announced
from tdc.manager.view.seen import Moment
from tdc.shared.edge.clock import monotonic, wall
from tdc.shared.edge.grpc_tls import client_channel
from tdc.shared.settings.known import KNOWN_HERE
from tdc.shared.sync.queue_work import Unanswered
from tdc.shared.wire.running_settings import RunsThere

from tests.stage.managers import Several, holds, several


async def _in_sync(managers: Several) -> bool:
    return (await managers["one"].states()) == {"mx1": "in sync"}


async def test_a_manager_says_what_a_machine_runs_that_is_there(tmp_path: Path) -> None:
    async with several(tmp_path, "one") as managers:
        await managers.fleet("mx1")
        await managers.machine("mx1", "one")
        await holds(partial(_in_sync, managers))
        one = managers["one"]
        issued = one.authority.issue_manager("b" * 32)
        pem = (one.authority.ca_pem, issued.certificate_pem, issued.key_pem)
        async with client_channel(one.address, *pem) as channel:
            announced = Announced("one", "one", one.address, "1", "run", 0.0, 0.0)
            peer = Peer(announced, channel, lambda: Moment(monotonic(), wall()))
            found = await peer.ask_settings(("c1", "mx1"), KNOWN_HERE, 3.0)
            assert isinstance(found, RunsThere), found
            assert found.proven
            assert found.values["intake_address"] == "journal@intake.example"
            nobody = await peer.ask_settings(("c1", "mx2"), KNOWN_HERE, 3.0)
            assert nobody == Unanswered("it is not connected to this manager")
