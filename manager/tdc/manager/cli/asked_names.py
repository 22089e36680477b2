"""Names that a manager has, asked for at once: what completion offers.

Of gRPC only what waits for one answer is used; what commands use of it takes longer to begin.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

from google.protobuf.message import Message
from tdc.manager.cli.completing import Source

if TYPE_CHECKING:
    import grpc

NEWEST = 50
"""Revisions, and entries of the audit log, that are offered."""

_Request = TypeVar("_Request", bound=Message)
_Reply = TypeVar("_Reply", bound=Message)


class Asking:
    """Asks a manager for names of one kind."""

    def __init__(self, channel: grpc.Channel, secret: str, limit: float, cluster: str) -> None:
        self._channel = channel
        self._cluster = cluster
        self._limit = limit
        self._shown = (("authorization", f"Bearer {secret}"),) if secret else ()

    def names(self, source: Source) -> list[str]:
        """Names in the manager's order, each once; raises RpcError."""
        if source in _OF_PEOPLE:
            return list(dict.fromkeys(self._of_people(source)))
        return list(dict.fromkeys(self._of_fleet(source)))

    def _ask(
        self, call: grpc.UnaryUnaryMultiCallable[_Request, _Reply], request: _Request
    ) -> _Reply:
        return call(request, timeout=self._limit, metadata=self._shown)

    def _of_fleet(self, source: Source) -> Iterable[str]:
        from tdc.v1 import operators_pb2 as ask  # noqa: PLC0415
        from tdc.v1 import operators_pb2_grpc as stubs  # noqa: PLC0415

        fleet, here = stubs.FleetStub(self._channel), self._cluster
        match source:
            case Source.CLUSTERS:
                rows = self._ask(fleet.ListClusters, ask.ListClustersRequest()).clusters
                return [row.name for row in rows]
            case Source.GROUPS | Source.GROUP_PATHS:
                groups = self._ask(fleet.ListGroups, ask.ListGroupsRequest(cluster=here)).groups
                path = source is Source.GROUP_PATHS
                return [f"{row.cluster}/{row.name}" if path else row.name for row in groups]
            case Source.MACHINES:
                request = ask.ListMachinesRequest(cluster=here)
                return [row.name for row in self._ask(fleet.ListMachines, request).machines]
            case Source.REVISIONS:
                wish = ask.ListCommitsRequest(cluster=here, limit=NEWEST)
                commits = self._ask(stubs.ChangesStub(self._channel).ListCommits, wish).commits
                return [str(commit.revision) for commit in commits]
            case Source.OWNERS:
                mine = ask.ListDraftsRequest(cluster=here)
                drafts = self._ask(stubs.DraftsStub(self._channel).ListDrafts, mine).drafts
                return [draft.owner for draft in drafts if draft.shared]
            case _:
                return self._intakes()

    def _intakes(self) -> Iterable[str]:
        """Addresses that are set somewhere in the cluster."""
        from tdc.v1 import operators_pb2 as ask  # noqa: PLC0415
        from tdc.v1 import operators_pb2_grpc as stubs  # noqa: PLC0415

        request = ask.GetClusterRequest(cluster=self._cluster)
        stub = stubs.ChangesStub(self._channel)
        return _addresses(self._ask(stub.GetCluster, request))

    def _of_people(self, source: Source) -> Iterable[str]:
        from tdc.v1 import audit_pb2, audit_pb2_grpc  # noqa: PLC0415
        from tdc.v1 import people_pb2 as ask  # noqa: PLC0415
        from tdc.v1 import people_pb2_grpc as stubs  # noqa: PLC0415

        people = stubs.PeopleStub(self._channel)
        match source:
            case Source.USERS:
                users = self._ask(people.ListUsers, ask.ListUsersRequest()).users
                return [user.name for user in users]
            case Source.SESSIONS:
                own = ask.ListSessionsRequest()
                return [each.id for each in self._ask(people.ListSessions, own).sessions]
            case Source.TOKENS:
                mine = ask.ListApiTokensRequest()
                return [each.id for each in self._ask(people.ListApiTokens, mine).tokens]
            case Source.CERTIFICATES:
                known = self._ask(people.ListOperators, ask.ListOperatorsRequest()).certificates
                return [each.fingerprint for each in known if not each.HasField("withdrawn")]
            case _:
                request = audit_pb2.ListEntriesRequest(limit=NEWEST)
                log = audit_pb2_grpc.AuditStub(self._channel)
                entries = self._ask(log.ListEntries, request).entries
                return [str(entry.number) for entry in entries]


def _addresses(message: Message) -> Iterable[str]:
    """Addresses of intakes anywhere in a message: at levels, and of policies."""
    for field, value in message.ListFields():
        if field.name == "intake_address":
            yield value
        for each in [value] if isinstance(value, Message) else value if field.message_type else []:
            yield from _addresses(each)


_OF_PEOPLE = frozenset(
    {Source.USERS, Source.SESSIONS, Source.TOKENS, Source.CERTIFICATES, Source.ENTRIES}
)
