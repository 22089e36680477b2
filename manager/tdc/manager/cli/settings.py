"""`tdc settings`: show what each level holds, and change it."""

from __future__ import annotations

from typing import Annotated

import typer
from tdc.manager.cli import setting_edits, tables
from tdc.manager.cli.assignments import parse_name, parse_names
from tdc.manager.cli.changes import carry_out, change
from tdc.manager.cli.command import ChangeConsent, Commands, Run, command
from tdc.manager.cli.errors import WrongUsage
from tdc.manager.cli.layout import Line
from tdc.manager.cli.options import (
    AtLevel,
    Cluster,
    CopiedSettings,
    LevelName,
    LevelWord,
    ToLevel,
    ToName,
)
from tdc.manager.cli.selection import Selection
from tdc.manager.cli.setting_edits import level_ref
from tdc.shared.wire import settings_answers
from tdc.shared.wire.settings_documents import setting_documents
from tdc.v1 import fleet_pb2, operators_pb2

app = typer.Typer(cls=Commands, help="Show, explain and change settings.", no_args_is_help=True)


@command(app, "list")
async def list_settings(run: Run) -> None:
    """List all settings; works without a manager."""
    rows = setting_documents()
    run.out.emit(rows, tables.schema_pieces(rows))


@command(app, "show")
async def show(
    run: Run,
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
            "--effective",
            metavar="MACHINE",
            help="Show what is in force on a machine instead.",
        ),
    ] = None,
    cluster: Cluster = "",
) -> None:
    """Show the settings of a level, or those in force on a machine.

    `settings show group g1` shows what is set at group g1 and nothing else.
    `settings show --effective mx1` shows every value in force on mx1 and where it comes from.
    """
    if effective is not None and level is None:
        await _show_effective(run, effective, cluster)
    elif effective is None and level is not None and name is not None:
        await _show_level(run, level, name, cluster)
    else:
        raise WrongUsage(
            "Give either LEVEL NAME, as in `group Main_Group`, or --effective MACHINE."
        )


async def _show_level(run: Run, level: LevelWord, name: str, cluster: str) -> None:
    request = operators_pb2.GetLevelRequest(level=level_ref(level, name, cluster))
    async with run.manager() as manager:
        reply = await manager.ask(manager.settings.GetLevel, request)
    document = settings_answers.level(reply)
    run.out.emit(document, tables.level_pieces(document))


async def _show_effective(run: Run, machine: str, cluster: str) -> None:
    request = operators_pb2.GetEffectiveRequest(machine=machine, cluster=cluster)
    async with run.manager() as manager:
        reply = await manager.ask(manager.settings.GetEffective, request)
    document = settings_answers.effective(reply)
    run.out.emit(
        document, tables.effective_pieces(document, group=reply.group, cluster=reply.cluster)
    )


@command(app, "check")
async def check(run: Run, cluster: Cluster = "") -> None:
    """Show what in a cluster is worth a look, with what would undo it.

    Values that equal or override those above, policies that are never reached, machines that are
    not in sync, agents of another version. Nothing of it is wrong by itself: the exit code is 0.
    """
    request = operators_pb2.CheckConsistencyRequest(cluster=cluster)
    async with run.manager() as manager:
        reply = await manager.ask(manager.settings.CheckConsistency, request)
    found = settings_answers.consistency(reply)
    if found.warnings:
        run.out.tell([Line(f"warning: {warning}", "yellow") for warning in found.warnings])
    run.out.emit(found, tables.consistency_pieces(found))


@command(app, "explain")
async def explain(
    run: Run,
    machine: Annotated[
        str, typer.Argument(metavar="MACHINE", help="Machine name.", show_default=False)
    ],
    setting: Annotated[
        str | None,
        typer.Argument(
            metavar="SETTING",
            help="Show one setting in detail (default: all).",
            show_default=False,
        ),
    ] = None,
    cluster: Cluster = "",
) -> None:
    """Show where a machine's values come from.

    For each setting: the value at every level, who set it and when, and which value is in force.
    """
    if setting is not None:
        parse_name(setting)
    request = operators_pb2.ExplainRequest(machine=machine, cluster=cluster, setting=setting or "")
    async with run.manager() as manager:
        reply = await manager.ask(manager.settings.Explain, request)
    document = settings_answers.explanation(reply)
    run.out.emit(document, tables.explain_pieces(document, whole=setting is not None))


@command(app, "set")
async def set_(
    run: Run,
    level: AtLevel,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME... SETTING=VALUE...",
            help="Names of the levels, and the settings to set there; `tdc settings list` shows "
            "them all. VALUE may be @FILE, or - for standard input.",
            show_default=False,
        ),
    ],
    consent: ChangeConsent,
    selection: Selection,
    cluster: Cluster = "",
) -> None:
    """Set settings at one level or several; shows the plan and asks.

    Disabling a machine (`machine NAME enabled=false`) also disables its group and its cluster.
    """
    wanted = setting_edits.setting(level, words, selection, cluster)
    async with run.manager() as manager:
        edits = await wanted.made(manager)
        await carry_out(run, manager, edits, cluster, consent)


@command(app, "unset")
async def unset(
    run: Run,
    level: AtLevel,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME... SETTING...",
            help="Names of the levels, and the settings to remove there.",
            show_default=False,
        ),
    ],
    consent: ChangeConsent,
    selection: Selection,
    cluster: Cluster = "",
) -> None:
    """Remove settings at one level or several; shows the plan and asks.

    The value of the next level above then applies.
    """
    wanted = setting_edits.unsetting(level, words, selection, cluster)
    async with run.manager() as manager:
        edits = await wanted.made(manager)
        await carry_out(run, manager, edits, cluster, consent)


@command(app, "delete")
async def delete(
    run: Run, level: AtLevel, name: LevelName, consent: ChangeConsent, cluster: Cluster = ""
) -> None:
    """Remove every setting at a level; shows the plan and asks.

    The values of the levels above then apply.
    """
    edit = fleet_pb2.Edit(delete=fleet_pb2.DeleteSettings(level=level_ref(level, name, cluster)))
    await change(run, edit, cluster, consent)


@command(app, "copy")
async def copy(  # noqa: PLR0913, PLR0917  # each is an argument of the command
    run: Run,
    level: AtLevel,
    name: LevelName,
    to_level: ToLevel,
    to_name: ToName,
    consent: ChangeConsent,
    settings: CopiedSettings = None,
    cluster: Cluster = "",
) -> None:
    """Set at one level what another has; shows the plan and asks.

    `settings copy machine mx1 group g1 log.level` copies log.level, and without a setting all
    that mx1 has of its own. Other settings of g1 stay.
    """
    await _copy(run, (level, name), (to_level, to_name), settings, consent, cluster, move=False)


@command(app, "move")
async def move(  # noqa: PLR0913, PLR0917  # each is an argument of the command
    run: Run,
    level: AtLevel,
    name: LevelName,
    to_level: ToLevel,
    to_name: ToName,
    consent: ChangeConsent,
    settings: CopiedSettings = None,
    cluster: Cluster = "",
) -> None:
    """Set at one level what another has, and remove it there; shows the plan and asks."""
    await _copy(run, (level, name), (to_level, to_name), settings, consent, cluster, move=True)


async def _copy(
    run: Run,
    source: tuple[LevelWord, str],
    target: tuple[LevelWord, str],
    settings: list[str] | None,
    consent: ChangeConsent,
    cluster: str,
    *,
    move: bool,
) -> None:
    copied = fleet_pb2.CopySettings(
        source=level_ref(*source, cluster),
        target=level_ref(*target, cluster),
        names=parse_names(settings or []),
        move=move,
    )
    await change(run, fleet_pb2.Edit(copy=copied), cluster, consent)
