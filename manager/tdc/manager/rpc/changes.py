"""tdc.v1.Changes: plan, commit, history."""

from __future__ import annotations

from tdc.manager.intent.changes import ChangeOperations
from tdc.manager.intent.history import HistoryOperations
from tdc.manager.messages import edits, wire
from tdc.manager.rpc.entry import Context, actor_of
from tdc.manager.rpc.status_codes import fitting
from tdc.v1 import fleet_pb2, operators_pb2, operators_pb2_grpc


class ChangesService(operators_pb2_grpc.ChangesServicer):
    """The service; what it raises becomes a status in `guard`."""

    def __init__(self, changes: ChangeOperations, history: HistoryOperations) -> None:
        self._changes = changes
        self._history = history

    async def MakePlan(  # noqa: N802
        self, request: operators_pb2.PlanRequest, context: Context
    ) -> fleet_pb2.Plan:
        """Plan what a commit of these edits would do; raises AnswerTooLarge."""
        asked = edits.change_asked(request.cluster, request.edits)
        made = await self._changes.plan(actor_of(context), asked, to_create=request.new_cluster)
        plan = wire.plan_to_wire(made)
        plan.author = actor_of(context).name
        # A limit of this transport, not of plans: the plan exists, one gRPC message can't hold it.
        return fitting(
            plan,
            "the plan",
            f"it names {len(plan.machines)} changes on machines, with the values before and after. "
            "Nothing was changed. Change one group at a time",
        )

    async def MakeCommit(  # noqa: N802
        self, request: operators_pb2.CommitRequest, context: Context
    ) -> operators_pb2.CommitResponse:
        """Commit what was planned."""
        made = await self._changes.commit(
            actor_of(context),
            edits.change_asked(request.cluster, request.edits),
            fingerprint=request.fingerprint,
            comment=request.comment,
            request_id=request.request_id,
        )
        return wire.made_to_wire(made)

    async def ListCommits(  # noqa: N802
        self, request: operators_pb2.ListCommitsRequest, context: Context
    ) -> operators_pb2.ListCommitsResponse:
        """List history, newest first."""
        rows = await self._history.list_commits(
            actor_of(context), request.cluster, limit=request.limit, before=request.before
        )
        return operators_pb2.ListCommitsResponse(
            commits=[wire.commit_to_wire(row, whole=False) for row in rows]
        )

    async def GetCommit(  # noqa: N802
        self, request: operators_pb2.GetCommitRequest, context: Context
    ) -> fleet_pb2.Commit:
        """Read one commit, whole."""
        row = await self._history.read_commit(actor_of(context), request.cluster, request.revision)
        return wire.commit_to_wire(row, whole=True)

    async def GetCluster(  # noqa: N802
        self, request: operators_pb2.GetClusterRequest, context: Context
    ) -> fleet_pb2.ClusterSnapshot:
        """Read a cluster whole; raises AnswerTooLarge."""
        found = await self._history.read_cluster(
            actor_of(context), request.cluster, request.revision
        )
        snapshot = wire.cluster_to_wire(found)
        return fitting(snapshot, f"cluster {found.name!r}", "read its levels one by one")

    async def GetDifference(  # noqa: N802
        self, request: operators_pb2.GetDifferenceRequest, context: Context
    ) -> fleet_pb2.Difference:
        """Compare two revisions of a cluster; raises AnswerTooLarge."""
        found = await self._history.read_difference(
            actor_of(context), request.cluster, request.from_revision, request.to_revision
        )
        return fitting(
            wire.difference_to_wire(found),
            "the difference",
            "compare revisions that are nearer to each other",
        )
