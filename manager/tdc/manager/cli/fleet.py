"""`tdc cluster`, `tdc group`, `tdc machine`: lists, creation, join tokens."""

from __future__ import annotations

import shlex
import uuid
from typing import Annotated

import typer
from tdc.manager.cli import status_tables, tables
from tdc.manager.cli.asking import agreed
from tdc.manager.cli.changes import change
from tdc.manager.cli.command import ChangeConsent, Commands, Consent, Run, command
from tdc.manager.cli.errors import Refused, WrongUsage, sentence
from tdc.manager.cli.layout import Line
from tdc.manager.cli.options import (
    Cluster,
    ClusterName,
    GroupName,
    MachineName,
    NewName,
    OfCluster,
    OfGroup,
    Yes,
)
from tdc.shared.settings.schema import SettingError
from tdc.shared.settings.text import parse_duration
from tdc.shared.settings.values import Level
from tdc.shared.wire import answers
from tdc.shared.wire.documents import CommittedDocument, PlanDocument, WithdrawnDocument
from tdc.v1 import fleet_pb2, operators_pb2

cluster_app = typer.Typer(cls=Commands, help="Manage clusters.", no_args_is_help=True)
group_app = typer.Typer(cls=Commands, help="Manage groups.", no_args_is_help=True)
machine_app = typer.Typer(
    cls=Commands, help="Manage machines (gateways) and their join tokens.", no_args_is_help=True
)

_AGENT_FILE = "/etc/tdc/agent.toml"
"""A machine's own file, where the operator's guide puts it."""

_LONGEST = 2**31 - 1
"""Seconds that a request can hold."""


@command(cluster_app, "create")
async def create_cluster(run: Run, name: ClusterName, consent: Consent) -> None:
    """Create a cluster with the group Main_Group."""
    async with run.manager() as manager:
        if consent.dry_run:
            known = await manager.ask(
                manager.fleet.ListClusters, operators_pb2.ListClustersRequest()
            )
            if any(row.name == name for row in known.clusters):
                raise Refused(f"Cluster {name} already exists.")
            run.out.emit(
                CommittedDocument(cluster=name, revision=0, committed=False),
                [Line(f"Would create cluster {name} with the group Main_Group.")],
            )
            return
        request_id = str(uuid.uuid4())
        reply = await manager.commit(
            manager.fleet.CreateCluster,
            operators_pb2.CreateClusterRequest(
                name=name, comment=consent.comment, request_id=request_id
            ),
            request_id,
        )
    run.out.emit(
        answers.committed(reply),
        [Line(f"Created cluster {reply.cluster} with the group Main_Group.")],
    )


@command(cluster_app, "list")
async def list_clusters(run: Run) -> None:
    """List all clusters."""
    async with run.manager() as manager:
        reply = await manager.ask(manager.fleet.ListClusters, operators_pb2.ListClustersRequest())
    rows = [answers.cluster(row) for row in reply.clusters]
    run.out.emit(rows, tables.cluster_pieces(rows))


@command(cluster_app, "show")
async def show_cluster(run: Run, name: ClusterName) -> None:
    """Show one cluster with its groups and their machines."""
    async with run.manager() as manager:
        found = await manager.ask(
            manager.fleet.ListClusters, operators_pb2.ListClustersRequest(name=name)
        )
        groups = await manager.ask(
            manager.fleet.ListGroups, operators_pb2.ListGroupsRequest(cluster=name)
        )
    document = answers.cluster_detail(found.clusters[0], groups.groups)
    run.out.emit(document, tables.cluster_detail_pieces(document))


@command(cluster_app, "delete")
async def delete_cluster(run: Run, name: ClusterName, consent: ChangeConsent) -> None:
    """Delete a cluster without machines; shows the plan and asks.

    Its groups and settings go. Its history stays readable, and the name can be used again.
    """
    edit = fleet_pb2.Edit(remove_cluster=fleet_pb2.RemoveCluster(name=name))
    await change(run, edit, name, consent, question=_delete_question)


def _delete_question(plan: PlanDocument) -> str:
    groups = sum(each.level is Level.GROUP for each in plan.topology)
    goes = f"{_counted(groups, 'group')} and {_counted(len(plan.levels), 'setting')}"
    stays = _counted(plan.base_revision, "commit")
    return f"Delete cluster {plan.cluster} with {goes}? Its history of {stays} stays readable."


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


@command(cluster_app, "rename")
async def rename_cluster(run: Run, name: ClusterName, to: NewName, consent: ChangeConsent) -> None:
    """Give a cluster another name; shows the plan and asks.

    Its machines go on copying, and all that is in it stays, its history too.
    """
    edit = fleet_pb2.Edit(rename_cluster=fleet_pb2.RenameCluster(name=name, to=to))
    await change(run, edit, name, consent)


@command(group_app, "create")
async def create_group(
    run: Run, name: GroupName, consent: ChangeConsent, cluster: Cluster = ""
) -> None:
    """Create an empty group in a cluster."""
    edit = fleet_pb2.Edit(add_group=fleet_pb2.AddGroup(name=name))
    await change(run, edit, cluster, consent, ask=False)


@command(group_app, "rename")
async def rename_group(
    run: Run, name: GroupName, to: NewName, consent: ChangeConsent, cluster: Cluster = ""
) -> None:
    """Give a group another name; its settings and machines stay with it."""
    edit = fleet_pb2.Edit(rename_group=fleet_pb2.RenameGroup(name=name, to=to))
    await change(run, edit, cluster, consent)


@command(group_app, "delete")
async def delete_group(
    run: Run,
    name: GroupName,
    consent: ChangeConsent,
    move_to: Annotated[
        str,
        typer.Option(
            "--move-to",
            metavar="GROUP",
            help="Group that its machines go to; required if it has any.",
            show_default=False,
        ),
    ] = "",
    cluster: Cluster = "",
) -> None:
    """Delete a group and its settings; shows the plan and asks."""
    edit = fleet_pb2.Edit(remove_group=fleet_pb2.RemoveGroup(name=name, move_to=move_to))
    await change(run, edit, cluster, consent)


@command(group_app, "list")
async def list_groups(run: Run, cluster: OfCluster = "") -> None:
    """List groups, of all clusters or of one cluster."""
    async with run.manager() as manager:
        reply = await manager.ask(
            manager.fleet.ListGroups, operators_pb2.ListGroupsRequest(cluster=cluster)
        )
    rows = [answers.group(row) for row in reply.groups]
    run.out.emit(rows, tables.group_pieces(rows))


@command(group_app, "show")
async def show_group(run: Run, name: GroupName, cluster: Cluster = "") -> None:
    """Show one group with its machines."""
    async with run.manager() as manager:
        reply = await manager.ask(
            manager.fleet.ListGroups, operators_pb2.ListGroupsRequest(cluster=cluster, name=name)
        )
    row = answers.group(reply.groups[0])
    run.out.emit(row, tables.group_pieces([row]))


@command(machine_app, "create")
async def create_machine(
    run: Run,
    name: MachineName,
    group: Annotated[
        str, typer.Option("--group", metavar="GROUP", help="Group that it belongs to.")
    ],
    consent: ChangeConsent,
    cluster: Cluster = "",
) -> None:
    """Create a machine in a group; enrol it with `tdc machine token`."""
    edit = fleet_pb2.Edit(add_machine=fleet_pb2.AddMachine(name=name, group=group))
    await change(run, edit, cluster, consent, ask=False)


@command(machine_app, "move")
async def move_machine(
    run: Run,
    name: MachineName,
    group: Annotated[
        str, typer.Option("--to", metavar="GROUP", help="Group of the same cluster to move it to.")
    ],
    consent: ChangeConsent,
    cluster: Cluster = "",
) -> None:
    """Move a machine to another group with its own settings; shows the plan and asks."""
    edit = fleet_pb2.Edit(move_machine=fleet_pb2.MoveMachine(name=name, group=group))
    await change(run, edit, cluster, consent)


@command(machine_app, "rename")
async def rename_machine(
    run: Run, name: MachineName, to: NewName, consent: ChangeConsent, cluster: Cluster = ""
) -> None:
    """Give a machine another name; shows the plan and asks.

    It goes on copying, and keeps its settings and its queue. Its agent takes the name by itself.
    """
    edit = fleet_pb2.Edit(rename_machine=fleet_pb2.RenameMachine(name=name, to=to))
    await change(run, edit, cluster, consent)


@command(machine_app, "remove")
async def remove_machine(
    run: Run,
    name: MachineName,
    consent: ChangeConsent,
    stop_copying: Annotated[
        bool,
        typer.Option(
            "--stop-copying",
            help="Its agent takes no more copies (default: it keeps running on its last settings).",
        ),
    ] = False,
    cluster: Cluster = "",
) -> None:
    """Remove a machine: ends its stream, refuses its certificate; shows the plan and asks.

    Mail is never stopped: the agent passes originals on, and delivers the copies that it has.
    """
    edit = fleet_pb2.Edit(
        remove_machine=fleet_pb2.RemoveMachine(name=name, stop_copying=stop_copying)
    )
    await change(run, edit, cluster, consent)


@command(machine_app, "list")
async def list_machines(run: Run, cluster: OfCluster = "", group: OfGroup = "") -> None:
    """List machines, of all clusters, one cluster or one group."""
    async with run.manager() as manager:
        reply = await manager.ask(
            manager.fleet.ListMachines,
            operators_pb2.ListMachinesRequest(cluster=cluster, group=group),
        )
    rows = [answers.machine(row) for row in reply.machines]
    run.out.emit(rows, tables.machine_pieces(rows))


@command(machine_app, "show")
async def show_machine(run: Run, name: MachineName, cluster: Cluster = "") -> None:
    """Show one machine: its place, overrides and sync state."""
    async with run.manager() as manager:
        reply = await manager.ask(
            manager.fleet.ListMachines,
            operators_pb2.ListMachinesRequest(cluster=cluster, name=name),
        )
        row = reply.machines[0]
        status = await manager.ask(
            manager.monitoring.GetStatus,
            operators_pb2.StatusRequest(cluster=row.cluster, machine=name),
        )
    states = [answers.status(machine) for machine in status.machines]
    document = answers.machine_detail(row, states[0] if states else None)
    pieces = [*tables.machine_pieces([document]), Line(), *status_tables.status_pieces(states)]
    if states and states[0].suspension is not None and states[0].suspension.resumed_by:
        pieces.append(status_tables.suspension_lines(states[0].suspension)[-1])
    run.out.emit(document, pieces)


@command(machine_app, "token")
async def create_token(
    run: Run,
    name: MachineName,
    cluster: Cluster = "",
    lifetime: Annotated[
        str,
        typer.Option("--lifetime", metavar="TIME", help="How long it is valid: 90s, 10m, 2h, 1d."),
    ] = "10m",
) -> None:
    """Create a join token for a machine: works once, shown once."""
    seconds = parse_lifetime(lifetime)
    async with run.manager() as manager:
        reply = await manager.ask(
            manager.fleet.CreateJoinToken,
            operators_pb2.CreateJoinTokenRequest(machine=name, cluster=cluster, lifetime=seconds),
        )
    document = answers.token(name, reply, enrol_line(reply.enrol_address, reply.token))
    run.out.emit(document, tables.token_pieces(document))


@command(machine_app, "withdraw")
async def withdraw_certificate(
    run: Run,
    name: MachineName,
    cluster: Cluster = "",
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why, for who is denied.")
    ] = "",
    yes: Yes = False,
) -> None:
    """Withdraw a machine's certificate: its stream ends, and every manager denies it.

    Mail and copies go on with its last settings. A new join token brings it back.
    """
    async with run.manager() as manager:
        question = f"Withdraw the certificate of machine {name}? It needs a join token then."
        await agreed(question, yes=yes)
        reply = await manager.ask(
            manager.fleet.WithdrawCertificate,
            operators_pb2.WithdrawCertificateRequest(machine=name, cluster=cluster, reason=reason),
        )
    run.out.emit(
        WithdrawnDocument(
            machine=reply.machine, cluster=reply.cluster, unheard=tuple(reply.unheard)
        ),
        [
            Line(
                f"The certificate of machine {reply.machine} of cluster {reply.cluster} is "
                f"withdrawn{'' if reply.unheard else ', at every manager'}. Mail and copies go on "
                "there with its last settings."
            ),
            *(
                Line(
                    f"{each}. The certificate stays good there until that manager hears of this. "
                    "Stop that manager if that must not be.",
                    "yellow",
                )
                for each in reply.unheard
            ),
            Line(
                f"To bring it back: tdc machine token {reply.machine} --cluster {reply.cluster}, "
                "then tdc-agent enrol on the machine."
            ),
        ],
    )


def enrol_line(address: str, token: str) -> str:
    """The line to paste on the machine; the token never shows in its process list."""
    return (
        f"echo {shlex.quote(token)} | tdc-agent enrol --config {_AGENT_FILE} "
        f"--manager {shlex.quote(address)} --token-file -"
    )


def parse_lifetime(text: str) -> int:
    """Seconds of `90s`, `10m`, `2h` or `1d`; raises WrongUsage.

    The manager says what is too long. It takes 0 for its default, which nobody means by 0s.
    """
    try:
        seconds = parse_duration("--lifetime", text)
    except SettingError as error:
        raise WrongUsage(sentence(str(error))) from None
    if not seconds:
        raise WrongUsage(f"--lifetime: {text.strip()} is too short: must be at least 1s.")
    return min(seconds, _LONGEST)
