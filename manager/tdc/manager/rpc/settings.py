"""tdc.v1.SettingsReader: one level, what is in force, and why."""

from __future__ import annotations

from tdc.manager.intent.settings import SettingsOperations
from tdc.manager.rpc import edits, wire
from tdc.manager.rpc.entry import Context, actor_of
from tdc.manager.rpc.status_codes import fitting
from tdc.shared.wire.moments import timestamp
from tdc.shared.wire.settings import LEVEL_TO_WIRE, settings_to_wire
from tdc.shared.wire.stream import attempt_to_wire, running_to_wire
from tdc.shared.wire.suspension import state_to_wire
from tdc.v1 import fleet_pb2, operators_pb2, operators_pb2_grpc


class SettingsService(operators_pb2_grpc.SettingsReaderServicer):
    """The service; what it raises becomes a status in `guard`."""

    def __init__(self, settings: SettingsOperations) -> None:
        self._settings = settings

    async def GetLevel(  # noqa: N802
        self, request: operators_pb2.GetLevelRequest, context: Context
    ) -> operators_pb2.LevelSettings:
        """Read what is present at one level."""
        asked = edits.level_asked(request.level)
        found = await self._settings.read_level(actor_of(context), asked)
        return operators_pb2.LevelSettings(
            level=fleet_pb2.LevelRef(
                level=LEVEL_TO_WIRE[found.key.level], name=found.key.name, cluster=found.cluster
            ),
            revision=found.revision,
            settings=settings_to_wire(found.stored.settings),
            set_by=found.stored.set_by,
        )

    async def GetEffective(  # noqa: N802
        self, request: operators_pb2.GetEffectiveRequest, context: Context
    ) -> fleet_pb2.EffectiveSettings:
        """Read what is in force on one machine."""
        effective = await self._settings.read_effective(
            actor_of(context), request.machine, request.cluster
        )
        return wire.effective_to_wire(effective)

    async def Explain(  # noqa: N802
        self, request: operators_pb2.ExplainRequest, context: Context
    ) -> operators_pb2.ExplainResponse:
        """Read the chain behind values, who set them, and what the machine runs."""
        explained = await self._settings.explain(
            actor_of(context), request.machine, request.cluster, request.setting
        )
        attempt = explained.attempt
        return operators_pb2.ExplainResponse(
            machine=explained.machine,
            cluster=explained.cluster,
            revision=explained.revision,
            settings=[
                operators_pb2.Explanation(
                    setting=name,
                    steps=[wire.step_to_wire(name, step) for step in chain],
                    unknown_there=name in explained.unknown_there,
                )
                for name, chain in explained.chains.items()
            ],
            state=explained.state,
            running=None if explained.running is None else running_to_wire(explained.running),
            unread=explained.unread,
            since=None if explained.since is None else timestamp(explained.since),
            reason=explained.reason,
            last_attempt=None if attempt is None else attempt_to_wire(attempt),
            suspension=state_to_wire(explained.suspension),
            agent_version=explained.agent_version,
        )

    async def CheckConsistency(  # noqa: N802
        self, request: operators_pb2.CheckConsistencyRequest, context: Context
    ) -> operators_pb2.CheckConsistencyResponse:
        """Look through a cluster for what is worth a look; raises AnswerTooLarge."""
        found = await self._settings.check(actor_of(context), request.cluster)
        answer = operators_pb2.CheckConsistencyResponse(
            cluster=found.cluster.name,
            revision=found.cluster.revision,
            findings=map(wire.finding_to_wire, found.findings),
            warnings=found.warnings,
        )
        return fitting(
            answer, f"the list of {len(found.findings)} findings", "look at levels one by one"
        )
