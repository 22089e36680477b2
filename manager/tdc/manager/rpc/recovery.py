"""tdc.v1.Recovery: what a restored store lost."""

from __future__ import annotations

from tdc.manager.intent.recovery import RecoveryOperations
from tdc.manager.messages.edits import edit_to_wire
from tdc.manager.rpc.entry import Context, actor_of
from tdc.manager.rpc.status_codes import fitting
from tdc.v1 import recovery_pb2, recovery_pb2_grpc


class RecoveryService(recovery_pb2_grpc.RecoveryServicer):
    """The service; what it raises becomes a status in `guard`."""

    def __init__(self, recovery: RecoveryOperations) -> None:
        self._recovery = recovery

    async def FindEdits(  # noqa: N802
        self, request: recovery_pb2.FindEditsRequest, context: Context
    ) -> recovery_pb2.FindEditsResponse:
        """Ask the agents, and work out the edits; raises AnswerTooLarge."""
        found = await self._recovery.find_edits(actor_of(context), request.cluster)
        answer = recovery_pb2.FindEditsResponse(
            cluster=found.cluster,
            revision=found.revision,
            edits=[edit_to_wire(edit, found.cluster) for edit in found.edits],
            known=found.known,
            unknown=[
                recovery_pb2.UnknownMachine(machine=each.machine, why=each.why)
                for each in found.unknown
            ],
            ahead=found.ahead,
        )
        return fitting(answer, "what the machines run", "set some of it by hand first")
