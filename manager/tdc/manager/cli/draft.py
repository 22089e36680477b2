"""`tdc draft`: changes that are gathered first, and committed together."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer
from tdc.manager.cli import draft_tables, setting_edits
from tdc.manager.cli.asking import agreed
from tdc.manager.cli.assignments import parse_names
from tdc.manager.cli.changes import carry_out
from tdc.manager.cli.client import Manager
from tdc.manager.cli.command import ChangeConsent, Commands, Run, command
from tdc.manager.cli.errors import Partial, Refused
from tdc.manager.cli.options import (
    AtLevel,
    Cluster,
    LevelName,
    LevelWord,
    OfCluster,
    Yes,
)
from tdc.manager.cli.selection import Selection
from tdc.manager.cli.setting_edits import level_ref
from tdc.manager.cli.words import counted, when
from tdc.shared.wire import draft_answers
from tdc.shared.wire.draft_documents import DraftDocument
from tdc.v1 import operators_pb2

app = typer.Typer(cls=Commands, help="Gather changes, commit them together.", no_args_is_help=True)

Of = Annotated[
    str,
    typer.Option(
        "--of",
        metavar="OPERATOR",
        help="The draft that this operator shares (default: your own).",
        show_default=False,
    ),
]
DraftedSettings = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[SETTING]...",
        help="Only these (default: all that the draft has there).",
        show_default=False,
    ),
]


@command(app, "list")
async def list_drafts(run: Run, cluster: OfCluster = "") -> None:
    """List your drafts, and those that others share."""
    async with run.manager() as manager:
        reply = await manager.ask(
            manager.drafts.ListDrafts, operators_pb2.ListDraftsRequest(cluster=cluster)
        )
    rows = [draft_answers.summary(each) for each in reply.drafts]
    run.out.emit(rows, draft_tables.list_pieces(rows))


@command(app, "show")
async def show(run: Run, of: Of = "", cluster: Cluster = "") -> None:
    """Show a draft against the cluster as it is.

    WAS is what the level held when it was drafted, NOW what it holds. A row in conflict was changed
    by somebody else meanwhile: `draft keep` chooses yours, `draft remove` theirs.
    """
    async with run.manager() as manager:
        _emit(run, await _read(manager, cluster, of))


@command(app, "set")
async def set_(
    run: Run,
    level: AtLevel,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME... SETTING=VALUE...",
            help="As of `tdc settings set`.",
            show_default=False,
        ),
    ],
    selection: Selection,
    cluster: Cluster = "",
) -> None:
    """Draft settings to be set; commits nothing."""
    wanted = setting_edits.setting(level, words, selection, cluster)
    async with run.manager() as manager:
        edits = await wanted.made(manager)
        await _change(run, manager, cluster, add=operators_pb2.DraftEdits(edits=edits))


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
    selection: Selection,
    cluster: Cluster = "",
) -> None:
    """Draft settings to be removed; commits nothing."""
    wanted = setting_edits.unsetting(level, words, selection, cluster)
    async with run.manager() as manager:
        edits = await wanted.made(manager)
        await _change(run, manager, cluster, add=operators_pb2.DraftEdits(edits=edits))


@command(app, "remove")
async def remove(
    run: Run,
    level: AtLevel,
    name: LevelName,
    settings: DraftedSettings = None,
    cluster: Cluster = "",
) -> None:
    """Leave rows out of your draft.

    The level stays as it is, or as others made it.
    """
    rows = _rows(level, name, settings, cluster)
    async with run.manager() as manager:
        await _change(run, manager, cluster, remove=rows)


@command(app, "keep")
async def keep(
    run: Run,
    level: AtLevel,
    name: LevelName,
    settings: DraftedSettings = None,
    cluster: Cluster = "",
) -> None:
    """Let rows in conflict stand.

    Yours are to replace what others set meanwhile.
    """
    rows = _rows(level, name, settings, cluster)
    async with run.manager() as manager:
        await _change(run, manager, cluster, keep=rows)


@command(app, "share")
async def share(run: Run, cluster: Cluster = "") -> None:
    """Let other operators read and commit your draft."""
    async with run.manager() as manager:
        await _change(run, manager, cluster, share=True)


@command(app, "unshare")
async def unshare(run: Run, cluster: Cluster = "") -> None:
    """Keep your draft to yourself again."""
    async with run.manager() as manager:
        await _change(run, manager, cluster, share=False)


@command(app, "discard")
async def discard(run: Run, yes: Yes = False, cluster: Cluster = "") -> None:
    """Discard your draft; asks first where that drops an earlier one for good.

    For 24 hours `draft restore` takes it back, until another one is discarded.
    """
    async with run.manager() as manager:
        before = draft_answers.draft(await _read(manager, cluster, ""))
        if before.rows and before.discarded is not None:
            rows = counted(before.discarded_rows, "setting", "settings")
            earlier = f"the draft of {rows} that you discarded {when(before.discarded)}"
            await agreed(f"Discard this draft, and drop {earlier} for good?", yes=yes)
        await _change(run, manager, cluster, discard=operators_pb2.DraftNothingMore())


@command(app, "restore")
async def restore(run: Run, cluster: Cluster = "") -> None:
    """Take back the draft that you discarded last."""
    async with run.manager() as manager:
        await _change(run, manager, cluster, restore=operators_pb2.DraftNothingMore())


@command(app, "commit")
async def commit(run: Run, consent: ChangeConsent, of: Of = "", cluster: Cluster = "") -> None:
    """Commit a draft; shows the plan and asks.

    Refused while a row is in conflict. What was committed leaves the draft.
    """
    async with run.manager() as manager:
        reply = await _read(manager, cluster, of)
        found = draft_answers.draft(reply)
        if any(row.state in ("conflict", "gone") for row in found.rows):
            run.out.tell(draft_tables.draft_pieces(found))
            raise Refused(
                "The draft has rows in conflict or of levels that are gone: keep or remove them "
                "first. Nothing was committed."
            )
        if not reply.edits:
            raise Refused(f"The draft has nothing to commit. {draft_tables.HOW_TO_BEGIN}")
        if not consent.comment:
            consent = dataclasses.replace(consent, comment=f"draft of {found.owner}")
        try:
            await carry_out(run, manager, list(reply.edits), found.cluster, consent)
        except Partial:  # it is committed; a machine has not applied it yet
            await _tidy(manager, found)
            raise
        if not consent.dry_run and consent.out is None:
            await _tidy(manager, found)


def _rows(
    level: LevelWord, name: str, settings: list[str] | None, cluster: str
) -> operators_pb2.DraftSelection:
    return operators_pb2.DraftSelection(
        level=level_ref(level, name, cluster), settings=parse_names(settings or [])
    )


async def _tidy(manager: Manager, found: DraftDocument) -> None:
    request = operators_pb2.ChangeDraftRequest(
        cluster=found.cluster, owner=found.owner, tidy=operators_pb2.DraftNothingMore()
    )
    await manager.ask(manager.drafts.ChangeDraft, request)


async def _read(manager: Manager, cluster: str, owner: str) -> operators_pb2.Draft:
    request = operators_pb2.GetDraftRequest(cluster=cluster, owner=owner)
    return await manager.ask(manager.drafts.GetDraft, request)


async def _change(  # noqa: PLR0913  # one for each change
    run: Run,
    manager: Manager,
    cluster: str,
    *,
    add: operators_pb2.DraftEdits | None = None,
    remove: operators_pb2.DraftSelection | None = None,
    keep: operators_pb2.DraftSelection | None = None,
    share: bool | None = None,
    discard: operators_pb2.DraftNothingMore | None = None,
    restore: operators_pb2.DraftNothingMore | None = None,
) -> None:
    request = operators_pb2.ChangeDraftRequest(
        cluster=cluster, add=add, remove=remove, keep=keep, discard=discard, restore=restore
    )
    if share is not None:
        request.share = share
    _emit(run, await manager.ask(manager.drafts.ChangeDraft, request))


def _emit(run: Run, reply: operators_pb2.Draft) -> None:
    found = draft_answers.draft(reply)
    run.out.emit(found, draft_tables.draft_pieces(found))
