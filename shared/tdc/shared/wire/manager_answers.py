"""A manager's answers about managers (tdc.v1) -> the documents of the JSON contract.

Raises as `answers` does.
"""

from __future__ import annotations

from tdc.shared.wire import manager_documents as documents
from tdc.shared.wire.moments import rfc3339_in
from tdc.v1 import managers_pb2


def manager(reply: managers_pb2.Manager) -> documents.ManagerDocument:
    """A manager in a list."""
    return documents.ManagerDocument(
        id=reply.id,
        name=reply.name,
        address=reply.address,
        version=reply.version,
        started=rfc3339_in(reply, "started"),
        certificate_ends=rfc3339_in(reply, "certificate_ends"),
        asked=reply.asked,
        answers=reply.answers,
        problem=reply.problem,
        machines=reply.machines if reply.HasField("machines") else None,
        clock_ahead=round(reply.clock_ahead, 3) if reply.HasField("clock_ahead") else None,
        owns=tuple(reply.owns),
    )


def status(reply: managers_pb2.ManagerStatusResponse) -> documents.ManagerStatusDocument:
    """A manager with its etcd."""
    return documents.ManagerStatusDocument(
        manager=manager(reply.manager),
        etcd=documents.EtcdDocument(
            embedded=reply.embedded,
            endpoints=tuple(reply.endpoints),
            problem=reply.etcd_problem,
            version=reply.etcd_version,
            size=reply.size,
            size_in_use=reply.size_in_use,
            quota=reply.quota if reply.HasField("quota") else None,
            alarms=tuple(reply.alarms),
            members=tuple(reply.members),
        ),
        writes=documents.WritesDocument(
            seconds=int(reply.watched),
            by=dict(sorted(reply.writes.items())),
            per_agent_hour=round(reply.writes_per_agent_hour, 3),
        ),
        warnings=tuple(reply.warnings),
    )
