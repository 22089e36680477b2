"""`tdc export` and `tdc apply`: the fleet as a document, and back."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import typer
from tdc.manager.cli import fleet_file
from tdc.manager.cli.change_tables import plan_pieces
from tdc.manager.cli.changes import (
    DRY_END,
    HAS_PROBLEMS,
    WOULD_BE_REFUSED,
    Planned,
    changes_nothing,
    check_out,
    commit_planned,
    keep_plan,
    make_plan,
    not_made,
    outcome,
    report,
    wait_for,
)
from tdc.manager.cli.client import Manager
from tdc.manager.cli.command import ChangeConsent, Run, command
from tdc.manager.cli.errors import Refused, WrongUsage
from tdc.manager.cli.fleet_files import read_fleet
from tdc.manager.cli.fleet_schema import document_schema
from tdc.manager.cli.layout import Line, Piece
from tdc.manager.cli.options import OfCluster
from tdc.manager.cli.render import OutputFormat, as_yaml, write
from tdc.shared.wire.documents import ChangeDocument, PlanDocument
from tdc.v1 import fleet_pb2, operators_pb2

CHANGES = 2
"""The exit code of `apply --dry-run` where there is something to do."""


def add_export(app: typer.Typer) -> None:
    """Add `export` as a command of `app` itself."""
    command(app, "export")(export)


def add_apply(app: typer.Typer) -> None:
    """Add `apply` as a command of `app` itself."""
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
    consent: ChangeConsent,
    prune: Annotated[
        bool,
        typer.Option(
            "--prune",
            help="Remove groups and machines of the clusters named that the document does not "
            "name.",
        ),
    ] = False,
) -> None:
    """Make clusters what a document says; shows the plan of each and asks.

    A level with `settings` in the document holds exactly those afterwards. Each cluster is a commit
    of its own; none is made if one of them would be refused. A cluster that does not exist is
    created with --yes only. With --dry-run the exit code is 0 if there is nothing to do, and 2 if
    there is.
    """
    check_out(consent)
    fleet = read_fleet(files)
    if not fleet:
        run.out.emit([], [Line("Nothing to change: the document names no cluster.")])
        return
    async with run.manager() as manager:
        known = set(await _clusters(manager))
        missing = sorted(fleet.keys() - known)
        if missing and not (consent.yes or consent.dry_run):
            raise Refused(
                f"There is no cluster {missing[0]}. Create it (tdc cluster create {missing[0]}) or "
                "use --yes. Nothing was changed."
            )
        steps = [
            await _planned(manager, name, wanted, new=name in missing, prune=prune)
            for name, wanted in sorted(fleet.items())
        ]
        refused = any(step.plan.problems for step in steps if step.plan is not None)
        if consent.dry_run or refused:  # of several clusters none is changed if one can't be
            _show(run, steps, dry_run=consent.dry_run)
            if refused:
                raise Refused(WOULD_BE_REFUSED if consent.dry_run else HAS_PROBLEMS)
            if any(step.changes for step in steps):
                run.code = CHANGES
            return
        if consent.out is not None:
            _keep(run, steps, consent)
            return
        await _carry_out(run, manager, steps, consent)


@dataclass(frozen=True, slots=True)
class _Step:
    """What is to be done to one cluster; `plan` is None where there are no edits."""

    cluster: str
    new: bool
    edits: Sequence[fleet_pb2.Edit]
    plan: PlanDocument | None

    @property
    def changes(self) -> bool:
        """Whether there is anything to commit or create."""
        return self.new or (self.plan is not None and not changes_nothing(self.plan))


async def _planned(
    manager: Manager, name: str, wanted: fleet_file.ClusterWanted, *, new: bool, prune: bool
) -> _Step:
    """Plan what makes a cluster what the document says; raises Refused."""
    if new:
        now = fleet_pb2.ClusterSnapshot(
            cluster=name, groups=[fleet_pb2.GroupSnapshot(name=fleet_file.FIRST_GROUP)]
        )
    else:
        asked = operators_pb2.GetClusterRequest(cluster=name)
        now = await manager.ask(manager.changes.GetCluster, asked)
    edits = fleet_file.edits_for(name, wanted, now, prune=prune)
    if not edits and not new:
        return _Step(name, new, edits, None)
    plan = await make_plan(manager, edits, name, new_cluster=new)  # refuses a name, too
    return _Step(name, new, edits, plan if edits else None)


def _show(run: Run, steps: Sequence[_Step], *, dry_run: bool) -> None:
    """Show all plans, of which none is carried out."""
    plans = [step.plan for step in steps if step.plan is not None]
    pieces: list[Piece] = []
    for step in steps:
        if step.new:
            pieces.append(Line(f"There is no cluster {step.cluster}: it would be created."))
        if step.plan is not None:
            pieces += plan_pieces(step.plan)
        elif not step.new:
            pieces.append(_nothing_said(step))
    if dry_run and not any(plan.problems for plan in plans):
        pieces.append(DRY_END)
    run.out.emit(plans if dry_run else [not_made(plan) for plan in plans], pieces)


def _keep(run: Run, steps: Sequence[_Step], consent: ChangeConsent) -> None:
    """Write the one plan to a file; raises WrongUsage, Refused."""
    changing = [step for step in steps if step.changes]
    if len(changing) > 1 or any(step.new for step in changing):
        raise WrongUsage(
            "--out keeps the plan of one cluster that exists: apply clusters one by one. Nothing "
            "was committed or written."
        )
    if not changing:
        _show(run, steps, dry_run=False)
    for step in changing:
        assert step.plan is not None
        keep_plan(run, Planned(step.plan, step.edits), consent)


async def _carry_out(
    run: Run, manager: Manager, steps: Sequence[_Step], consent: ChangeConsent
) -> None:
    """Commit cluster by cluster; what was committed is printed also if a later one fails."""
    made: list[ChangeDocument] = []
    table = run.out.form is OutputFormat.TABLE
    try:
        for step in steps:
            if step.new:
                await _create(run, manager, step.cluster, consent)
            elif step.plan is None:
                run.out.tell([_nothing_said(step)])
            if step.plan is None:
                continue
            undone = f"Nothing was committed to {step.cluster}."
            change = await commit_planned(
                run, manager, Planned(step.plan, step.edits), consent, undone=undone
            )
            made.append(change)
            if table:
                report(run, change, [outcome(change)])
    finally:
        if not table:
            report(run, made, [outcome(change) for change in made])
    await wait_for(run, manager, made, consent)


def _nothing_said(step: _Step) -> Line:
    return Line(f"Nothing to change: the document says nothing of {step.cluster}.")


async def _clusters(manager: Manager) -> list[str]:
    reply = await manager.ask(manager.fleet.ListClusters, operators_pb2.ListClustersRequest())
    return [row.name for row in reply.clusters]


async def _create(run: Run, manager: Manager, name: str, consent: ChangeConsent) -> None:
    request_id = str(uuid.uuid4())
    await manager.commit(
        manager.fleet.CreateCluster,
        operators_pb2.CreateClusterRequest(
            name=name, comment=consent.comment, request_id=request_id
        ),
        request_id,
    )
    run.out.tell([Line(f"Created cluster {name} with the group {fleet_file.FIRST_GROUP}.")])
