"""`tdc settings`: look at every level, change what is stored there."""

from __future__ import annotations

from typing import Annotated

import typer
from tdc.manager.cli import documents, tables
from tdc.manager.cli.assignments import parse_assignments, parse_names
from tdc.manager.cli.changes import carry_out
from tdc.manager.cli.command import Consent, Session, command
from tdc.manager.cli.errors import WrongUsage
from tdc.manager.cli.options import (
    Cluster,
    Level,
    LevelName,
    LevelWord,
    complete_assignment,
    complete_setting,
)
from tdc.shared.settings import values
from tdc.shared.wire.settings import LEVEL_TO_WIRE, settings_to_wire
from tdc.v1 import fleet_pb2, operators_pb2

app = typer.Typer(
    help="Settings: show, explain, set, unset; with plan and blast radius.", no_args_is_help=True
)


@command(app, "list")
async def list_settings(session: Session) -> None:
    """List the settings that exist; asks no manager."""
    rows = documents.schema_rows()
    session.out.emit(rows, tables.schema_pieces(rows))


@command(app, "show")
async def show(
    session: Session,
    level: Annotated[
        LevelWord | None,
        typer.Argument(metavar="LEVEL", help="cluster, group or machine.", show_default=False),
    ] = None,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Name of the level.", show_default=False)
    ] = None,
    effective: Annotated[
        str | None,
        typer.Option(
            "--effective", metavar="MACHINE", help="Instead: all that is in force on a machine."
        ),
    ] = None,
    cluster: Cluster = "",
) -> None:
    """Show what is present at a level, or in force on a machine.

    `settings show group g1` shows only what is present at the group g1;
    `settings show --effective mx1` all that is in force on mx1, with the origin of each value.
    """
    if effective is not None and level is None:
        await _show_effective(session, effective, cluster)
    elif effective is None and level is not None and name is not None:
        await _show_level(session, level, name, cluster)
    else:
        raise WrongUsage("Say either LEVEL NAME, as in `group Main_Group`, or --effective MACHINE.")


async def _show_level(session: Session, level: LevelWord, name: str, cluster: str) -> None:
    request = operators_pb2.GetLevelRequest(level=_level_ref(level, name, cluster))
    async with session.manager() as manager:
        reply = await manager.ask(manager.settings.GetLevel, request)
    document = documents.level_settings(reply)
    session.out.emit(document, tables.level_pieces(document))


async def _show_effective(session: Session, machine: str, cluster: str) -> None:
    request = operators_pb2.GetEffectiveRequest(machine=machine, cluster=cluster)
    async with session.manager() as manager:
        reply = await manager.ask(manager.settings.GetEffective, request)
    document = documents.effective_settings(reply)
    session.out.emit(
        document, tables.effective_pieces(document, group=reply.group, cluster=reply.cluster)
    )


@command(app, "explain")
async def explain(
    session: Session,
    machine: Annotated[
        str, typer.Argument(metavar="MACHINE", help="The machine.", show_default=False)
    ],
    setting: Annotated[
        str | None,
        typer.Argument(
            metavar="SETTING",
            help="One setting; else all.",
            show_default=False,
            autocompletion=complete_setting,
        ),
    ] = None,
    cluster: Cluster = "",
) -> None:
    """Show the chain of levels behind a machine's values.

    For each setting: every level's value, who set it and when, and which one is in force.
    """
    if setting is not None:
        parse_names([setting])
    request = operators_pb2.ExplainRequest(machine=machine, cluster=cluster, setting=setting or "")
    async with session.manager() as manager:
        reply = await manager.ask(manager.settings.Explain, request)
    document = documents.explanation(reply)
    session.out.emit(document, tables.explain_pieces(document, whole=setting is not None))


@command(app, "set")
async def set_(
    session: Session,
    level: Level,
    name: LevelName,
    assignments: Annotated[
        list[str],
        typer.Argument(
            metavar="SETTING=VALUE",
            help="What to set; `tdc settings list` names the settings.",
            show_default=False,
            autocompletion=complete_assignment,
        ),
    ],
    consent: Consent,
    cluster: Cluster = "",
) -> None:
    """Set settings at a level: shows the plan, asks, commits.

    Disabling a machine (`machine NAME enabled=false`) also disables its group and its cluster.
    """
    wanted = settings_to_wire(parse_assignments(assignments))
    edit = fleet_pb2.Edit(
        set=fleet_pb2.SetSettings(level=_level_ref(level, name, cluster), settings=wanted)
    )
    async with session.manager() as manager:
        await carry_out(session, manager, [edit], cluster, consent)


@command(app, "unset")
async def unset(
    session: Session,
    level: Level,
    name: LevelName,
    settings: Annotated[
        list[str],
        typer.Argument(
            metavar="SETTING",
            help="What to make absent there.",
            show_default=False,
            autocompletion=complete_setting,
        ),
    ],
    consent: Consent,
    cluster: Cluster = "",
) -> None:
    """Make settings absent at a level: shows the plan, asks, commits.

    The next level above then decides.
    """
    names = parse_names(settings)
    edit = fleet_pb2.Edit(
        unset=fleet_pb2.UnsetSettings(level=_level_ref(level, name, cluster), names=names)
    )
    async with session.manager() as manager:
        await carry_out(session, manager, [edit], cluster, consent)


def _level_ref(level: LevelWord, name: str, cluster: str) -> fleet_pb2.LevelRef:
    wire = LEVEL_TO_WIRE[values.Level(level.value)]
    return fleet_pb2.LevelRef(level=wire, name=name, cluster=cluster)
