"""Follow a prefix: a range read, then a watch from there; whatever goes wrong, read again.

A watch is a hint, not a proof: a server, a proxy or a bug may end it cleanly, cancel it, let it
fall silent or lose an event, and the protocol gives no sign of it. So we trust a watch only as far
as a read can repair it:

- The read gives a revision, the watch starts at the next one. A revision is handed on when all of
  its events are there: a transaction arrives whole or not at all.
- Every end of the stream (clean, refused, compacted, failed, silent) leads to a new read, which the
  consumer gets as a Snapshot and compares with what it had. Only revisions that were read or
  handed on count as seen; what a message's header says does not.
- The keys are compared with etcd's every so often, and a difference that two comparisons in a row
  find is an event that never came. One comparison is not enough: on a busy store some event is
  always on its way.
- They are compared at once when etcd has denied another call: a watch goes on without a login that
  is still valid, while nothing else is possible any more.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field

from tdc.manager.etcd.backoff import Backoff
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.errors import EtcdError, EtcdUnavailable
from tdc.manager.etcd.values import KeyEvent, Read, WatchMessage
from tdc.shared.edge.clock import Clock, monotonic


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything under the prefix as of `revision`; the consumer compares with what it had.

    `why` says what made it necessary. `went_back` is True if the store is not a continuation of
    what was seen before: an older backup was restored, or it is another etcd.
    """

    revision: int
    values: Mapping[str, bytes]
    why: str
    went_back: bool = False


@dataclass(frozen=True, slots=True)
class NewValues:
    """What one etcd transaction changed under the prefix: key -> value, None for deleted."""

    revision: int
    values: Mapping[str, bytes | None]


@dataclass(frozen=True, slots=True)
class Away:
    """etcd can't be followed now, so what was handed on may be out of date; says why.

    Sent once when that begins; a Snapshot ends it.
    """

    reason: str


News = Snapshot | NewValues | Away

Differences = frozenset[tuple[str, int, int]]
"""Key, its last write as handed on, its last write in etcd; 0 for absent."""


@dataclass(frozen=True, slots=True)
class FollowOptions:
    """Seconds: `silence` until a quiet stream counts as dead; `compare_every` between two
    comparisons of all keys with etcd's; `pause` the longest wait before reconnecting.
    """

    silence: float = 6.0
    compare_every: float = 60.0
    pause: float = 3.0
    clock: Clock = monotonic


async def follow(
    etcd: EtcdClient, prefix: str, options: FollowOptions | None = None
) -> AsyncGenerator[News, None]:
    """Yield a Snapshot, then NewValues in the order of etcd's revisions, for ever.

    Never raises an EtcdError: trouble is an Away, and its end a Snapshot. Close it with
    ``contextlib.aclosing`` so that the stream ends when its consumer does.
    """
    options = options or FollowOptions()
    state = _Followed(prefix)
    backoff = Backoff(longest=options.pause)
    why, away = "start", False
    while True:
        began = options.clock()
        try:
            snapshot = state.snapshot(await etcd.range(prefix), why)
            away = False
            yield snapshot
            async with contextlib.aclosing(_watch(etcd, state, options)) as changes:
                async for change in changes:
                    yield change
            why = "periodic check found a change the watch missed"
            backoff.reset()
        except EtcdError as error:
            why = str(error)
            if not away:
                away = True
                yield Away(why)
            if options.clock() - began > 2 * options.silence:
                backoff.reset()
            await backoff.wait()


async def _watch(
    etcd: EtcdClient, state: _Followed, options: FollowOptions
) -> AsyncGenerator[NewValues, None]:
    """Yield changes until the comparison with etcd fails; raises an EtcdError on any other end."""
    compare_at = options.clock() + options.compare_every
    suspected: Differences = frozenset()
    denials = etcd.denials
    stream = etcd.watch(state.prefix, state.revision + 1, deadline=options.silence)
    async with contextlib.aclosing(stream) as messages:
        async for message in messages:
            for change in state.take(message):
                yield change
            if options.clock() >= compare_at or etcd.denials != denials:
                denials = etcd.denials
                differing = state.differences(await etcd.range(state.prefix, keys_only=True))
                if differing & suspected:
                    return
                # It may only be an event that is still on its way: look for the same one again,
                # once etcd has had the time to give a sign of life.
                suspected = differing
                soon = options.silence / 3
                compare_at = options.clock() + (soon if differing else options.compare_every)
    raise EtcdUnavailable("etcd ended the watch")


class WatchOutOfOrder(EtcdUnavailable):
    """The watch repeated a revision or went back, or another etcd answers: read again."""


@dataclass(slots=True)
class _Followed:
    """What has been handed on: the last whole revision, and each key's last write."""

    prefix: str
    revision: int = 0
    cluster_id: int = 0
    written: dict[str, int] = field(default_factory=dict)
    _partial: list[KeyEvent] = field(default_factory=list)

    def snapshot(self, read: Read, why: str) -> Snapshot:
        known = self.revision > 0
        went_back = known and (read.revision < self.revision or read.cluster_id != self.cluster_id)
        self.revision, self.cluster_id = read.revision, read.cluster_id
        self.written = {item.key: item.mod_revision for item in read.items}
        self._partial = []
        values = {item.key: item.value for item in read.items}
        return Snapshot(read.revision, values, why, went_back)

    def take(self, message: WatchMessage) -> list[NewValues]:
        """The whole revisions that `message` completes, in their order."""
        if message.cluster_id not in {0, self.cluster_id}:
            raise WatchOutOfOrder("a different etcd answers the watch than the read before it")
        events = [*self._partial, *message.events]
        if message.more:
            self._partial = events
            return []
        self._partial = []
        return [self._whole(revision, group) for revision, group in _by_revision(events)]

    def _whole(self, revision: int, events: list[KeyEvent]) -> NewValues:
        if revision <= self.revision:
            raise WatchOutOfOrder(
                f"the watch sent revision {revision} after {self.revision} had been read"
            )
        self.revision = revision
        for event in events:
            if event.value is None:
                self.written.pop(event.key, None)
            else:
                self.written[event.key] = event.mod_revision
        return NewValues(revision, {event.key: event.value for event in events})

    def differences(self, read: Read) -> Differences:
        """Return in which keys etcd differs from what was handed on; raises WatchOutOfOrder."""
        if read.cluster_id != self.cluster_id:
            raise WatchOutOfOrder("a different etcd answers the comparison than the read before it")
        stored = {item.key: item.mod_revision for item in read.items}
        return frozenset(
            (key, self.written.get(key, 0), stored.get(key, 0))
            for key in self.written.keys() | stored.keys()
            if self.written.get(key) != stored.get(key)
        )


def _by_revision(events: list[KeyEvent]) -> list[tuple[int, list[KeyEvent]]]:
    groups: list[tuple[int, list[KeyEvent]]] = []
    for event in events:
        if groups and groups[-1][0] == event.mod_revision:
            groups[-1][1].append(event)
        else:
            groups.append((event.mod_revision, [event]))
    return groups
