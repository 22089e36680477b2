"""Which levels one change is for: names that were typed, machines by pattern or by group.

Promise: what was chosen is spelled out as edits, so the plan names each level; an empty choice is
refused and never means all.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import typer
from tdc.manager.cli.assignments import parse_names
from tdc.manager.cli.client import Manager
from tdc.manager.cli.errors import Refused, WrongUsage
from tdc.manager.cli.options import LevelWord
from tdc.shared.settings.schema import SCHEMA
from tdc.v1 import operators_pb2


@dataclass(frozen=True, slots=True)
class Selection:
    """Options that choose machines."""

    match: Annotated[
        str,
        typer.Option(
            "--match",
            metavar="PATTERN",
            help="All machines whose name matches, as in 'mx*'; instead of names.",
            show_default=False,
        ),
    ] = ""
    in_group: Annotated[
        str,
        typer.Option(
            "--in-group",
            metavar="GROUP",
            help="All machines of this group, or those that match; instead of names.",
            show_default=False,
        ),
    ] = ""

    @property
    def given(self) -> bool:
        """Whether machines are chosen by what they are."""
        return bool(self.match or self.in_group)


def split_assignments(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The names, and the ``setting=value`` texts after them; raises WrongUsage without those."""
    first = next((place for place, word in enumerate(words) if "=" in word), len(words))
    names, assignments = list(words[:first]), list(words[first:])
    if not assignments:
        raise WrongUsage(
            f"{words[-1]!r} is not of the form setting=value, and no setting is given. To remove "
            "one, use `tdc settings unset`. Nothing was changed."
        )
    return names, assignments


def split_settings(words: Sequence[str], *, named: bool) -> tuple[list[str], list[str]]:
    """The names, and the settings after them; raises WrongUsage without those.

    `named`: the first word is a name, whatever it is.
    """
    begin = 1 if named else 0
    first = next((at for at in range(begin, len(words)) if words[at] in SCHEMA), len(words))
    if first == len(words):
        if len(words) <= begin:
            raise WrongUsage("Name the settings to remove. Nothing was changed.")
        parse_names(words[-1:])  # says what it might have meant
    return list(words[:first]), list(words[first:])


async def chosen(
    manager: Manager, level: LevelWord, names: Sequence[str], selection: Selection, cluster: str
) -> list[str]:
    """The names of the levels, in order; raises Refused, WrongUsage."""
    if not selection.given:
        if not names:
            choose = ", or choose some by --match" if level is LevelWord.MACHINE else ""
            raise WrongUsage(f"Name at least one {level.value}{choose}. Nothing was changed.")
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise WrongUsage(f"{level.value} {twice} is named twice. Nothing was changed.")
        return list(names)
    if names or level is not LevelWord.MACHINE:
        raise WrongUsage(
            "--match and --in-group choose machines, instead of names: use them as in `machine "
            "--match 'mx*'`. Nothing was changed."
        )
    reply = await manager.ask(
        manager.fleet.ListMachines,
        operators_pb2.ListMachinesRequest(cluster=cluster, group=selection.in_group),
    )
    found = [row for row in reply.machines if fnmatch.fnmatchcase(row.name, selection.match or "*")]
    homes = sorted({row.cluster for row in found})
    if not found:
        of_group = f" in group {selection.in_group}" if selection.in_group else ""
        what = f" matches {selection.match!r}" if selection.match else " is there"
        raise Refused(f"No machine{of_group}{what}. Nothing was changed.")
    if len(homes) > 1:
        raise WrongUsage(
            f"These machines are in clusters {', '.join(homes)}: choose one with --cluster. "
            "Nothing was changed."
        )
    return sorted(row.name for row in found)
