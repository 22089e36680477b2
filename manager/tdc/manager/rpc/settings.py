"""tdc.v1.SettingsReader: one level, what is in force, and why."""

from __future__ import annotations

from tdc.manager.intent.reads import Reads
from tdc.manager.push.presence import Presence
from tdc.manager.rpc import wire
from tdc.manager.view.fleet import FleetView
from tdc.shared.wire.settings import LEVEL_TO_WIRE, settings_to_wire
from tdc.v1 import fleet_pb2, operators_pb2, operators_pb2_grpc


class SettingsReader(operators_pb2_grpc.SettingsReaderServicer):
    """The service; it reads the view, so it answers while etcd is away too."""

    def __init__(self, view: FleetView, reads: Reads, presence: Presence) -> None:
        self._view = view
        self._reads = reads
        self._presence = presence

    async def GetLevel(  # noqa: N802
        self, request: operators_pb2.GetLevelRequest, context: object
    ) -> operators_pb2.LevelSettings:
        """Return what is present at one level."""
        key = wire.level_key(request.level)
        cluster, full_key, stored = self._reads.level(key, request.level.cluster)
        return operators_pb2.LevelSettings(
            level=fleet_pb2.LevelRef(
                level=LEVEL_TO_WIRE[full_key.level], name=full_key.name, cluster=cluster.name
            ),
            revision=cluster.revision,
            settings=settings_to_wire(stored.settings),
            set_by=stored.set_by,
        )

    async def GetEffective(  # noqa: N802
        self, request: operators_pb2.GetEffectiveRequest, context: object
    ) -> fleet_pb2.EffectiveSettings:
        """Return what is in force on one machine."""
        cluster, machine = self._view.find_machine(request.machine, request.cluster)
        return wire.effective_to_wire(self._view.effective(cluster.name, machine.name))

    async def Explain(  # noqa: N802
        self, request: operators_pb2.ExplainRequest, context: object
    ) -> operators_pb2.ExplainResponse:
        """Return the chain behind values, who set them, and what the machine runs."""
        explained = await self._reads.explain(request.machine, request.cluster, request.setting)
        cluster, machine = explained.cluster, explained.machine
        facts = self._presence.facts(cluster.name, machine.name)
        response = operators_pb2.ExplainResponse(
            machine=machine.name,
            cluster=cluster.name,
            revision=cluster.revision,
            settings=[
                operators_pb2.Explanation(
                    setting=name,
                    steps=[
                        wire.step_to_wire(name, step, explained.commits.get(step.revision))
                        for step in chain
                    ],
                )
                for name, chain in explained.chains.items()
            ],
            state=facts.state,
        )
        if facts.status is not None:
            response.running.CopyFrom(facts.status.running)
        return response
