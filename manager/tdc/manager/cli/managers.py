"""`tdc manager`: the managers of the store, and the etcd of the one that is asked."""

from __future__ import annotations

import typer
from tdc.manager.cli import manager_tables
from tdc.manager.cli.command import Commands, Run, command
from tdc.manager.cli.layout import Line
from tdc.shared.wire import manager_answers
from tdc.v1 import managers_pb2

app = typer.Typer(cls=Commands, help="Show managers and their etcd.", no_args_is_help=True)


@command(app, "list")
async def list_managers(run: Run) -> None:
    """List the managers of this store, those that do not answer too."""
    async with run.manager() as manager:
        reply = await manager.ask(manager.managers.ListManagers, managers_pb2.ListManagersRequest())
    rows = [manager_answers.manager(each) for each in reply.managers]
    run.out.emit(rows, manager_tables.list_pieces(rows))


@command(app, "status")
async def status(run: Run) -> None:
    """Show the manager that is asked: its etcd, and what it wrote there."""
    async with run.manager() as manager:
        reply = await manager.ask(
            manager.managers.GetManagerStatus, managers_pb2.ManagerStatusRequest()
        )
    found = manager_answers.status(reply)
    run.out.emit(found, manager_tables.status_pieces(found))
    if found.warnings:
        run.out.tell([Line(f"warning: {warning}", "yellow") for warning in found.warnings])
