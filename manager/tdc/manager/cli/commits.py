"""`tdc commit`: a cluster's history, and rolling back."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer
from tdc.manager.cli import change_tables
from tdc.manager.cli.changes import change
from tdc.manager.cli.command import Commands, CommitConsent, Run, command
from tdc.manager.cli.options import Cluster
from tdc.shared.wire import answers
from tdc.v1 import fleet_pb2, operators_pb2

app = typer.Typer(
    cls=Commands, help="Show history, compare, undo, roll back.", no_args_is_help=True
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
        int, typer.Option("--limit", min=1, max=10_000, help="Maximum number of commits.")
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
            metavar="[TO]",
            help="Revision after (default: the cluster as it is).",
            min=1,
            show_default=False,
        ),
    ] = None,
    cluster: Cluster = "",
) -> None:
    """Show what differs between two revisions: at levels, and in force on machines.

    A group that was renamed in between is the same group.
    """
    request = operators_pb2.GetDifferenceRequest(
        cluster=cluster, from_revision=first, to_revision=second or 0
    )
    async with run.manager() as manager:
        found = answers.difference(await manager.ask(manager.changes.GetDifference, request))
    run.out.emit(found, change_tables.difference_pieces(found))


@command(app, "revert")
async def revert(
    run: Run, revision: Revision, consent: CommitConsent, cluster: Cluster = ""
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
    run: Run, revision: Revision, consent: CommitConsent, cluster: Cluster = ""
) -> None:
    """Roll back with a new commit; shows the plan and asks.

    Restores every level's settings as of REVISION. The disable rule does not apply.
    """
    if not consent.comment:  # an empty comment says nothing in a year
        consent = dataclasses.replace(consent, comment=f"rollback to revision {revision}")
    edit = fleet_pb2.Edit(restore=fleet_pb2.RestoreRevision(revision=revision))
    await change(run, edit, cluster, consent)
