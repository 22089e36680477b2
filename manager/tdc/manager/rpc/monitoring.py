"""tdc.v1.Monitoring: how machines do, as this manager knows it."""

from __future__ import annotations

from tdc.manager.levels.fleet import Cluster, Machine
from tdc.manager.push.presence import Presence
from tdc.manager.rpc.fleet import machines_in
from tdc.manager.view.fleet import FleetView
from tdc.shared.wire.moments import timestamp
from tdc.v1 import agents_pb2, operators_pb2, operators_pb2_grpc

_OUTDATED = "its settings in the store can't be read; the last known ones are used"


class Monitoring(operators_pb2_grpc.MonitoringServicer):
    """The service; it reads the view and presence, so it answers while etcd is away too."""

    def __init__(self, view: FleetView, presence: Presence) -> None:
        self._view = view
        self._presence = presence

    async def GetStatus(  # noqa: N802
        self, request: operators_pb2.StatusRequest, context: object
    ) -> operators_pb2.StatusResponse:
        """Return the sync state of machines, and what this manager can't do now."""
        chosen = machines_in(self._view, request.cluster, request.group, request.machine)
        outdated = {
            name: self._view.outdated(name) for name in {cluster.name for cluster, _ in chosen}
        }
        rows = [
            self._row(cluster, machine, outdated=machine.name in outdated[cluster.name])
            for cluster, machine in chosen
        ]
        return operators_pb2.StatusResponse(
            machines=rows, warnings=[*self._view.problems, *_ahead(rows)]
        )

    async def GetDelivery(  # noqa: N802
        self, request: operators_pb2.DeliveryRequest, context: object
    ) -> operators_pb2.DeliveryResponse:
        """Return delivery by machine and destination, from each machine's last status."""
        chosen = machines_in(self._view, request.cluster, name=request.machine)
        return operators_pb2.DeliveryResponse(
            rows=[row for cluster, machine in chosen for row in self._delivery(cluster, machine)]
        )

    def _row(
        self, cluster: Cluster, machine: Machine, *, outdated: bool
    ) -> operators_pb2.MachineRowStatus:
        facts = self._presence.facts(cluster.name, machine.name)
        status = facts.status
        warnings = [*([_OUTDATED] if outdated else []), *([facts.warning] if facts.warning else [])]
        return operators_pb2.MachineRowStatus(
            name=machine.name,
            group=machine.group,
            cluster=cluster.name,
            state=facts.state,
            wanted_revision=facts.wanted_revision,
            applied_revision=facts.applied_revision,
            since=None if facts.since is None else timestamp(facts.since),
            copying=status is not None and status.copying,
            queued=status.queued if status is not None else 0,
            reason=facts.reason,
            warnings=warnings + (_warnings(status) if status is not None else []),
            agent_version=facts.agent_version,
        )

    def _delivery(self, cluster: Cluster, machine: Machine) -> list[operators_pb2.DeliveryRow]:
        facts = self._presence.facts(cluster.name, machine.name)
        if facts.status is None:
            return []
        return [
            operators_pb2.DeliveryRow(
                machine=machine.name,
                cluster=cluster.name,
                time=timestamp(facts.status_time or 0.0),
                destination=destination,
                counters=facts.status.counters,
            )
            for destination in facts.status.destinations
        ]


def _ahead(rows: list[operators_pb2.MachineRowStatus]) -> list[str]:
    """Return what is to be said of clusters whose machines run what the store has not yet made."""
    ahead: dict[str, list[operators_pb2.MachineRowStatus]] = {}
    for row in rows:
        if row.applied_revision > row.wanted_revision > 0:
            ahead.setdefault(row.cluster, []).append(row)
    return [
        f"machines are ahead of the store: {len(those)} of cluster {cluster} run up to revision "
        f"{max(row.applied_revision for row in those)}, the store is at "
        f"{those[0].wanted_revision}: was an older backup restored? They keep what they run until "
        "the store's revision reaches theirs: commit what should be in force until it does"
        for cluster, those in ahead.items()
    ]


def _warnings(status: agents_pb2.MachineStatus) -> list[str]:
    unhealthy = status.spool_unhealthy
    return [*([f"the spool can't write: {unhealthy}"] if unhealthy else []), *status.warnings]
