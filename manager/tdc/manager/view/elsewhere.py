"""PURE. What the other managers of this store say of machines, as presence needs it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from tdc.manager.view.names import MachineKey
from tdc.manager.view.seen import Moment, Seen

SaidListener = Callable[[Iterable[MachineKey]], None]
"""Called with the machines of which another manager has said something new."""


class Elsewhere(Protocol):
    """What the other managers of this store say; nothing where there are none."""

    async def ask(self) -> None:
        """Ask them, unless that was a moment ago. Bounded; never raises."""

    def seen(self, key: MachineKey, /) -> Seen | None:
        """What they last said of a machine; None if none has seen it."""

    def silent(self, key: MachineKey, /) -> Silent | None:
        """Why it can't be known where a machine is; None while each of them answers."""

    def forget(self, key: MachineKey, /) -> None:
        """Forget a machine that was removed."""

    def renamed(self, names: Mapping[MachineKey, MachineKey], /) -> None:
        """Note that machines have another name now, each by that of before."""

    def on_said(self, listener: SaidListener, /) -> None:
        """Call `listener` when one of them has answered; it must not block."""

    def cut_off(self, key: MachineKey, /) -> str:
        """Why the manager that has a machine's stream hears of no commit; empty if it does."""

    @property
    def unheard(self) -> tuple[str, ...]:
        """Which of them do not answer, or hear of no commit, and why."""

    @property
    def problems(self) -> tuple[str, ...]:
        """Which of them do not answer, or hear of no commit, in sentences."""


@dataclass(frozen=True, slots=True)
class Silent:
    """A manager that does not answer has a machine's stream, or may have it: why, since when."""

    reason: str
    since: Moment


class NobodyElse:
    """For a manager that is alone."""

    async def ask(self) -> None:
        """Ask nobody."""

    def seen(self, key: MachineKey) -> Seen | None:
        """Nothing."""

    def silent(self, key: MachineKey) -> Silent | None:
        """Nobody."""

    def forget(self, key: MachineKey) -> None:
        """Nothing to forget."""

    def renamed(self, names: Mapping[MachineKey, MachineKey]) -> None:
        """Nothing to rename."""

    def on_said(self, listener: SaidListener) -> None:
        """Nobody says anything."""

    def cut_off(self, key: MachineKey) -> str:
        """Nobody."""
        return ""

    @property
    def unheard(self) -> tuple[str, ...]:
        """None."""
        return ()

    @property
    def problems(self) -> tuple[str, ...]:
        """None."""
        return ()
