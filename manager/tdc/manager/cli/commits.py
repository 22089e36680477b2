"""`tdc commit`: the history of a cluster, and going back in it."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer
from tdc.manager.cli import change_tables, documents
from tdc.manager.cli.changes import carry_out
from tdc.manager.cli.command import Consent, Session, command
from tdc.manager.cli.options import Cluster
from tdc.v1 import fleet_pb2, operators_pb2

app = typer.Typer(help="Commits: history, show, rollback.", no_args_is_help=True)

_PAGE = 1_000
"""The most commits that a manager gives in one answer (ListCommitsRequest)."""

Revision = Annotated[
    int,
    typer.Argument(metavar="REVISION", help="Revision of the commit.", min=1, show_default=False),
]


@command(app, "history")
async def history(
    session: Session,
    cluster: Cluster = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="Most commits.")] = 50,
) -> None:
    """List a cluster's commits, newest first."""
    commits: list[fleet_pb2.Commit] = []
    async with session.manager() as manager:
        while len(commits) < limit:
            before = commits[-1].revision if commits else 0
            wanted = min(_PAGE, limit - len(commits))
            request = operators_pb2.ListCommitsRequest(cluster=cluster, limit=wanted, before=before)
            page = (await manager.ask(manager.changes.ListCommits, request)).commits
            commits.extend(page)
            if len(page) < wanted:
                break
    rows = [documents.commit_row(commit) for commit in commits]
    session.out.emit(rows, change_tables.history_pieces(rows))


@command(app, "show")
async def show(session: Session, revision: Revision, cluster: Cluster = "") -> None:
    """Show one commit with its changes."""
    async with session.manager() as manager:
        commit = await manager.ask(
            manager.changes.GetCommit,
            operators_pb2.GetCommitRequest(cluster=cluster, revision=revision),
        )
    document = documents.whole_commit(commit)
    session.out.emit(document, change_tables.commit_pieces(document))


@command(app, "rollback")
async def rollback(
    session: Session, revision: Revision, consent: Consent, cluster: Cluster = ""
) -> None:
    """Go back to REVISION by a new commit: shows the plan, asks.

    Every level's settings become what they were at REVISION; the disable rule is not applied.
    """
    if not consent.comment:  # a history of dashes would say nothing in a year
        consent = dataclasses.replace(consent, comment=f"rollback to revision {revision}")
    edit = fleet_pb2.Edit(restore=fleet_pb2.RestoreRevision(revision=revision))
    async with session.manager() as manager:
        await carry_out(session, manager, [edit], cluster, consent)
