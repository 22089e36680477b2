"""The intakes and copies that work on queues names: what is certainly wrong is refused in words.

A mistyped intake would otherwise look as if its copies were gone already.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tdc.manager.intent.errors import BadRequest
from tdc.manager.intent.queue_machines import MachineQueue
from tdc.manager.levels.resolve import resolve
from tdc.manager.view.fleet import FleetView
from tdc.manager.view.names import MachineKey, UnknownName
from tdc.manager.view.presence import Presence
from tdc.shared.connector.intake import intakes_in_force
from tdc.shared.connector.settings import ConnectorSettings
from tdc.shared.mail.address import AddressError, parse_address
from tdc.shared.sync.queue_work import MoveCopies, QueueChange, Selection, kind_of

_MOST_NAMED = 10
"""Intakes that a sentence names."""


def intake_named(text: str) -> str:
    """An intake in the form in which spools have it; raises BadRequest. Empty means every one."""
    try:
        return str(parse_address(text)) if text else ""
    except AddressError as error:
        raise BadRequest(f"{error}, so it is no intake") from None


def with_intakes(work: QueueChange) -> QueueChange:
    """Read the intakes that `work` names; raises BadRequest."""
    selection = replace(work.selection, intake=intake_named(work.selection.intake))
    if isinstance(work, MoveCopies):
        return MoveCopies(selection, intake_named(work.to_intake))
    return replace(work, selection=selection)


class NamesOnMachines:
    """What machines have, as far as this manager knows it."""

    def __init__(self, view: FleetView, presence: Presence) -> None:
        self._view = view
        self._presence = presence

    def check(
        self, keys: Sequence[MachineKey], work: QueueChange, counted: Sequence[MachineQueue]
    ) -> None:
        """Raise UnknownName where every machine answered, and has nothing that is named."""
        chosen = work.selection
        if not counted or any(row.problem or row.copies for row in counted):
            return
        if chosen.mids:
            raise UnknownName(_no_such_copies(counted[0].machine, work))
        if chosen.intake and chosen.intake not in self._known(keys):
            raise UnknownName(
                f"no machine that was asked has copies for {chosen.intake}, and it is in force on "
                f"none of them; {_named(self._with_copies(keys))}"
            )

    def _known(self, keys: Sequence[MachineKey]) -> set[str]:
        """Intakes in force on these machines, or with copies there."""
        known = set(self._with_copies(keys))
        for cluster, machine in keys:
            found, _ = self._view.find_machine(machine, cluster)
            settings = ConnectorSettings.from_values(resolve(found, machine).values())
            known |= {each.address for each in intakes_in_force(settings)}
        return known

    def _with_copies(self, keys: Sequence[MachineKey]) -> list[str]:
        reports = (self._presence.facts(*key).status for key in keys)
        return sorted({each.intake for report in reports if report for each in report.backlogs})


def _no_such_copies(machine: str, work: QueueChange) -> str:
    chosen = work.selection
    numbers = ", ".join(map(str, chosen.mids))
    kind = "" if chosen.waiting and chosen.dead else _kind(chosen)
    of_intake = f" for {chosen.intake}" if chosen.intake else ""
    return (
        f"{machine} has no {kind}copy {numbers}{of_intake}, so there is nothing to "
        f"{kind_of(work)}: it may have been delivered, or the number is another machine's"
    )


def _kind(chosen: Selection) -> str:
    return "waiting " if chosen.waiting else "dead "


def _named(intakes: Sequence[str]) -> str:
    if not intakes:
        return "no copies wait or are dead there"
    shown = ", ".join(intakes[:_MOST_NAMED])
    more = len(intakes) - _MOST_NAMED
    return f"intakes with copies there: {shown}" + (f" and {more} more" if more > 0 else "")
