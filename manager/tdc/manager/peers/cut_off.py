"""What a manager does while it is cut off from etcd: it says so, and sends its agents to others.

It serves on, but hears of no commit, and its announcement has ended. So it asks the others itself,
which tells those that were started meanwhile that it is there. Once it has surely been cut off, and
another one surely is not, its agents are sent away: they try the others first. One that comes back
could reach no other manager; it is served here for as long as it is not sent away again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from tdc.manager.peers.peers import Peers
from tdc.manager.store.announced import Announced
from tdc.manager.view.etcd_link import EtcdLink, others_are_better
from tdc.shared.edge.clock import Clock

log = logging.getLogger(__name__)

ASK_EVERY = 2.0
"""Seconds between two rounds of questions to the others."""


async def while_cut_off(
    own: Callable[[], Announced],
    link: Callable[[], EtcdLink],
    peers: Peers,
    send_away: Callable[[], int],
    steady: Clock,
) -> None:
    """Do so until cancelled. `own` is what this manager announces.

    `send_away` ends streams of agents and says how many.
    """
    while True:
        await asyncio.sleep(ASK_EVERY)
        if not link().problem:
            continue
        await peers.facts(asking=own())
        if others_are_better(link(), peers.links, steady()) and (sent := send_away()):
            log.warning(
                "%d agents were sent to other managers, which have etcd: %s",
                sent, link().words(steady()),
            )  # fmt: skip
