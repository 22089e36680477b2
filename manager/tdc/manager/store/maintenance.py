"""What keeps the store small: compaction, old history, used tokens; and how full it is.

One manager does it, the owner of this work (`ownership`), and what it writes fails once another is.
A round is claimed by a compare-and-set of one key that holds the time of the last, so that a new
owner does not begin again. A full store takes no claim, and grants no lease to own anything with;
but full is when this matters most. So while it is full, each manager that can't find an owner does
rounds: deleting and compacting still work, and two managers in the same round do no harm: each step
removes only what is due, and only as it was read.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from urllib.parse import unquote

from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.errors import EtcdError, EtcdRefused, Reason
from tdc.manager.etcd.values import Delete, KeyValue, Put, Unchanged
from tdc.manager.people.user import ABSOLUTE
from tdc.manager.store import snapshots
from tdc.manager.store.audit import AuditLog
from tdc.manager.store.audit_trim import trim_audit
from tdc.manager.store.encoding import Damaged, count_of, moment_of, pack, unpack
from tdc.manager.store.errors import LostRace
from tdc.manager.store.history import MAX_AGE
from tdc.manager.store.joins import read_token
from tdc.manager.store.keys import (
    API_TOKENS,
    COMMITS,
    JOIN_TOKENS,
    MAINTENANCE,
    REQUESTS,
    SESSIONS,
    parse_commit_key,
)
from tdc.manager.store.ownership import Ownership
from tdc.manager.store.seal import unpack_sealed
from tdc.shared.edge.clock import Clock, wall

log = logging.getLogger(__name__)

EVERY = 3_600.0
"""Seconds between two rounds; a round compacts to where the round before it found the store, so
that at least this much of etcd's own history stays."""
TOKENS_KEPT = 86_400.0
"""Seconds that a used or expired token is kept, so that its use is refused by that name."""
API_TOKENS_KEPT = 30 * 86_400.0
"""Seconds that an API token is kept after its end, so that it is listed as expired."""
NEARLY_FULL = 0.8
"""Share of the quota above which every look logs an error."""
_LOOK_EVERY = 60.0
_PAGE = 50  # entries read at a time, and deleted in one transaction; etcd takes 128 operations


@dataclass(frozen=True, slots=True)
class Usage:
    """How full the store is. `size` and `quota` are bytes; `quota` is None where not known."""

    size: int
    size_in_use: int
    quota: int | None
    alarms: tuple[str, ...]

    @property
    def nearly_full(self) -> bool:
        """Whether an operator must act before etcd accepts no more writes."""
        full = self.quota is not None and self.size_in_use > NEARLY_FULL * self.quota
        return full or "NOSPACE" in self.alarms


@dataclass(frozen=True, slots=True)
class Round:
    """What a round of maintenance did; None where the revision was not compacted."""

    compacted: int | None
    commits: int
    requests: int
    tokens: int


async def last_round(etcd: EtcdClient) -> float | None:
    """When the store was last maintained, Unix seconds; None if never. Raises an EtcdError."""
    at, _ = _last(await etcd.get(MAINTENANCE))
    return at if at > 0 else None


class Maintenance:
    """Maintains one store. `own_member`: the etcd is embedded, so it is ours alone."""

    def __init__(
        self,
        etcd: EtcdClient,
        audit: AuditLog | None = None,
        *,
        own_member: bool,
        clock: Clock = wall,
        ownership: Ownership | None = None,
    ) -> None:
        """`clock` gives Unix seconds. Without `ownership` every round that is due is ours."""
        self._etcd = etcd
        self._audit = audit or AuditLog(etcd)
        self._own_member = own_member
        self._clock = clock
        self._ownership = ownership
        self._fence: tuple[Unchanged, ...] = ()  # what each write of the present round compares
        self._unclaimed = float("-inf")  # when a round was done that a full store let nobody claim
        self._unseen_logged = False

    async def run(self) -> None:
        """Look for ever: do a round if it is due, repair the member if it is ours."""
        while True:
            for step in (partial(self.round_if_due, self._clock()), self.repair):
                try:
                    await step()
                except EtcdError as error:
                    log.warning("store maintenance is waiting for etcd: %s", error)
            await self._until_next_look()

    async def usage(self) -> Usage:
        """Return how full the store is; raises an EtcdError."""
        status = await self._etcd.status()
        return Usage(status.size, status.size_in_use, status.quota, status.alarms)

    async def round_if_due(self, now: float) -> Round | None:
        """Do a round if it is ours, and the last is EVERY seconds ago; None if it is not.

        A last round in the future (a clock was wrong) does not delay the next.
        """
        fence = self._ownership.fence if self._ownership is not None else None
        if fence is None and self._ownership is not None and not self._ownership.unowned:
            return None
        self._fence = (fence,) if fence is not None else ()
        read = await self._etcd.range(MAINTENANCE)
        item = next((each for each in read.items if each.key == MAINTENANCE), None)
        last_at, last_revision = _last(item)
        if 0 <= now - last_at < EVERY:
            return None
        claim = pack({"at": now, "revision": read.revision})
        expected = Unchanged(MAINTENANCE, item.mod_revision if item else 0)
        try:
            result = await self._etcd.txn([expected, *self._fence], [Put(MAINTENANCE, claim)])
        except EtcdRefused as error:
            if error.reason is not Reason.NO_SPACE:
                raise
            if 0 <= now - self._unclaimed < EVERY:
                return None
            self._unclaimed = now
        else:
            if not result.succeeded:
                return None  # another manager came first
        return await self._round(now, last_revision, read.revision)

    async def _until_next_look(self) -> None:
        """Wait; not longer than until the work falls to this manager."""
        if self._ownership is None:
            await asyncio.sleep(_LOOK_EVERY)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_EVERY):
                await self._ownership.gained()

    async def _round(self, now: float, last_revision: int, revision: int) -> Round:
        commits, requests = await self._trim_history(now)
        tokens = await self._trim(JOIN_TOKENS, partial(_token_over, now=now))
        tokens += await self._trim(SESSIONS, partial(_session_over, now=now))
        tokens += await self._trim(API_TOKENS, partial(_api_token_over, now=now))
        await self._trim_audit(now)
        # A revision beyond the store's is from before an older backup was restored.
        compacted = last_revision if 0 < last_revision < revision else None
        if compacted is not None and not await self._compacts(compacted):
            compacted = None
        return Round(compacted, commits, requests, tokens)

    async def _trim_audit(self, now: float) -> None:
        """Trim the log; what a full store can't take, or another writes first, is left for later.

        It needs room: what remains must say from where it goes on.
        """
        try:
            await trim_audit(self._etcd, self._audit, now, fence=self._fence)
        except EtcdRefused as error:
            if error.reason is not Reason.NO_SPACE:
                raise
        except LostRace:
            pass

    async def _compacts(self, revision: int) -> bool:
        """Compact; False, with a warning, where etcd does not let our user do that."""
        try:
            await self._etcd.compact(revision)
        except EtcdRefused as error:
            if error.reason is not Reason.PERMISSION:
                raise
            log.warning(
                "The etcd user may not compact. Ask the etcd administrator to set "
                "--auto-compaction-retention; without it the database grows until it is full."
            )
            return False
        return True

    async def repair(self) -> None:
        """Log an error when the store is nearly full; make space in an embedded member.

        Defragmenting stops a member for a moment, so an external etcd is left to its administrator.
        """
        try:
            usage = await self.usage()
        except EtcdRefused as error:
            if self._own_member or error.reason is not Reason.PERMISSION:
                raise
            if not self._unseen_logged:
                self._unseen_logged = True
                log.warning(
                    "The etcd user may not read how full etcd is (from 3.5.28 on only root may). "
                    "Ask the etcd administrator to monitor its size and quota."
                )
            return
        if usage.nearly_full:
            log.error(
                "the store is nearly full: %d bytes in use of a quota of %s; alarms: %s; compact "
                "and defragment etcd, or raise --quota-backend-bytes",
                usage.size_in_use,
                usage.quota,
                ", ".join(usage.alarms) or "none",
            )
        if not self._own_member:
            return
        wasteful = usage.quota is not None and usage.size > usage.quota / 2
        if "NOSPACE" in usage.alarms:
            await self._etcd.compact((await self._etcd.status()).revision, wait=True)
        if "NOSPACE" in usage.alarms or (wasteful and usage.size > 2 * usage.size_in_use):
            await self._etcd.defragment()
        if "NOSPACE" in usage.alarms:
            await self._etcd.disarm()

    # -- trimming --------------------------------------------------------------------------------

    async def _trim_history(self, now: float) -> tuple[int, int]:
        """Delete old records and request ids, but of each cluster never the newest record.

        Before replay would miss them, what they made is kept as a snapshot.

        Age counts from the newest record where that is older than this manager's clock: a clock
        that is far ahead must not make all of history old. Returns how many of each were deleted.
        """
        newest: dict[str, str] = {}
        for item in (await self._etcd.range(COMMITS, keys_only=True)).items:
            if parse_commit_key(item.key) is not None:
                newest[item.key.removeprefix(COMMITS).rpartition("/")[0]] = item.key
        commits = requests = 0
        for cluster, kept in newest.items():
            time = await self._time_of(kept)
            if time is None:
                continue
            revision = parse_commit_key(kept) or 0
            oldest = min(now, time) - snapshots.EVERY
            try:
                await snapshots.keep_if_due(
                    self._etcd, unquote(cluster), revision, oldest, self._fence
                )
            except EtcdRefused as error:
                if error.reason is not Reason.NO_SPACE:
                    raise
                continue  # without the snapshot, replay needs what would be trimmed
            old = partial(_older, before=min(now, time) - MAX_AGE, kept=kept)
            commits += await self._trim(f"{COMMITS}{cluster}/", old, oldest_first=True)
            requests += await self._trim(f"{REQUESTS}{cluster}/", old)
        return commits, requests

    async def _time_of(self, key: str) -> float | None:
        """A record's time (Unix seconds), None if it can't be read."""
        item = await self._etcd.get(key)
        try:
            return moment_of(unpack_sealed(key, item.value), "time") if item else None
        except Damaged:
            return None

    async def _trim(
        self, prefix: str, due: Callable[[KeyValue], bool], *, oldest_first: bool = False
    ) -> int:
        """Delete what is due, each only as it was read; returns how many were deleted.

        A page at a time: history may be larger than memory. With `oldest_first` the keys are in
        order of age, so that a page with nothing due is the last.
        """
        deleted = 0
        async with contextlib.aclosing(self._etcd.pages(prefix, limit=_PAGE)) as pages:
            async for page in pages:
                some = [item for item in page.items if due(item)]
                if some:
                    due_still = [Unchanged(item.key, item.mod_revision) for item in some]
                    result = await self._etcd.txn(
                        [*self._fence, *due_still], [Delete(item.key) for item in some]
                    )
                    deleted += len(some) if result.succeeded else 0
                elif oldest_first:
                    break
        return deleted


def _last(item: KeyValue | None) -> tuple[float, int]:
    """Return time and revision of the last round; a damaged record counts as none."""
    try:
        document = unpack(item.value) if item else {}
        return moment_of(document, "at"), count_of(document, "revision")
    except Damaged:
        return float("-inf"), 0


def _older(item: KeyValue, *, before: float, kept: str) -> bool:
    """Whether an entry is from before; what can't be read, or was edited, is kept."""
    try:
        time = moment_of(unpack_sealed(item.key, item.value), "time")
        return item.key != kept and time < before
    except Damaged:
        return False


def _session_over(item: KeyValue, *, now: float) -> bool:
    try:
        ends = moment_of(unpack_sealed(item.key, item.value), "born") + ABSOLUTE
    except Damaged:
        return False
    return ends + TOKENS_KEPT < now


def _api_token_over(item: KeyValue, *, now: float) -> bool:
    try:
        ends = moment_of(unpack_sealed(item.key, item.value), "ends")
    except Damaged:
        return False
    return ends + API_TOKENS_KEPT < now


def _token_over(item: KeyValue, *, now: float) -> bool:
    try:
        stored = read_token(item.key, item.value)
    except Damaged:
        return False
    ended = stored.token.expires if stored.used_at is None else stored.used_at
    return ended + TOKENS_KEPT < now
