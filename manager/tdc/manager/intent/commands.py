"""Every change: read -> edit -> plan -> check the fingerprint -> commit.

In: what an operator asks for, decoded. Out: plans and commits.
Promise: what is committed is what was planned: the outcome is planned anew on the fleet as it is
now and must have the fingerprint that the operator saw; and a request id commits once, however
often it is sent.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from tdc.manager.etcd.errors import EtcdUnavailable
from tdc.manager.intent.errors import (
    BadRequest,
    InvalidPlan,
    StalePlan,
    UnknownRevision,
    UnreadableFleet,
)
from tdc.manager.intent.targets import Asked, RestoreTo, cluster_of
from tdc.manager.levels.changes import Edit, LevelChange, RestoreLevels
from tdc.manager.levels.fleet import Cluster, new_cluster
from tdc.manager.levels.plan import Plan, make_plan, undo_values
from tdc.manager.store.commit import CommitStore
from tdc.manager.store.documents import Unreadable
from tdc.manager.store.errors import LostRace
from tdc.manager.store.history import CommitRecord, History, Signature
from tdc.manager.view.fleet import FleetView
from tdc.shared.edge.clock import Clock, wall
from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

log = logging.getLogger(__name__)

COMMENT_LIMIT = 1_000
"""Most characters of a comment."""

REQUEST_ID_LIMIT = 100

FAULTS_NAMED = 8
MACHINES_NAMED = 10
"""Different faults of a refused commit, and machines with the same one, that its error names."""

RACES = 6
"""Attempts against commits of others that do not touch our plan's outcome."""

CATCH_UP = 3.0
"""Seconds to wait until the view shows a commit."""


@dataclass(frozen=True, slots=True)
class Made:
    """What came of a commit. `committed` is False if the edits changed nothing."""

    cluster: str
    revision: int
    committed: bool


class Commands:
    """What operators can change. Reads the view, writes the store."""

    def __init__(
        self, view: FleetView, commits: CommitStore, history: History, clock: Clock = wall
    ) -> None:
        self._view = view
        self._commits = commits
        self._history = history
        self._clock = clock

    async def plan(self, asked: Asked) -> Plan:
        """Return what a commit would do; raises UnknownName, AmbiguousName, EditRefused, …"""
        return await self._plan_on(cluster_of(self._view, asked), asked)

    async def commit(self, asked: Asked, fingerprint: str, signature: Signature) -> Made:
        """Commit what was planned; raises StalePlan, InvalidPlan, LostRace, EtcdUnavailable, …"""
        _check(signature)
        if not fingerprint:
            raise BadRequest("a commit carries the fingerprint of its plan: plan first")
        self._refuse_while_away()
        cluster = cluster_of(self._view, asked)
        made = await self._history.find_request(cluster.name, signature.request_id)
        if made is not None:
            return Made(cluster.name, made.revision_of(fingerprint), committed=True)
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(LostRace),
            stop=stop_after_attempt(RACES),
            wait=wait_random_exponential(multiplier=0.02, max=0.5),
            reraise=True,
        ):
            with attempt:
                return await self._commit_once(cluster.name, asked, fingerprint, signature)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def create_cluster(self, name: str, signature: Signature) -> Made:
        """Create a cluster with its first group, as its revision 1; raises ClusterExists."""
        _check(signature)
        cluster = new_cluster(name)
        self._refuse_while_away()
        committed = await self._commits.create_cluster(cluster, signature, self._clock())
        log.info("%s created cluster %s: %r", signature.author, name, signature.comment)
        await self._view.at_least(name, committed.revision, CATCH_UP)
        return Made(name, committed.revision, committed=True)

    async def _commit_once(
        self, name: str, asked: Asked, fingerprint: str, signature: Signature
    ) -> Made:
        plan = await self._plan_on(self._view.cluster(name), asked)
        if plan.fingerprint != fingerprint:
            raise StalePlan(await self._what_changed(plan))
        if plan.changes_nothing:
            return Made(name, plan.base_revision, committed=False)
        if plan.problems:
            raise InvalidPlan(_faults(plan))
        try:
            committed = await self._commits.commit(plan, signature, self._clock())
        except LostRace:
            await self._view.at_least(name, plan.base_revision + 1, CATCH_UP)
            raise
        log.info(
            "%s committed revision %d of cluster %s: %r",
            signature.author, committed.revision, name, signature.comment,
        )  # fmt: skip
        await self._view.at_least(name, committed.revision, CATCH_UP)
        return Made(name, committed.revision, committed=True)

    async def _plan_on(self, cluster: Cluster, asked: Asked) -> Plan:
        return make_plan(cluster, [await self._edit(cluster, each) for each in asked.edits])

    async def _edit(self, cluster: Cluster, edit: Edit | RestoreTo) -> Edit:
        if not isinstance(edit, RestoreTo):
            return edit
        since = await self._changes_since(cluster, edit.revision)
        return RestoreLevels(edit.revision, undo_values(cluster, since))

    async def _changes_since(
        self, cluster: Cluster, revision: int
    ) -> list[tuple[LevelChange, ...]]:
        """Return the level changes of all commits above `revision`, newest first."""
        if not 1 <= revision <= cluster.revision:
            raise UnknownRevision(
                f"cluster {cluster.name!r} has no revision {revision}: its revisions are 1 to "
                f"{cluster.revision}"
            )
        records = await self._history.records_between(cluster.name, revision, cluster.revision)
        damaged = [record for record in records if isinstance(record, Unreadable)]
        if damaged:
            raise UnreadableFleet(
                f"revision {revision} can't be restored: {damaged[0]}; nothing was changed"
            )
        if len(records) != cluster.revision - revision:
            raise UnknownRevision(
                f"history no longer has all commits since revision {revision} of cluster "
                f"{cluster.name!r}, so what it held is not known; nothing was changed"
            )
        return [record.levels for record in records if isinstance(record, CommitRecord)]

    def _refuse_while_away(self) -> None:
        if self._view.etcd_away:
            raise EtcdUnavailable(
                f"etcd is away, so nothing can be changed now; reads show what was last known. "
                f"Try again when it is back (away {self._view.etcd_away})"
            )

    async def _what_changed(self, plan: Plan) -> str:
        newest = await self._history.commits(plan.cluster_name, limit=1)
        last = newest[0] if newest else None
        told = (
            ""
            if last is None or isinstance(last, Unreadable)
            else f", by {last.signature.author} ({last.signature.comment or 'no comment'})"
        )
        return (
            "the outcome is no longer the one that was planned: "
            f"cluster {plan.cluster_name!r} is at "
            f"revision {plan.base_revision}{told}; nothing was changed; plan again and look at it"
        )


def _check(signature: Signature) -> None:
    """Raise BadRequest if the comment or the request id can't be stored."""
    length = len(signature.request_id)
    if not 0 < length <= REQUEST_ID_LIMIT:
        raise BadRequest(
            f"a commit needs a request id of 1 to {REQUEST_ID_LIMIT} characters, so that it "
            f"is made once even if it is sent twice; this one has {length}"
        )
    if len(signature.comment) > COMMENT_LIMIT:
        raise BadRequest(
            f"the comment has {len(signature.comment)} characters; at most {COMMENT_LIMIT} are kept"
        )


def _faults(plan: Plan) -> str:
    """Return the problems of a plan in a sentence that fits into a status (8 KiB of metadata).

    Machines with the same fault are named together; the plan itself lists each and all.
    """
    machines: dict[tuple[str, str], list[str]] = {}
    for problem in plan.problems:
        machines.setdefault((problem.setting, problem.reason), []).append(problem.machine)
    faults = [f"{setting}: {reason}{_on(names)}" for (setting, reason), names in machines.items()]
    shown = faults[:FAULTS_NAMED]
    if len(faults) > len(shown):
        shown.append(f"and {len(faults) - len(shown)} more; the plan lists all")
    return "the result would be invalid, so nothing was changed: " + "; ".join(shown)


def _on(names: list[str]) -> str:
    named = [name for name in names if name]
    if not named:
        return ""
    shown = ", ".join(named[:MACHINES_NAMED])
    more = len(named) - MACHINES_NAMED
    rest = f" and {more} more, which the plan lists" if more > 0 else ""
    return f" (machine{'s' if len(named) > 1 else ''} {shown}{rest})"
