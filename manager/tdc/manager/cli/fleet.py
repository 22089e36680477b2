"""`tdc cluster`, `tdc group`, `tdc machine`: what there is, and making more of it."""

from __future__ import annotations

import re
import shlex
import uuid
from typing import Annotated

import typer
from tdc.manager.cli import documents, status_tables, tables
from tdc.manager.cli.changes import carry_out
from tdc.manager.cli.command import Consent, Session, command
from tdc.manager.cli.errors import Refused, WrongUsage
from tdc.manager.cli.layout import Line
from tdc.manager.cli.options import Cluster, Name, OfCluster, OfGroup
from tdc.v1 import fleet_pb2, operators_pb2

cluster_app = typer.Typer(help="Clusters: create, list, show.", no_args_is_help=True)
group_app = typer.Typer(help="Groups: create, list, show.", no_args_is_help=True)
machine_app = typer.Typer(
    help="Machines (gateways): create, list, show; join tokens.", no_args_is_help=True
)

_AGENT_FILE = "/etc/tdc/agent.toml"
"""Where the operator's guide puts a machine's own file."""

_LIFETIME = re.compile(r"([1-9][0-9]{0,6})(s|m|h|d)?")
_SECONDS = {"s": 1, None: 1, "m": 60, "h": 3_600, "d": 86_400}


@command(cluster_app, "create")
async def create_cluster(session: Session, name: Name, consent: Consent) -> None:
    """Create a cluster with the group Main_Group, as its revision 1."""
    async with session.manager() as manager:
        if consent.dry_run:
            known = await manager.ask(
                manager.fleet.ListClusters, operators_pb2.ListClustersRequest()
            )
            if any(row.name == name for row in known.clusters):
                raise Refused(f"There is a cluster {name} already.")
            session.out.emit(
                {"cluster": name, "revision": 0, "committed": False},
                [
                    Line(
                        f"No cluster is called {name}: it would be made, with the group Main_Group."
                    )
                ],
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
    session.out.emit(
        {"cluster": reply.cluster, "revision": reply.revision, "committed": reply.committed},
        [Line(f"Created the cluster {reply.cluster} with the group Main_Group.")],
    )


@command(cluster_app, "list")
async def list_clusters(session: Session) -> None:
    """List all clusters."""
    async with session.manager() as manager:
        reply = await manager.ask(manager.fleet.ListClusters, operators_pb2.ListClustersRequest())
    rows = [documents.cluster_row(row) for row in reply.clusters]
    session.out.emit(rows, tables.cluster_pieces(rows))


@command(cluster_app, "show")
async def show_cluster(session: Session, name: Name) -> None:
    """Show one cluster with its groups and their machines."""
    async with session.manager() as manager:
        found = await manager.ask(
            manager.fleet.ListClusters, operators_pb2.ListClustersRequest(name=name)
        )
        groups = await manager.ask(
            manager.fleet.ListGroups, operators_pb2.ListGroupsRequest(cluster=name)
        )
    document: documents.Document = {
        "name": found.clusters[0].name,
        "revision": found.clusters[0].revision,
        "groups": [{"name": row.name, "machines": list(row.machines)} for row in groups.groups],
    }
    session.out.emit(document, tables.cluster_detail_pieces(document))


@command(group_app, "create")
async def create_group(
    session: Session, name: Name, consent: Consent, cluster: Cluster = ""
) -> None:
    """Create an empty group in a cluster."""
    async with session.manager() as manager:
        edit = fleet_pb2.Edit(add_group=fleet_pb2.AddGroup(name=name))
        await carry_out(session, manager, [edit], cluster, consent, ask=False)


@command(group_app, "list")
async def list_groups(session: Session, cluster: OfCluster = "") -> None:
    """List groups, of all clusters or of one."""
    async with session.manager() as manager:
        reply = await manager.ask(
            manager.fleet.ListGroups, operators_pb2.ListGroupsRequest(cluster=cluster)
        )
    rows = [documents.group_row(row) for row in reply.groups]
    session.out.emit(rows, tables.group_pieces(rows))


@command(group_app, "show")
async def show_group(session: Session, name: Name, cluster: Cluster = "") -> None:
    """Show one group with its machines."""
    async with session.manager() as manager:
        reply = await manager.ask(
            manager.fleet.ListGroups, operators_pb2.ListGroupsRequest(cluster=cluster, name=name)
        )
    row = documents.group_row(reply.groups[0])
    session.out.emit(row, tables.group_pieces([row]))


@command(machine_app, "create")
async def create_machine(
    session: Session,
    name: Name,
    group: Annotated[
        str, typer.Option("--group", metavar="GROUP", help="The group it belongs to.")
    ],
    consent: Consent,
    cluster: Cluster = "",
) -> None:
    """Create a machine in a group; `tdc machine token` then lets it enrol."""
    async with session.manager() as manager:
        edit = fleet_pb2.Edit(add_machine=fleet_pb2.AddMachine(name=name, group=group))
        await carry_out(session, manager, [edit], cluster, consent, ask=False)


@command(machine_app, "list")
async def list_machines(session: Session, cluster: OfCluster = "", group: OfGroup = "") -> None:
    """List machines, of all clusters, of one, or of one group."""
    async with session.manager() as manager:
        reply = await manager.ask(
            manager.fleet.ListMachines,
            operators_pb2.ListMachinesRequest(cluster=cluster, group=group),
        )
    rows = [documents.machine_row(row) for row in reply.machines]
    session.out.emit(rows, tables.machine_pieces(rows))


@command(machine_app, "show")
async def show_machine(session: Session, name: Name, cluster: Cluster = "") -> None:
    """Show one machine: where it is, its overrides, its sync state."""
    async with session.manager() as manager:
        reply = await manager.ask(
            manager.fleet.ListMachines,
            operators_pb2.ListMachinesRequest(cluster=cluster, name=name),
        )
        row = documents.machine_row(reply.machines[0])
        status = await manager.ask(
            manager.monitoring.GetStatus,
            operators_pb2.StatusRequest(cluster=row["cluster"], machine=name),
        )
    states = [documents.status_row(machine) for machine in status.machines]
    document = {**row, "status": states[0] if states else None}
    pieces = [*tables.machine_pieces([row]), Line(), *status_tables.status_pieces(states)]
    session.out.emit(document, pieces)


@command(machine_app, "token")
async def create_token(
    session: Session,
    name: Name,
    cluster: Cluster = "",
    lifetime: Annotated[
        str, typer.Option("--lifetime", metavar="TIME", help="Until it expires: 90s, 10m, 2h, 1d.")
    ] = "10m",
) -> None:
    """Make a one-use join token for a machine; it is shown once."""
    seconds = parse_lifetime(lifetime)
    async with session.manager() as manager:
        reply = await manager.ask(
            manager.fleet.CreateJoinToken,
            operators_pb2.CreateJoinTokenRequest(machine=name, cluster=cluster, lifetime=seconds),
        )
    document = documents.token(name, reply, enrol_line(reply.enrol_address, reply.token))
    session.out.emit(document, tables.token_pieces(document))


def enrol_line(address: str, token: str) -> str:
    """Return the line to paste on the machine; its list of processes never shows the token."""
    return (
        f"echo {shlex.quote(token)} | tdc-agent enrol --config {_AGENT_FILE} "
        f"--manager {shlex.quote(address)} --token-file -"
    )


def parse_lifetime(text: str) -> int:
    """Return the seconds of `90s`, `10m`, `2h` or `1d`; raises WrongUsage."""
    match = _LIFETIME.fullmatch(text)
    if match is None:
        raise WrongUsage(f"{text!r} is not a lifetime such as 90s, 10m, 2h or 1d.")
    return int(match[1]) * _SECONDS[match[2]]
