"""`tdc status` and `tdc delivery status`."""

from __future__ import annotations

import typer
from tdc.manager.cli import status_tables
from tdc.manager.cli.command import Run, command
from tdc.manager.cli.layout import Line
from tdc.manager.cli.options import OfCluster, OfGroup, OfMachine
from tdc.shared.wire import answers
from tdc.v1 import operators_pb2

delivery_app = typer.Typer(
    help="Show delivery to the intake; work on the queue.", no_args_is_help=True
)


def add_status(app: typer.Typer) -> None:
    """Add `status` as a command of `app` itself."""
    command(app, "status")(status)


async def status(
    run: Run, cluster: OfCluster = "", group: OfGroup = "", machine: OfMachine = ""
) -> None:
    """Show machines: sync state, copying, queued."""
    request = operators_pb2.StatusRequest(cluster=cluster, group=group, machine=machine)
    async with run.manager() as manager:
        reply = await manager.ask(manager.monitoring.GetStatus, request)
    rows = [answers.status(row) for row in reply.machines]
    run.out.emit(rows, status_tables.status_pieces(rows))
    if reply.warnings:
        run.out.tell([Line(f"warning: {warning}", "yellow") for warning in reply.warnings])


@command(delivery_app, "status")
async def delivery_status(run: Run, cluster: OfCluster = "", machine: OfMachine = "") -> None:
    """Show Delivery Status: the queue the.tdc.queue of each machine."""
    request = operators_pb2.DeliveryRequest(cluster=cluster, machine=machine)
    async with run.manager() as manager:
        reply = await manager.ask(manager.monitoring.GetDelivery, request)
    rows = [answers.delivery(row) for row in reply.rows]
    run.out.emit(rows, status_tables.delivery_pieces(rows))
