"""Work on the queues of machines: dead copies listed and brought back, copies moved and dropped.

In: which machines and copies, and what is to be done. Out: what each machine answered, or why
nothing was done there.
Promise: what changes a queue is in the cluster's history, with its author and what was counted,
before any machine is told; a request id does its work once, however often it is sent; every wait on
a machine is bounded, and what is not known is said to be not known.

Machines are asked over their settings streams; an order for one that is connected to another
manager goes by that one. Nothing is kept for later: an order that comes true hours after it was
given is a surprise.
"""

from __future__ import annotations

import hashlib
import json
import logging
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tdc.manager.intent.actor import Actor
from tdc.manager.intent.changes import CATCH_UP, RACES, require_etcd, sign
from tdc.manager.intent.errors import BadRequest, UnreadableFleet
from tdc.manager.intent.permissions import operation
from tdc.manager.intent.queue_machines import MachineQueue, QueueMachines, QueueScope
from tdc.manager.intent.queue_names import NamesOnMachines, intake_named, with_intakes
from tdc.manager.intent.within import within
from tdc.manager.store.commit import CommitStore
from tdc.manager.store.errors import LostRace
from tdc.manager.store.history import History, MadeRequest
from tdc.manager.store.record import CommitRecord, Signature
from tdc.manager.view.fleet import FleetView
from tdc.manager.view.names import MachineKey
from tdc.shared.edge.clock import Clock, wall
from tdc.shared.sync.queue_work import (
    CountedCopies,
    DropCopies,
    ListDead,
    MoveCopies,
    OrderedWork,
    QueueAnswer,
    QueueChange,
    QueueOrder,
    Selection,
    Work,
    kind_of,
)
from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

log = logging.getLogger(__name__)

MOST_LISTED_IN_ALL = 5_000
"""Dead copies after which further machines only count theirs."""


@dataclass(frozen=True, slots=True)
class WorkOutcome:
    """What came of work. `revision` is that of its record, 0 without one; then nothing was done."""

    cluster: str
    revision: int
    machines: tuple[MachineQueue, ...]

    @property
    def committed(self) -> bool:
        """Whether work was recorded and ordered."""
        return self.revision > 0


class QueueOperations:
    """Work on queues. Reads the view, asks machines, writes the store."""

    def __init__(
        self,
        view: FleetView,
        machines: QueueMachines,
        names: NamesOnMachines,
        commits: CommitStore,
        history: History,
        clock: Clock = wall,
    ) -> None:
        self._view = view
        self._machines = machines
        self._names = names
        self._commits = commits
        self._history = history
        self._clock = clock

    @operation("queue.list_dead")
    async def list_dead(
        self, actor: Actor, scope: QueueScope, intake: str
    ) -> tuple[MachineQueue, ...]:
        """List dead copies, newest first; raises UnknownName, AmbiguousName, BadRequest."""
        listed = 0
        intake = intake_named(intake)

        def order() -> QueueOrder:
            work = ListDead(Selection(intake, dead=True))
            return _order(actor, work, count_only=listed >= MOST_LISTED_IN_ALL)

        def note(answer: QueueAnswer) -> None:
            nonlocal listed
            listed += len(answer.dead)

        return await self._machines.ask(self._machines.targets(actor, scope), order, note)

    @operation("queue.plan")
    async def plan(self, actor: Actor, scope: QueueScope, work: QueueChange | None) -> WorkOutcome:
        """Count what `do` would choose; raises UnknownName, AmbiguousName, BadRequest."""
        cluster, keys = self._one_cluster(actor, scope)
        work = _checked(work, keys)
        counted = await self._count(actor, keys, work)
        self._names.check(keys, work, counted)
        return WorkOutcome(cluster, 0, self._with_waits(work, counted))

    @operation("queue.do")
    async def do(
        self,
        actor: Actor,
        scope: QueueScope,
        work: QueueChange | None,
        *,
        comment: str,
        request_id: str,
    ) -> WorkOutcome:
        """Count again, record the work, order it; raises BadRequest, EtcdUnavailable, LostRace, …

        Only machines that are named and have such copies are ordered anything.
        """
        signature = sign(actor, comment, request_id)
        if not scope.machines:
            raise BadRequest("work is done on machines that are named, so that none is a surprise")
        require_etcd(self._view)
        cluster, keys = self._one_cluster(actor, scope)
        work = _checked(work, keys)
        stands_for = _fingerprint(work, keys)
        made = await self._history.find_request(cluster, request_id)
        if made is not None:
            return await self._again(actor, cluster, made, stands_for)
        counted = await self._count(actor, keys, work)
        ordered = OrderedWork(work, tuple(_counted(each) for each in counted if _has_work(each)))
        if not ordered.machines:
            return WorkOutcome(cluster, 0, counted)
        revision = await self._record(cluster, ordered, stands_for, signature)
        return await self._order(actor, cluster, revision, request_id, ordered, counted)

    # -- machines ------------------------------------------------------------------------------

    def _one_cluster(self, actor: Actor, scope: QueueScope) -> tuple[str, list[MachineKey]]:
        """The machines meant and the one cluster that they are in; raises BadRequest, …"""
        keys = self._machines.targets(actor, scope)
        clusters = {cluster for cluster, _ in keys}
        if len(clusters) > 1:
            raise BadRequest(
                f"the machines are in clusters {', '.join(sorted(clusters))}; work is ordered, and "
                "recorded, in one cluster at a time: name the cluster"
            )
        if clusters:
            return clusters.pop(), keys
        return within(self._view, actor).find_cluster(scope.cluster).name, keys

    async def _count(
        self, actor: Actor, keys: Sequence[MachineKey], work: QueueChange
    ) -> tuple[MachineQueue, ...]:
        return await self._machines.ask(keys, lambda: _order(actor, work, count_only=True))

    # -- work ----------------------------------------------------------------------------------

    async def _record(
        self, cluster: str, ordered: OrderedWork, fingerprint: str, signature: Signature
    ) -> int:
        """Write the work into the history; the revision of its record."""
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(LostRace),
            stop=stop_after_attempt(RACES),
            wait=wait_random_exponential(multiplier=0.02, max=0.5),
            reraise=True,
        ):
            with attempt:
                return await self._record_once(cluster, ordered, fingerprint, signature)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _record_once(
        self, cluster: str, ordered: OrderedWork, fingerprint: str, signature: Signature
    ) -> int:
        base = self._view.find_cluster(cluster)
        try:
            made = await self._commits.record_work(
                base, ordered, fingerprint, signature, self._clock()
            )
        except LostRace:
            await self._view.at_least(cluster, base.revision + 1, CATCH_UP)
            raise
        log.info(
            "%s ordered %s of %d copies on %d machines of cluster %s, revision %d: %r",
            signature.author, kind_of(ordered.work), ordered.copies, len(ordered.machines),
            cluster, made.revision, signature.comment,
        )  # fmt: skip
        return made.revision

    async def _again(
        self, actor: Actor, cluster: str, made: MadeRequest, fingerprint: str
    ) -> WorkOutcome:
        """Order again what this request id has ordered before: machines do it once."""
        revision = made.revision_of(fingerprint)
        record = await self._history.commit_record(cluster, revision)
        if not isinstance(record, CommitRecord) or record.work is None:
            raise UnreadableFleet(
                f"the record of revision {revision}, which this request id made, can't be read, so "
                "its work is not ordered again"
            )
        request_id = record.signature.request_id
        return await self._order(actor, cluster, revision, request_id, record.work, ())

    async def _order(
        self,
        actor: Actor,
        cluster: str,
        revision: int,
        request_id: str,
        ordered: OrderedWork,
        counted: Sequence[MachineQueue],
    ) -> WorkOutcome:
        """Tell the machines; those that were counted and have nothing to do keep their rows."""
        order = QueueOrder(request_id, actor.name, ordered.work)
        keys = [(cluster, each.machine) for each in ordered.machines]
        done = {each.machine: each for each in await self._machines.ask(keys, lambda: order)}
        rows = {each.machine: each for each in counted} | done
        told = self._with_waits(ordered.work, [rows[name] for name in sorted(rows)])
        return WorkOutcome(cluster, revision, told)

    def _with_waits(
        self, work: QueueChange, rows: Sequence[MachineQueue]
    ) -> tuple[MachineQueue, ...]:
        """The rows with what keeps copies that were to be sent from being sent."""
        if isinstance(work, DropCopies):
            return tuple(rows)
        return tuple(replace(row, waits=self._why_it_waits(row)) for row in rows)

    def _why_it_waits(self, row: MachineQueue) -> str:
        wanted = self._view.suspension(row.cluster, row.machine).at(self._clock())
        if row.problem or not row.copies or wanted.delivery is None:
            return ""
        return (
            f"delivery is suspended there by {wanted.delivery.by} ({wanted.delivery.reason}): "
            "nothing is tried before it is resumed"
        )


def _order(actor: Actor, work: Work, *, count_only: bool) -> QueueOrder:
    return QueueOrder(uuid.uuid4().hex, actor.name, work, count_only)


def _has_work(row: MachineQueue) -> bool:
    return not row.problem and row.copies > 0


def _counted(row: MachineQueue) -> CountedCopies:
    return CountedCopies(row.machine, row.copies, row.bytes)


def _checked(work: QueueChange | None, keys: Sequence[MachineKey]) -> QueueChange:
    """Return the work; raises BadRequest if there is none, or it contradicts itself."""
    if work is None:
        raise BadRequest("the request names no work that this manager knows: retry, move or drop")
    work = with_intakes(work)
    chosen = work.selection
    if not chosen.waiting and not chosen.dead:
        raise BadRequest("the request chooses no copies: waiting ones, dead ones, or both")
    if chosen.mids and len(keys) != 1:
        raise BadRequest("copies are numbered by each machine: name one machine with their numbers")
    if isinstance(work, MoveCopies) and not work.to_intake:
        raise BadRequest("a move needs the intake that copies go to")
    if isinstance(work, MoveCopies) and work.to_intake == chosen.intake:
        raise BadRequest(f"copies can't be moved from {chosen.intake} to itself")
    if isinstance(work, DropCopies) and not chosen.intake and not chosen.mids:
        raise BadRequest("a drop needs an intake or the numbers of copies; it never drops them all")
    return work


def _fingerprint(work: QueueChange, keys: Sequence[MachineKey]) -> str:
    """What a request id stands for: the work and the machines that were named for it."""
    chosen = work.selection
    to = work.to_intake if isinstance(work, MoveCopies) else ""
    parts: Mapping[str, object] = {
        "work": [kind_of(work), chosen.intake, to, chosen.waiting, chosen.dead],
        "mids": list(chosen.mids),
        "machines": [list(key) for key in keys],
    }
    return hashlib.sha256(json.dumps(parts, separators=(",", ":")).encode()).hexdigest()
