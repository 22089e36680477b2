"""The machine's clocks, and the spool's own time that is made of them (`steady`)."""

from __future__ import annotations

from dataclasses import dataclass, field

from tdc.node_agent.spool.steady import Anchor, Reading, as_wall, resumed, steady_at
from tdc.shared.edge.clock import Clock, boot_id, since_boot, wall


@dataclass(frozen=True, slots=True)
class MachineClocks:
    """What a machine has; tests set their own. `boot` names this start of the machine."""

    since_boot: Clock = since_boot
    wall: Clock = wall
    boot: str = field(default_factory=boot_id)

    def read(self) -> Reading:
        """All of them now."""
        return Reading(self.boot, self.since_boot(), self.wall())


class SteadyClock:
    """Steady seconds now. The writer's thread resumes it once; after that any thread reads it."""

    def __init__(self, clocks: MachineClocks) -> None:
        self._clocks = clocks
        self._anchor = resumed(None, clocks.read())

    def __call__(self) -> float:
        """Steady seconds now."""
        return steady_at(self._anchor, self._clocks.since_boot())

    def wall(self) -> float:
        """Unix seconds now, by the clock that people set."""
        return self._clocks.wall()

    def shown(self, at: float) -> float:
        """A steady time as people see it: Unix seconds."""
        return as_wall(at, self(), self.wall())

    def resume(self, saved: Anchor | None) -> None:
        """Go on from what the file says."""
        self._anchor = resumed(saved, self._clocks.read())

    def anchor(self) -> Anchor:
        """Where the scale stands now, for the file."""
        reading = self._clocks.read()
        return Anchor(steady_at(self._anchor, reading.since_boot), reading)
