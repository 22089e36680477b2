"""Every change of settings and topology: read -> edit -> plan -> check the fingerprint -> commit.

In: edits as an operator asks for them. Out: plans, commits.
Promise: what is committed is what was planned: the outcome is planned again on the fleet as it is
now and must have the fingerprint that the operator saw; and a request id commits once, however
often it is sent.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from tdc.manager.intent.actor import Actor
from tdc.manager.intent.asked_by import asked_by
from tdc.manager.intent.errors import (
    BadRequest,
    EtcdAway,
    IntentError,
    InvalidPlan,
    StalePlan,
    UnreadableFleet,
)
from tdc.manager.intent.past import Past
from tdc.manager.intent.permissions import operation
from tdc.manager.intent.plan_faults import faults_of
from tdc.manager.intent.targets import (
    ChangeAsked,
    FromHistory,
    RestoreTo,
    RevertTo,
    clusters_named,
    deletes_cluster,
    renames_cluster,
    target_of,
    target_to_create,
)
from tdc.manager.intent.within import (
    require_cluster,
    require_edits,
    require_everywhere,
    require_plan,
    within,
)
from tdc.manager.levels.backlogs import backlogs_of
from tdc.manager.levels.changes import Edit, EditRefused
from tdc.manager.levels.fleet import Cluster
from tdc.manager.levels.impact import Problem
from tdc.manager.levels.ineffective import ineffective
from tdc.manager.levels.plan import Plan, make_plan
from tdc.manager.levels.revert import reverted
from tdc.manager.levels.undo import undone
from tdc.manager.levels.unheard import unheard_removal
from tdc.manager.levels.unsupported import unsupported
from tdc.manager.store.commit import CommitStore
from tdc.manager.store.errors import LostRace
from tdc.manager.store.history import History
from tdc.manager.store.record import CommitRecord, Signature
from tdc.manager.view.fleet import FleetView
from tdc.manager.view.names import AmbiguousName, UnknownName
from tdc.manager.view.presence import Presence
from tdc.shared.edge.clock import Clock, wall
from tdc.shared.settings.known import FIRST_KNOWN, KNOWN_HERE
from tdc.shared.sync.report import ReportedBacklog
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

RACES = 6
"""Attempts against commits of others that do not touch our plan's outcome."""

CATCH_UP = 3.0
"""Seconds to wait until the view shows a commit."""

_REFUSALS = (UnknownName, AmbiguousName, EditRefused, IntentError, LostRace)
"""What a request may meet that was made before, on the fleet that it left."""


@dataclass(frozen=True, slots=True)
class Made:
    """The outcome of a commit. `committed` is False if the edits changed nothing."""

    cluster: str
    revision: int
    committed: bool


class ChangeOperations:
    """Plans and commits. Reads the view, writes the store."""

    def __init__(
        self,
        view: FleetView,
        presence: Presence,
        commits: CommitStore,
        history: History,
        clock: Clock = wall,
    ) -> None:
        self._view = view
        self._presence = presence
        self._commits = commits
        self._history = history
        self._past = Past(view, history)
        self._clock = clock

    @operation("changes.plan")
    async def plan(self, actor: Actor, asked: ChangeAsked, *, to_create: bool = False) -> Plan:
        """Plan what a commit would do; raises UnknownName, AmbiguousName, EditRefused, …

        With `to_create` on a cluster that would be created first; raises ClusterExists.
        """
        if renames_cluster(asked):  # names of clusters are those of the whole installation
            require_everywhere(actor, "renaming a cluster")
        if to_create:
            require_everywhere(actor, "creating a cluster")
            cluster, edits = target_to_create(self._view, asked)
        else:
            named, edits = target_of(within(self._view, actor), asked)
            cluster = self._view.find_cluster(named.name)
            require_edits(actor, cluster.name, edits)
        plan = await self._plan_on(cluster, edits)
        require_plan(actor, plan)
        await self._presence.ask_others()

        def reported(machine: str) -> Sequence[ReportedBacklog]:
            status = self._presence.facts(cluster.name, machine).status
            return status.backlogs if status is not None else ()

        backlogs = backlogs_of(plan.before, plan.after, plan.machines, reported, plan.topology)
        suspended = self._view.suspended(cluster.name, self._clock())
        ahead = [
            Problem("", "", str(each)) for each in self._presence.ahead.in_cluster(cluster.name)
        ]
        late = unheard_removal(plan.topology, self._presence.unheard)
        told = ineffective(plan.machines, suspended, plan.topology)
        warnings = (*ahead, *late, *plan.warnings, *told)
        return replace(plan, backlogs=backlogs, warnings=warnings)

    @operation("changes.commit")
    async def commit(
        self, actor: Actor, asked: ChangeAsked, *, fingerprint: str, comment: str, request_id: str
    ) -> Made:
        """Commit what was planned; raises StalePlan, InvalidPlan, LostRace, EtcdUnavailable, …

        What deletes a cluster is for `delete_cluster`, what renames one for `rename_cluster`.
        """
        if deletes_cluster(asked):
            return await self.delete_cluster(
                actor, asked, fingerprint=fingerprint, comment=comment, request_id=request_id
            )
        if renames_cluster(asked):
            return await self.rename_cluster(
                actor, asked, fingerprint=fingerprint, comment=comment, request_id=request_id
            )
        return await self._commit_asked(actor, asked, fingerprint, comment, request_id)

    @operation("changes.delete_cluster")
    async def delete_cluster(
        self, actor: Actor, asked: ChangeAsked, *, fingerprint: str, comment: str, request_id: str
    ) -> Made:
        """Commit a plan that deletes a cluster; raises as `commit` does, and UnreadableFleet."""
        for name in clusters_named(asked):
            require_cluster(actor, name, "deleting a cluster")
            if self._view.is_unreadable(name):
                raise UnreadableFleet(
                    f"a stored value of cluster {name!r} can't be read, and may hold machines "
                    "(tdc: tdc status names it). Nothing was changed: repair it first "
                    "(`tdc-manager repair`)"
                )
        return await self._commit_asked(actor, asked, fingerprint, comment, request_id)

    @operation("changes.rename_cluster")
    async def rename_cluster(
        self, actor: Actor, asked: ChangeAsked, *, fingerprint: str, comment: str, request_id: str
    ) -> Made:
        """Commit a plan that renames a cluster; raises as `commit` does, and ClusterExists."""
        return await self._commit_asked(actor, asked, fingerprint, comment, request_id)

    async def _commit_asked(
        self, actor: Actor, asked: ChangeAsked, fingerprint: str, comment: str, request_id: str
    ) -> Made:
        signature = sign(actor, comment, request_id)
        if not fingerprint:
            raise BadRequest("a commit needs the fingerprint of its plan: make a plan first")
        require_etcd(self._view)
        try:
            return await self._commit(actor, asked, fingerprint, signature)
        except _REFUSALS:
            made = await self._made_before(actor, asked, fingerprint, request_id)
            if made is None:
                raise
            return made

    @operation("changes.create_cluster")
    async def create_cluster(
        self, actor: Actor, name: str, *, comment: str, request_id: str
    ) -> Made:
        """Create a cluster with its first group: its revision 1, or the next of one deleted.

        Raises ClusterExists, and FleetError for a name that is not valid.
        """
        signature = sign(actor, comment, request_id)
        cluster = self._view.new_cluster(name)
        require_etcd(self._view)
        committed = await self._commits.create_cluster(cluster, signature, self._clock())
        log.info("%s created cluster %s: %r", actor.name, name, comment)
        await self._view.at_least(name, committed.revision, CATCH_UP)
        return Made(name, committed.revision, committed=True)

    async def _commit(
        self, actor: Actor, asked: ChangeAsked, fingerprint: str, signature: Signature
    ) -> Made:
        cluster, edits = target_of(within(self._view, actor), asked)
        require_edits(actor, cluster.name, edits)
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
                return await self._commit_once(actor, cluster, edits, fingerprint, signature)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _made_before(
        self, actor: Actor, asked: ChangeAsked, fingerprint: str, request_id: str
    ) -> Made | None:
        """What this request made when it was sent before; None if it made nothing.

        Sent again, it does not fit the fleet that it left: the machine that it removed is unknown.
        """
        named = clusters_named(asked) or self._view.clusters
        for name in sorted({now for each in named for now in self._view.ever_called(each)}):
            if not actor.reach.touches(name):
                continue
            made = await self._history.find_request(name, request_id)
            if made is not None and made.fingerprint == fingerprint:
                return Made(name, made.revision, committed=True)
        return None

    async def _commit_once(
        self,
        actor: Actor,
        meant: Cluster,
        edits: Sequence[Edit | FromHistory],
        fingerprint: str,
        signature: Signature,
    ) -> Made:
        name = meant.name
        cluster = self._view.find_cluster(name)
        if cluster.home != meant.home:  # since the actor's reach was looked up
            raise UnknownName(
                f"cluster {name!r} was renamed meanwhile, and another one is called so. Nothing "
                "was changed: make a new plan"
            )
        plan = await self._plan_on(cluster, edits)
        require_plan(actor, plan)
        if plan.fingerprint != fingerprint:
            raise StalePlan(await self._what_changed(actor, plan))
        if plan.changes_nothing:
            return Made(name, plan.base_revision, committed=False)
        if plan.problems:
            raise InvalidPlan(faults_of(plan))
        try:
            committed = await self._commits.commit(plan, signature, self._clock())
        except LostRace:
            await self._view.at_least(name, plan.base_revision + 1, CATCH_UP)
            raise
        log.info(
            "%s committed revision %d of cluster %s: %r",
            signature.author, committed.revision, name, signature.comment,
        )  # fmt: skip
        await self._view.at_least(plan.after.name, committed.revision, CATCH_UP)
        return Made(plan.after.name, committed.revision, committed=True)

    async def _plan_on(self, cluster: Cluster, edits: Sequence[Edit | FromHistory]) -> Plan:
        plain = [each for asked in edits for each in await self._plain(cluster, asked)]
        plan = make_plan(cluster, plain)
        if plan.after.name != cluster.name:
            self._view.may_be_called(cluster, plan.after.name)
        if any(each.setting not in FIRST_KNOWN for each in plan.machines):
            await self._presence.ask_others()  # which of their agents know such a setting
        return self._judged(plan)

    def _judged(self, plan: Plan) -> Plan:
        """Add what agents that this manager knows could not act by."""
        if self._presence.all_know_all and KNOWN_HERE <= FIRST_KNOWN:
            return plan  # nearly always, and then it costs nothing
        knows = partial(self._presence.knows, plan.cluster_name)
        problems, warnings = unsupported(plan.machines, knows)
        return replace(
            plan,
            problems=(*plan.problems, *problems),
            warnings=(*plan.warnings, *warnings),
        )

    async def _plain(self, cluster: Cluster, edit: Edit | FromHistory) -> tuple[Edit, ...]:
        match edit:
            case RestoreTo(revision):
                return (
                    undone(cluster, revision, await self._past.changes_since(cluster, revision)),
                )
            case RevertTo(revision):
                record = await self._past.commit_to_undo(cluster, revision)
                since = await self._past.changes_since(cluster, revision, "undone alone")
                return reverted(cluster, revision, record.levels, record.topology, since)
            case _:
                return (edit,)

    async def _what_changed(self, actor: Actor, plan: Plan) -> str:
        """What to say of a plan that is out of date: by whom, to who may read the history."""
        newest = await self._history.commits(plan.cluster_name, limit=1)
        last = newest[0] if newest else None
        who = ""
        if isinstance(last, CommitRecord) and actor.reach.has_cluster(plan.cluster_name):
            who = f", by {last.signature.author} ({last.signature.comment or 'no comment'})"
        return (
            f"The plan is out of date: cluster {plan.cluster_name!r} is at revision "
            f"{plan.base_revision}{who}. Nothing was changed. Review a new plan."
        )


def require_etcd(view: FleetView) -> None:
    """Raise EtcdUnavailable while etcd is unreachable: nothing can be written then."""
    if view.etcd_away:
        raise EtcdAway(
            "etcd is unreachable, so nothing can be changed now; settings and status are shown as "
            f"last known. Try again when it is back (unreachable since {view.etcd_away})"
        )


def sign(actor: Actor, comment: str, request_id: str) -> Signature:
    """Sign a commit; raises BadRequest if the comment or the request id can't be stored."""
    if not 0 < len(request_id) <= REQUEST_ID_LIMIT:
        raise BadRequest(
            f"a commit needs a request id of 1 to {REQUEST_ID_LIMIT} characters, which keeps it "
            f"from being made twice if it is sent twice; this one has {len(request_id)}"
        )
    if len(comment) > COMMENT_LIMIT:
        raise BadRequest(f"the comment has {len(comment)} characters; the limit is {COMMENT_LIMIT}")
    return Signature(actor.name, comment, request_id, asked_by(actor))
