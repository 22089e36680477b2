"""`tdc commit`: a cluster's history, and rolling back."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer
from tdc.manager.cli import change_tables
from tdc.manager.cli.changes import (
    DRY_END,
    Planned,
    change,
    commit_planned,
    make_plan,
    not_made,
    outcome,
    report,
    wait_for,
)
from tdc.manager.cli.client import Manager
from tdc.manager.cli.command import ChangeConsent, Commands, CommitConsent, Run, command
from tdc.manager.cli.errors import NotPermitted, Refused, WrongUsage
from tdc.manager.cli.layout import Line
from tdc.manager.cli.options import Cluster
from tdc.manager.cli.plan_file import PlanFile, read_plan
from tdc.manager.cli.words import when
from tdc.shared.wire import answers
from tdc.shared.wire.documents import ChangeDocument, PlanDocument
from tdc.v1 import fleet_pb2, operators_pb2

app = typer.Typer(
    cls=Commands, help="Show history; compare, undo, roll back; apply plans.", no_args_is_help=True
)

_PAGE = 1_000
"""Commits that a manager returns in one answer, at most (ListCommitsRequest)."""

Revision = Annotated[
    int,
    typer.Argument(metavar="REVISION", help="Revision to use.", min=1, show_default=False),
]


@command(app, "history")
async def history(
    run: Run,
    cluster: Cluster = "",
    limit: Annotated[
        int,
        typer.Option(
            "--limit", metavar="COMMITS", min=1, max=10_000, help="Maximum number of commits."
        ),
    ] = 50,
) -> None:
    """List a cluster's commits, newest first."""
    commits: list[fleet_pb2.Commit] = []
    async with run.manager() as manager:
        while len(commits) < limit:
            before = commits[-1].revision if commits else 0
            wanted = min(_PAGE, limit - len(commits))
            request = operators_pb2.ListCommitsRequest(cluster=cluster, limit=wanted, before=before)
            page = (await manager.ask(manager.changes.ListCommits, request)).commits
            commits.extend(page)
            if len(page) < wanted:
                break
    rows = [answers.commit(commit) for commit in commits]
    run.out.emit(rows, change_tables.history_pieces(rows))


@command(app, "show")
async def show(run: Run, revision: Revision, cluster: Cluster = "") -> None:
    """Show one commit with its changes."""
    async with run.manager() as manager:
        commit = await manager.ask(
            manager.changes.GetCommit,
            operators_pb2.GetCommitRequest(cluster=cluster, revision=revision),
        )
    document = answers.whole_commit(commit)
    run.out.emit(document, change_tables.commit_pieces(document))


@command(app, "diff")
async def diff(
    run: Run,
    first: Annotated[
        int,
        typer.Argument(metavar="FROM", help="Revision before.", min=1, show_default=False),
    ],
    second: Annotated[
        int | None,
        typer.Argument(
            metavar="TO",
            help="Revision after (default: the cluster as it is).",
            min=1,
            show_default=False,
        ),
    ] = None,
    cluster: Cluster = "",
) -> None:
    """Show what differs between two revisions: at levels, and in force on machines.

    What was renamed in between is the same group or machine.
    """
    request = operators_pb2.GetDifferenceRequest(
        cluster=cluster, from_revision=first, to_revision=second or 0
    )
    async with run.manager() as manager:
        found = answers.difference(await manager.ask(manager.changes.GetDifference, request))
    run.out.emit(found, change_tables.difference_pieces(found))


@command(app, "apply")
async def apply(
    run: Run,
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", help="A plan written with --out.", show_default=False),
    ],
    consent: CommitConsent,
) -> None:
    """Commit a plan that was kept in a file; shows it and asks.

    It is committed as it was planned, or refused if its outcome would be another now; and once,
    however often it is applied.
    """
    kept = read_plan(Path(file))
    if not consent.comment:
        consent = dataclasses.replace(consent, comment=kept.comment)
    async with run.manager() as manager:
        before = await _committed_before(manager, kept)
        if before is not None:
            said = f"This plan was committed before, as revision {before.revision}."
            run.out.emit(before, [Line(said)])
            await wait_for(run, manager, [before], consent)
            return
        plan = await _planned_again(manager, kept)
        if plan.fingerprint != kept.plan.fingerprint:
            run.out.emit(not_made(plan), change_tables.plan_pieces(plan))
            why = _differs(plan, kept)
            raise Refused(f"{_planned_by(kept)} {why} Nothing was committed. Make a new plan.")
        run.out.tell([Line(_planned_by(kept))])
        if consent.dry_run:
            run.out.emit(plan, [*change_tables.plan_pieces(plan), DRY_END])
            return
        planned = Planned(plan, kept.edits, kept.request_id)
        made = await commit_planned(run, manager, planned, consent)
        report(run, made, [outcome(made)])
        await wait_for(run, manager, [made], consent)


def _planned_by(kept: PlanFile) -> str:
    author, revision = kept.plan.author or "somebody", kept.plan.base_revision
    return f"Planned by {author} on revision {revision}, {when(kept.made_at)}."


async def _planned_again(manager: Manager, kept: PlanFile) -> PlanDocument:
    """The same edits, planned now."""
    try:
        return await make_plan(manager, kept.edits, kept.plan.cluster)
    except (Refused, WrongUsage) as error:
        raise type(error)(
            f"{_planned_by(kept)} It can't be made now: {error} What it names may have another "
            "name since, or its cluster's name be that of another one now. Nothing was committed. "
            "Make a new plan."
        ) from None


def _differs(plan: PlanDocument, kept: PlanFile) -> str:
    """Why a plan is not the one that was kept."""
    now, then = plan.base_revision, kept.plan.base_revision
    if now < then:
        return (
            f"Cluster {plan.cluster} is at revision {now}: it is another one by that name, or an "
            "older backup was restored."
        )
    return "The outcome is another now, see above; or this plan was committed before."


async def _committed_before(manager: Manager, kept: PlanFile) -> ChangeDocument | None:
    """The commit of this plan, if it is among the newest, and may be read."""
    cluster = kept.plan.cluster
    request = operators_pb2.ListCommitsRequest(cluster=cluster, limit=_PAGE)
    try:
        commits = (await manager.ask(manager.changes.ListCommits, request)).commits
    except NotPermitted:  # history is of whole clusters; a commit asks for less
        return None
    return next(
        (
            ChangeDocument(cluster=cluster, revision=each.revision, committed=True, plan=kept.plan)
            for each in commits
            if each.request_id == kept.request_id
        ),
        None,
    )


@command(app, "revert")
async def revert(
    run: Run, revision: Revision, consent: ChangeConsent, cluster: Cluster = ""
) -> None:
    """Undo one commit with a new one; shows the plan and asks.

    What came after REVISION stays. Refused if a later commit changed the same again. The disable
    rule does not apply.
    """
    if not consent.comment:
        consent = dataclasses.replace(consent, comment=f"revert of revision {revision}")
    edit = fleet_pb2.Edit(revert=fleet_pb2.RevertRevision(revision=revision))
    await change(run, edit, cluster, consent)


@command(app, "rollback")
async def rollback(
    run: Run, revision: Revision, consent: ChangeConsent, cluster: Cluster = ""
) -> None:
    """Roll back with a new commit; shows the plan and asks.

    Restores every level's settings as of REVISION, with the names of groups and machines and the
    places of machines. What was removed since is created again; what was created since stays. The
    disable rule does not apply.
    """
    if not consent.comment:  # an empty comment says nothing in a year
        consent = dataclasses.replace(consent, comment=f"rollback to revision {revision}")
    edit = fleet_pb2.Edit(restore=fleet_pb2.RestoreRevision(revision=revision))
    await change(run, edit, cluster, consent)
