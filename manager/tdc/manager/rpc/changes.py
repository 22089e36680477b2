"""tdc.v1.Changes: plan, commit, history."""

from __future__ import annotations

from tdc.manager.intent.commands import Commands, Made
from tdc.manager.intent.reads import Reads
from tdc.manager.rpc import wire
from tdc.manager.rpc.guard import author
from tdc.manager.store.errors import CommitTooLarge
from tdc.manager.store.history import Signature
from tdc.shared.edge.grpc_tls import MAX_ANSWER
from tdc.v1 import fleet_pb2, operators_pb2, operators_pb2_grpc


class Changes(operators_pb2_grpc.ChangesServicer):
    """The service; what it raises becomes a status in `guard`."""

    def __init__(self, commands: Commands, reads: Reads) -> None:
        self._commands = commands
        self._reads = reads

    async def MakePlan(  # noqa: N802
        self, request: operators_pb2.PlanRequest, context: object
    ) -> fleet_pb2.Plan:
        """Return what a commit of these edits would do; raises CommitTooLarge."""
        plan = wire.plan_to_wire(
            await self._commands.plan(wire.asked(request.cluster, request.edits))
        )
        if plan.ByteSize() > MAX_ANSWER:
            raise CommitTooLarge(
                f"the plan takes {plan.ByteSize()} bytes, an answer holds {MAX_ANSWER}: it names "
                f"{len(plan.machines)} changes on machines, with the values before and after; "
                "nothing was changed; set it at one group after another"
            )
        return plan

    async def MakeCommit(  # noqa: N802
        self, request: operators_pb2.CommitRequest, context: object
    ) -> operators_pb2.CommitResponse:
        """Commit what was planned."""
        made = await self._commands.commit(
            wire.asked(request.cluster, request.edits),
            request.fingerprint,
            Signature(author(), request.comment, request.request_id),
        )
        return made_to_wire(made)

    async def ListCommits(  # noqa: N802
        self, request: operators_pb2.ListCommitsRequest, context: object
    ) -> operators_pb2.ListCommitsResponse:
        """Return history, newest first."""
        cluster, records = await self._reads.commits(request.cluster, request.limit, request.before)
        return operators_pb2.ListCommitsResponse(
            commits=[wire.commit_to_wire(cluster.name, record, whole=False) for record in records]
        )

    async def GetCommit(  # noqa: N802
        self, request: operators_pb2.GetCommitRequest, context: object
    ) -> fleet_pb2.Commit:
        """Return one commit, whole."""
        cluster, record = await self._reads.commit(request.cluster, request.revision)
        return wire.commit_to_wire(cluster.name, record, whole=True)


def made_to_wire(made: Made) -> operators_pb2.CommitResponse:
    """Return what came of a commit."""
    return operators_pb2.CommitResponse(
        cluster=made.cluster, revision=made.revision, committed=made.committed
    )
