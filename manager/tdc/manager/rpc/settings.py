"""tdc.v1.SettingsReader: one level, what is in force, and why."""

from __future__ import annotations

from tdc.manager.intent.settings import SettingsOperations
from tdc.manager.messages import edits, wire
from tdc.manager.messages import settings as messages
from tdc.manager.rpc.entry import Context, actor_of
from tdc.manager.rpc.status_codes import fitting
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
        return messages.level_to_wire(found)

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
        return messages.explanation_to_wire(explained)

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
