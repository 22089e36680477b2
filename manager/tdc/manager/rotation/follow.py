"""Follow the CA: a step that was made at any manager counts at this one within a moment.

In: the store's value (`identity.ca_record`). Out: `Authorities`, changed and on disk. Promise: an
older state never replaces a later one; what this manager alone knows (a store that was set back, or
lost the value) is written back. A manager whose CAs were all replaced without it, as while it was
cut off from etcd, accepts no certificate of theirs from then on, and ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.errors import EtcdError, EtcdUnavailable
from tdc.manager.etcd.follow import Away, FollowOptions, follow
from tdc.manager.etcd.values import Put, Unchanged
from tdc.manager.identity.authorities import Authorities
from tdc.manager.identity.ca_folder import AuthorityUnusable
from tdc.manager.identity.ca_record import ForeignRecord, open_record, pack_record
from tdc.manager.identity.ca_state import CaState
from tdc.manager.store.encoding import Damaged
from tdc.manager.store.keys import AUTHORITY
from tdc.shared.edge import durable_file

log = logging.getLogger(__name__)

LOOK = 2.0
"""Seconds that a look may take which says whether a later step was made."""
_LOOK_AGAIN = 0.05

AGAIN = 5.0
"""Seconds until a state that could not be written to the folder is tried again."""


class Followed:
    """What the store says of the CAs, and this manager does with it; `run` until cancelled."""

    def __init__(
        self, etcd: EtcdClient, authorities: Authorities, options: FollowOptions | None = None
    ) -> None:
        self._etcd = etcd
        self._authorities = authorities
        self._options = options
        self._read = asyncio.Event()
        self._refused: ForeignRecord | None = None
        self.away = True
        """Whether etcd can't be followed now: then nobody is to be told what is trusted."""
        self.trouble = ""
        """Why this manager does not follow, in a sentence; empty while it does."""

    def problems(self) -> tuple[str, ...]:
        """What operators should know of it."""
        return (self.trouble,) if self.trouble else ()

    async def read(self, timeout: float) -> None:
        """Wait, at most `timeout` seconds, until the store was read once.

        Raises AuthorityUnusable where the CA was replaced without this manager.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._read.wait()
        if self._refused is not None:
            raise AuthorityUnusable(self.trouble)

    async def run(self) -> None:
        """Follow the store until cancelled.

        Raises AuthorityUnusable where the CAs were replaced without this manager, and that is
        proven: who only writes etcd ends no manager.
        """
        async with contextlib.aclosing(follow(self._etcd, AUTHORITY, self._options)) as all_news:
            async for news in all_news:
                self.away = isinstance(news, Away)
                if isinstance(news, Away):
                    continue
                await self._take(news.values.get(AUTHORITY))
                self._read.set()

    @property
    def step(self) -> int:
        """The number of the last step that was followed."""
        return self._authorities.state.number

    async def unsure(self) -> str:
        """Look in etcd; why it can't be said that no later step was made, empty if it can.

        A manager that is cut off does not know for some seconds that it is. What it signs and says
        of the CAs meanwhile would undo for a machine what the others did.
        """
        try:
            await self.fence()
        except EtcdError as error:
            return str(error)
        return ""

    async def fence(self) -> Unchanged:
        """Look in etcd; what has to be so there while no later step than this manager's is made.

        What is written under it is not written by who is let in by a CA that was dropped. Raises
        an EtcdError where that can't be said.
        """
        try:
            async with asyncio.timeout(LOOK):
                while not self._authorities.replaced:
                    item = await self._etcd.get(AUTHORITY)
                    if item is None or self._has_followed(item.value):
                        return Unchanged(AUTHORITY, item.mod_revision if item is not None else 0)
                    await asyncio.sleep(_LOOK_AGAIN)
        except TimeoutError:
            raise EtcdUnavailable(
                "etcd did not answer, or the last step of the CA's rotation was not followed, "
                f"within {LOOK:g} s; nothing was changed"
            ) from None
        raise EtcdUnavailable(self.trouble)

    def _has_followed(self, raw: bytes) -> bool:
        known = self._authorities.state
        try:
            return open_record(raw, known).number <= known.number
        except ForeignRecord as error:
            return not error.follows
        except Damaged:
            return True  # `_take` says so

    async def _take(self, raw: bytes | None) -> None:
        known = self._authorities.state
        try:
            said = None if raw is None else open_record(raw, known)
        except ForeignRecord as error:
            if error.number < known.number:  # a store of long before: its CAs are gone since
                await self._write_back()
                return
            self._refused = error
            if error.follows:
                self.trouble = _REPLACED.format(str(error)[:16])
                self._authorities.give_up()
                raise AuthorityUnusable(self.trouble) from None
            self._trouble(_OF_OTHERS.format(str(error)[:16]))
            return
        except Damaged as error:
            self._trouble(
                f"what the store says of the CA is not used: {error}. Somebody wrote it by hand: "
                "find out who can write to etcd"
            )
            said = None
        else:
            self.trouble = ""
        if said is not None and said.number > known.number:
            while not await self._adopted(said):  # noqa: ASYNC110  # a full disk, not an event
                await asyncio.sleep(AGAIN)
        elif known.number > (said.number if said is not None else 0):
            await self._write_back()

    async def _adopted(self, said: CaState) -> bool:
        try:
            await self._authorities.adopt(said)
        except (durable_file.NotWritten, AuthorityUnusable) as error:
            self._trouble(f"a step of the CA's rotation can't be followed: {error}")
            return False
        self.trouble = ""
        log.warning(
            "the CA's rotation: step %d, %s; %s signs, trusted: %s",
            said.number,
            said.phase,
            self._authorities.fingerprint[:16],
            ", ".join(each[:16] for each in self._authorities.trusted),
        )
        return True

    async def _write_back(self) -> None:
        """Give the store what it lost: it was set back, or is another one."""
        try:
            item = await self._etcd.get(AUTHORITY)
            there = Unchanged(AUTHORITY, item.mod_revision if item is not None else 0)
            value = pack_record(self._authorities.state)
            await self._etcd.txn([there], [Put(AUTHORITY, value)])
        except EtcdError as error:
            self._trouble(f"the store has an older state of the CA than this manager: {error}")
            return
        log.warning("the store had an older state of the CA; it has this manager's now")

    def _trouble(self, text: str) -> None:
        if text != self.trouble:
            log.error("%s", text)
        self.trouble = text


_OF_OTHERS = (
    "the store has the CA {}, which does not follow from any that this manager has: it is the "
    "store of another installation, or somebody wrote that by hand. Check etcd_endpoints, and find "
    "out who can write to etcd. What is wrong there goes by `etcdctl del /tdc/v1/authority`: a "
    "manager that has made a step of a rotation writes it again. If somebody made a new CA by "
    "hand, set this manager up again from a package of a manager that has it "
    "(`tdc-manager package`, then `tdc-manager init --join`)"
)
_REPLACED = (
    "the CA was replaced while this manager was away: the store's is {}, and this folder has only "
    "one of before. Make a package at a manager that runs (`tdc-manager package`) and set this one "
    "up again from it, in a new folder (`tdc-manager init --join`)"
)
