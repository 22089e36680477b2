"""`tdc status` and `tdc delivery status`: how machines do."""

from __future__ import annotations

import typer
from tdc.manager.cli import documents, status_tables
from tdc.manager.cli.command import Session, command
from tdc.manager.cli.layout import Line
from tdc.manager.cli.options import OfCluster, OfGroup, OfMachine
from tdc.v1 import operators_pb2

delivery_app = typer.Typer(help="Delivery of copies to the intake.", no_args_is_help=True)


def add_status(app: typer.Typer) -> None:
    """Make `status` a command of `app` itself."""
    command(app, "status")(status)


async def status(
    session: Session, cluster: OfCluster = "", group: OfGroup = "", machine: OfMachine = ""
) -> None:
    """Show machines: in sync or not, copying, queued."""
    request = operators_pb2.StatusRequest(cluster=cluster, group=group, machine=machine)
    async with session.manager() as manager:
        reply = await manager.ask(manager.monitoring.GetStatus, request)
    rows = [documents.status_row(row) for row in reply.machines]
    session.out.emit(rows, status_tables.status_pieces(rows))
    if reply.warnings:
        session.out.tell([Line(f"warning: {warning}", "yellow") for warning in reply.warnings])


@command(delivery_app, "status")
async def delivery_status(
    session: Session, cluster: OfCluster = "", machine: OfMachine = ""
) -> None:
    """Show Delivery Status: the queue the.tdc.queue of each machine."""
    request = operators_pb2.DeliveryRequest(cluster=cluster, machine=machine)
    async with session.manager() as manager:
        reply = await manager.ask(manager.monitoring.GetDelivery, request)
    rows = [documents.delivery_row(row) for row in reply.rows]
    session.out.emit(rows, status_tables.delivery_pieces(rows))
