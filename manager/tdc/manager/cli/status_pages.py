"""The status of machines, asked for in pages: of a large fleet one answer would not hold it."""

from __future__ import annotations

from tdc.manager.cli.client import Manager
from tdc.shared.wire import answers
from tdc.shared.wire.documents import StatusDocument
from tdc.v1 import operators_pb2

PAGE = 1_000
"""Machines of one answer: a manager answers nobody else while it makes one."""


async def all_of(
    manager: Manager, request: operators_pb2.StatusRequest
) -> tuple[list[StatusDocument], list[str]]:
    """The machines that a request asks for, page after page, and the manager's warnings.

    `limit` and `after` of the request are set here. Raises Refused, NoConnection.
    """
    rows, warnings = list[StatusDocument](), list[str]()
    request.limit = PAGE
    while True:
        reply = await manager.ask(manager.monitoring.GetStatus, request)
        rows += [answers.status(row) for row in reply.machines]
        warnings += reply.warnings
        if not reply.next:
            return rows, warnings
        request.after = reply.next
