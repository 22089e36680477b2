"""All managers of a store, asked by one command: those too that are cut off from etcd.

In: etcd, and a certificate of a manager, made for the occasion by the CA in the folder. Out: how
far each has followed the rotation, by its own word.
Promise: one that is announced nowhere, but that another manager knows, is asked too. Not counted is
one that is not announced, never answered, and told no other a moment ago that it is there: it has
stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable

from tdc.manager.etcd.client import EtcdClient
from tdc.manager.identity.authorities import Authorities
from tdc.manager.peers.peer import Peer
from tdc.manager.peers.wire import Rotating
from tdc.manager.rotation.standing import ManagerStands
from tdc.manager.store.announced import Announced, read_announced
from tdc.manager.store.encoding import Damaged
from tdc.manager.store.keys import MANAGERS, parse_manager_key
from tdc.manager.view.seen import Moment
from tdc.shared.edge.clock import monotonic, wall
from tdc.shared.edge.grpc_tls import client_channel

ASKING = "tdc-manager ca"
"""By what id managers are asked."""


class Managers:
    """The managers, asked as often as one likes; see `asked_by`."""

    def __init__(self, etcd: EtcdClient, authorities: Authorities) -> None:
        self._etcd = etcd
        issued = authorities.signing.issue_manager(ASKING)
        self._own = (authorities.ca_pem, issued.certificate_pem, issued.key_pem)
        self._peers: dict[str, Peer] = {}
        self._there: set[str] = set()

    async def stand(self) -> tuple[ManagerStands, ...]:
        """Where each of them stands, by name; raises an EtcdError."""
        announced = {each.id for each in await self._announced()}
        there, answers, ask = set[str](), dict[str, Rotating | str](), set(self._peers)
        while ask:
            asked = list(ask)
            found = await asyncio.gather(*(self._peers[each].rotating() for each in asked))
            answers |= dict(zip(asked, found, strict=True))
            for answer in found:
                if isinstance(answer, Rotating):
                    there |= {each.id for each, surely in answer.others if surely}
                    self._know(each for each, _ in answer.others if each.id not in self._peers)
            ask = self._peers.keys() - answers.keys()
        self._there |= {key for key, each in answers.items() if isinstance(each, Rotating)}
        self._there |= there
        for key in self._peers.keys() - announced - self._there:
            await self._peers.pop(key).close()
        ranked = sorted(self._peers.values(), key=lambda each: (each.announced.name, each.words()))
        return tuple(_stands(each.announced, answers[each.announced.id]) for each in ranked)

    @property
    def peers(self) -> tuple[Peer, ...]:
        """Those that counted when they were asked last."""
        return tuple(self._peers.values())

    async def _announced(self) -> list[Announced]:
        found = list[Announced]()
        for item in (await self._etcd.range(MANAGERS)).items:
            manager = parse_manager_key(item.key)
            with contextlib.suppress(Damaged):
                if manager is not None:
                    found.append(read_announced(manager, item.value))
        self._know(found)
        return found

    def _know(self, managers: Iterable[Announced]) -> None:
        for each in managers:
            known = self._peers.get(each.id)
            if known is not None and known.announced.address == each.address:
                known.announced = each
                continue
            channel = client_channel(each.address, *self._own)
            self._peers[each.id] = Peer(each, channel, lambda: Moment(monotonic(), wall()))

    async def close(self) -> None:
        """Close the channels to all of them."""
        for each in self._peers.values():
            await each.close()


@contextlib.asynccontextmanager
async def asked_by(etcd: EtcdClient, authorities: Authorities) -> AsyncIterator[Managers]:
    """Have them at hand while the body runs, by a certificate of the CA that signs now."""
    managers = Managers(etcd, authorities)
    try:
        yield managers
    finally:
        await managers.close()


def _stands(announced: Announced, answer: Rotating | str) -> ManagerStands:
    if isinstance(answer, str):
        return ManagerStands(announced.name, announced.ca, silent=answer)
    return ManagerStands(announced.name, answer.step, late=answer.problem)
