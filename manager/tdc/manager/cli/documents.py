"""`tdc export` and `tdc apply`: the fleet as a document, and back."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from typing import Annotated

import typer
from tdc.manager.cli import fleet_file
from tdc.manager.cli.changes import carry_out
from tdc.manager.cli.client import Manager
from tdc.manager.cli.command import CommitConsent, Run, command
from tdc.manager.cli.errors import Refused, WrongUsage
from tdc.manager.cli.fleet_files import read_fleet
from tdc.manager.cli.fleet_schema import document_schema
from tdc.manager.cli.layout import Line
from tdc.manager.cli.options import OfCluster
from tdc.manager.cli.render import OutputFormat, as_yaml, write
from tdc.v1 import fleet_pb2, operators_pb2

CHANGES = 2
"""The exit code of `apply --dry-run` where there is something to do."""


def add_documents(app: typer.Typer) -> None:
    """Add the commands to `tdc` itself."""
    command(app, "export")(export)
    command(app, "apply")(apply)


async def export(
    run: Run,
    cluster: OfCluster = "",
    revision: Annotated[
        int | None,
        typer.Option(
            "--revision",
            metavar="REVISION",
            min=1,
            help="As the cluster was at this revision (default: as it is).",
            show_default=False,
        ),
    ] = None,
    schema: Annotated[
        bool,
        typer.Option(
            "--schema",
            help="Print the JSON Schema of a document, for editors; works without a manager.",
        ),
    ] = False,
) -> None:
    """Print clusters, groups, machines and settings as a document for `tdc apply`."""
    if schema:
        if cluster or revision is not None:
            raise WrongUsage("--schema is the same for all: leave out --cluster and --revision.")
        write(json.dumps(document_schema(), indent=2) + "\n")
        return
    async with run.manager() as manager:
        names = [cluster] if cluster or revision else await _clusters(manager)
        found = [
            await manager.ask(
                manager.changes.GetCluster,
                operators_pb2.GetClusterRequest(cluster=name, revision=revision or 0),
            )
            for name in names
        ]
    document = fleet_file.document_of(found)
    if run.out.form is OutputFormat.TABLE:
        write(as_yaml(document))
    else:
        run.out.emit(document, [])


async def apply(
    run: Run,
    files: Annotated[
        list[str],
        typer.Option(
            "--file",
            "-f",
            metavar="FILE",
            help="A document, a folder of documents, or - for standard input; may be repeated.",
            show_default=False,
        ),
    ],
    consent: CommitConsent,
    prune: Annotated[
        bool,
        typer.Option(
            "--prune",
            help="Remove groups and machines of the clusters named that the document does not "
            "name.",
        ),
    ] = False,
) -> None:
    """Make clusters what a document says: one commit for each; shows the plan and asks.

    A level with `settings` in the document holds exactly those afterwards. With --dry-run the exit
    code is 0 if there is nothing to do, and 2 if there is.
    """
    fleet = read_fleet(files)
    async with run.manager() as manager:
        known = set(await _clusters(manager))
        missing = sorted(fleet.keys() - known)
        if missing and not (consent.yes or consent.dry_run):  # before any of them is changed
            raise Refused(
                f"There is no cluster {missing[0]}. Create it (tdc cluster create {missing[0]}) or "
                "use --yes. Nothing was changed."
            )
        for name, wanted in sorted(fleet.items()):
            if name in missing and not await _created(run, manager, name, wanted, consent):
                continue
            now = await manager.ask(
                manager.changes.GetCluster, operators_pb2.GetClusterRequest(cluster=name)
            )
            edits = fleet_file.edits_for(name, wanted, now, prune=prune)
            if not edits:
                run.out.tell([Line(f"Nothing to change: the document says nothing of {name}.")])
                continue
            plan = await carry_out(run, manager, edits, name, consent)
            if consent.dry_run and (plan.levels or plan.topology):
                run.code = CHANGES


async def _clusters(manager: Manager) -> list[str]:
    reply = await manager.ask(manager.fleet.ListClusters, operators_pb2.ListClustersRequest())
    return [row.name for row in reply.clusters]


async def _created(
    run: Run,
    manager: Manager,
    name: str,
    wanted: fleet_file.ClusterWanted,
    consent: CommitConsent,
) -> bool:
    """Create a cluster that is not there; False for a dry run, which only says what it would do."""
    if consent.dry_run:
        run.code = CHANGES
        empty = fleet_pb2.ClusterSnapshot(
            cluster=name, groups=[fleet_pb2.GroupSnapshot(name=fleet_file.FIRST_GROUP)]
        )
        edits = fleet_file.edits_for(name, wanted, empty, prune=False)
        run.out.tell([Line(f"Would create cluster {name}{_with(edits)}.")])
        return False
    request_id = str(uuid.uuid4())
    await manager.commit(
        manager.fleet.CreateCluster,
        operators_pb2.CreateClusterRequest(
            name=name, comment=consent.comment, request_id=request_id
        ),
        request_id,
    )
    run.out.tell([Line(f"Created cluster {name} with the group {fleet_file.FIRST_GROUP}.")])
    return True


def _with(edits: Iterable[fleet_pb2.Edit]) -> str:
    kinds = [edit.WhichOneof("kind") for edit in edits]
    groups, machines = kinds.count("add_group"), kinds.count("add_machine")
    return f" with {groups + 1} groups and {machines} machines"
