"""Machines taken out for a while: copying, delivery or both suspended, and resumed.

In: which machines, which work, why and until when. Out: what is stored of each, and whether it will
be so there at once.
Promise: only machines that are named are reached, all of them or none; a request id does it once,
however often it is sent; who did it, when and why is stored with it and in the manager's log.

It is no commit: nothing of it is in a cluster's history, for a rollback must not suspend a machine
that works, nor begin delivery on one that somebody took out.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from tdc.manager.etcd.errors import EtcdAnswerLost
from tdc.manager.intent.actor import Actor
from tdc.manager.intent.asked_by import asked_by
from tdc.manager.intent.changes import CATCH_UP, REQUEST_ID_LIMIT, require_etcd
from tdc.manager.intent.errors import BadRequest
from tdc.manager.intent.permissions import operation
from tdc.manager.intent.within import within
from tdc.manager.levels.fleet import Cluster
from tdc.manager.levels.suspensions import SuspensionOrder, Suspensions, ordered
from tdc.manager.store.errors import RequestIdReused
from tdc.manager.store.suspensions import SuspensionStore
from tdc.manager.view.fleet import FleetView
from tdc.manager.view.presence import Presence
from tdc.shared.edge.clock import Clock, wall
from tdc.shared.settings.text import render_duration
from tdc.shared.sync.suspension import NOT_SUSPENDED, Suspended, Suspension, Work
from tdc.shared.sync.suspension_state import suspension_facts

log = logging.getLogger(__name__)

MOST_MACHINES = 10_000
REASON_LIMIT = 1_000
"""Most characters of a reason."""
LONGEST = 366 * 86_400
"""Seconds that a suspension with an end may last: a mistyped year is no plan."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for. `cluster` may be empty if the names are in one cluster only."""

    machines: tuple[str, ...]
    copying: bool
    delivery: bool
    cluster: str = ""
    request_id: str = ""
    check_only: bool = False

    @property
    def works(self) -> tuple[Work, ...]:
        """The parts of the work that are meant; raises BadRequest for none."""
        works: list[Work] = []
        if self.copying:
            works.append("copying")
        if self.delivery:
            works.append("delivery")
        if not works:
            raise BadRequest("the request names no work: copying, delivery, or both")
        return tuple(works)


@dataclass(frozen=True, slots=True)
class Row:
    """One machine once it is done; `waits` is why it does not do it at once, empty if it will."""

    machine: str
    changed: bool
    suspension: Suspension
    waits: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is stored of the machines that were named, by name."""

    cluster: str
    machines: tuple[Row, ...]


class SuspensionOperations:
    """Suspends and resumes. Reads the view, writes the store beside the clusters' settings."""

    def __init__(
        self, view: FleetView, presence: Presence, store: SuspensionStore, clock: Clock = wall
    ) -> None:
        self._view = view
        self._presence = presence
        self._store = store
        self._clock = clock

    @operation("suspensions.suspend")
    async def suspend(
        self, actor: Actor, asked: Asked, *, reason: str, lifetime: int, until: float | None
    ) -> Outcome:
        """Suspend work until `lifetime` seconds from now or `until` (Unix seconds), or for good.

        Raises UnknownName, AmbiguousName, BadRequest, RequestIdReused, LostRace, EtcdError.
        """
        now = self._clock()
        if not 0 < len(reason.strip()) <= REASON_LIMIT:
            raise BadRequest(
                f"a suspension needs a reason of 1 to {REASON_LIMIT} characters, for those who "
                "find the machine so"
            )
        part = Suspended(actor.name, reason.strip(), now, _end(lifetime, until, now))
        # What a request id stands for: not when, for it may be sent again later.
        stands_for = [reason, lifetime, until]
        return await self._do(actor, asked, part, now, stands_for)

    @operation("suspensions.resume")
    async def resume(self, actor: Actor, asked: Asked) -> Outcome:
        """End suspensions; raises UnknownName, AmbiguousName, BadRequest, LostRace, EtcdError."""
        return await self._do(actor, asked, None, self._clock(), [])

    async def _do(
        self,
        actor: Actor,
        asked: Asked,
        part: Suspended | None,
        now: float,
        stands_for: Sequence[object],
    ) -> Outcome:
        if not asked.check_only and not 0 < len(asked.request_id) <= REQUEST_ID_LIMIT:
            raise BadRequest(
                f"it needs a request id of 1 to {REQUEST_ID_LIMIT} characters, which keeps it from "
                f"being done twice if it is sent twice; this one has {len(asked.request_id)}"
            )
        cluster, names = self._machines(actor, asked)
        order = SuspensionOrder(names, asked.works, part, actor.name, now, asked.request_id)
        kind = "resume" if part is None else "suspend"
        fingerprint = _fingerprint([kind, *names, *asked.works, *stands_for])
        known = self._view.suspensions(cluster.name)
        await self._presence.ask_others()
        if asked.check_only:
            after, changed = ordered(known, order, cluster.machines, fingerprint)
            return self._outcome(cluster, names, after, changed, now)
        require_etcd(self._view)
        changed = frozenset[str]()

        def change(stored: Suspensions) -> Suspensions:
            nonlocal changed
            made = stored.requests.get(order.request_id)
            if made is not None and made != fingerprint:
                raise RequestIdReused(
                    "this request id has suspended or resumed something else; nothing was changed"
                )
            if made is not None:
                return stored
            after, changed = ordered(stored, order, cluster.machines, fingerprint)
            return after

        try:
            after = await self._store.change(
                cluster.name, known, change, asked_by(actor), asked.request_id
            )
        except EtcdAnswerLost as error:
            log.warning("%s: %s of machines in cluster %s", error, kind, cluster.name)
            raise
        if changed:
            log.info(
                "%s %ss %s on %s of cluster %s: %r",
                actor.name, kind, " and ".join(order.works), ", ".join(sorted(changed)),
                cluster.name, part.sentence if part is not None else "",
            )  # fmt: skip
        await self._view.has_suspensions(cluster.name, after.number, CATCH_UP)
        return self._outcome(cluster, names, after, changed, now)

    def _machines(self, actor: Actor, asked: Asked) -> tuple[Cluster, tuple[str, ...]]:
        """The machines and their cluster; raises UnknownName, AmbiguousName, BadRequest."""
        names = tuple(sorted(set(asked.machines)))
        if not names:
            raise BadRequest("name the machines; none never means all")
        if len(names) > MOST_MACHINES:
            raise BadRequest(f"at most {MOST_MACHINES} machines at a time, not {len(names)}")
        fleet = within(self._view, actor)
        found = {name: fleet.find_machine(name, asked.cluster)[0] for name in names}
        clusters = sorted({each.name for each in found.values()})
        if len(clusters) > 1:
            raise BadRequest(
                f"the machines are in clusters {', '.join(clusters)}; it is done in one cluster at "
                "a time: name the cluster"
            )
        return found[names[0]], names

    def _outcome(
        self,
        cluster: Cluster,
        names: Sequence[str],
        after: Suspensions,
        changed: frozenset[str],
        now: float,
    ) -> Outcome:
        rows = []
        for name in names:
            kept = after.of(cluster.machines[name])
            stored = kept.suspension if kept is not None else NOT_SUSPENDED
            facts = self._presence.facts(cluster.name, name)
            pending = suspension_facts(
                stored, facts.state, facts.status, facts.agent_version, now
            ).pending
            at_once = facts.state not in ("offline", "stale", "unknown") and (
                facts.status is None
                or (facts.status.suspension is not None and not facts.status.refuses_manager)
            )
            waits = "" if at_once else pending
            rows.append(Row(name, name in changed, stored.at(now), waits))
        return Outcome(cluster.name, tuple(rows))


def _end(lifetime: int, until: float | None, now: float) -> float | None:
    """When it ends, Unix seconds; raises BadRequest."""
    if lifetime and until is not None:
        raise BadRequest("give a time to last, or an end, not both")
    if lifetime < 0 or lifetime > LONGEST:
        raise BadRequest(
            f"a suspension with an end lasts 1s to {render_duration(LONGEST)}; without one it "
            "lasts until it is resumed"
        )
    if lifetime:
        return now + lifetime
    if until is None:
        return None
    if until <= now:
        raise BadRequest("its end is over already, by the manager's clock; nothing was changed")
    if until > now + LONGEST:
        raise BadRequest(
            f"its end is more than {render_duration(LONGEST)} away; without one it lasts until it "
            "is resumed"
        )
    return until


def _fingerprint(parts: Sequence[object]) -> str:
    text = json.dumps(parts, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
