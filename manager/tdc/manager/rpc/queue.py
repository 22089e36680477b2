"""tdc.v1.Queue: work on the queues of machines."""

from __future__ import annotations

from collections.abc import Sequence

from tdc.manager.intent.queue import QueueOperations, WorkOutcome
from tdc.manager.intent.queue_machines import MachineQueue, QueueScope
from tdc.manager.rpc.entry import Context, actor_of
from tdc.shared.sync.queue_work import QueueChange
from tdc.shared.wire.queue_work import dead_to_wire, drop_of, move_of, retry_of
from tdc.v1 import operators_pb2, operators_pb2_grpc


class QueueService(operators_pb2_grpc.QueueServicer):
    """The service; what it raises becomes a status in `guard`."""

    def __init__(self, queue: QueueOperations) -> None:
        self._queue = queue

    async def ListDead(  # noqa: N802
        self, request: operators_pb2.ListDeadRequest, context: Context
    ) -> operators_pb2.QueueResponse:
        """List dead copies of machines."""
        rows = await self._queue.list_dead(actor_of(context), _scope(request.scope), request.intake)
        return operators_pb2.QueueResponse(machines=_rows(rows))

    async def CountCopies(  # noqa: N802
        self, request: operators_pb2.QueueWorkRequest, context: Context
    ) -> operators_pb2.QueueResponse:
        """Count what DoWork would choose."""
        outcome = await self._queue.plan(actor_of(context), _scope(request.scope), _work(request))
        return _response(outcome)

    async def DoWork(  # noqa: N802
        self, request: operators_pb2.QueueWorkRequest, context: Context
    ) -> operators_pb2.QueueResponse:
        """Record the work and order it."""
        outcome = await self._queue.do(
            actor_of(context),
            _scope(request.scope),
            _work(request),
            comment=request.comment,
            request_id=request.request_id,
        )
        return _response(outcome)


def _scope(message: operators_pb2.QueueScope) -> QueueScope:
    return QueueScope(message.cluster, message.group, tuple(message.machines))


def _work(request: operators_pb2.QueueWorkRequest) -> QueueChange | None:
    """The work that a request names; None if it names none that this version knows."""
    match request.WhichOneof("work"):
        case "retry":
            return retry_of(request.retry)
        case "move":
            return move_of(request.move)
        case "drop":
            return drop_of(request.drop)
    return None


def _response(outcome: WorkOutcome) -> operators_pb2.QueueResponse:
    return operators_pb2.QueueResponse(
        cluster=outcome.cluster,
        revision=outcome.revision,
        committed=outcome.committed,
        machines=_rows(outcome.machines),
    )


def _rows(rows: Sequence[MachineQueue]) -> list[operators_pb2.MachineQueue]:
    return [
        operators_pb2.MachineQueue(
            machine=row.machine,
            cluster=row.cluster,
            problem=row.problem,
            copies=row.copies,
            bytes=row.bytes,
            dead=[dead_to_wire(each) for each in row.dead],
            waits=row.waits,
            intakes=row.intakes,
        )
        for row in rows
    ]
