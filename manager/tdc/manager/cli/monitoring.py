"""`tdc status` and `tdc delivery status`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer
from tdc.manager.cli import check_lines, status_pages, status_tables
from tdc.manager.cli.command import Commands, Run, command
from tdc.manager.cli.errors import CliError
from tdc.manager.cli.layout import Line
from tdc.manager.cli.options import OfCluster, OfGroup, OfMachine
from tdc.manager.cli.render import write
from tdc.manager.cli.usage import PlainCommand
from tdc.shared.wire import queue_answers
from tdc.v1 import operators_pb2

delivery_app = typer.Typer(
    cls=Commands, help="Show delivery to the intake; work on the queue.", no_args_is_help=True
)


_CHECK = "--check"


class _StatusCommand(PlainCommand):
    """With --check, wrong usage is UNKNOWN: 2 would be read as critical."""

    def make_context(self, info_name: str | None, args: list[str], *rest: Any, **named: Any) -> Any:
        """As PlainCommand does it."""
        checks = _CHECK in args
        try:
            return super().make_context(info_name, args, *rest, **named)
        except typer.Exit:  # --help
            raise
        except Exception as error:
            if not checks:
                raise
            check = check_lines.unknown(str(error))
            write(check.lines[0].text)
            raise typer.Exit(check.verdict) from None


def add_status(app: typer.Typer) -> None:
    """Add `status` as a command of `app` itself."""
    command(app, "status", cls=_StatusCommand)(status)


async def status(
    run: Run,
    cluster: OfCluster = "",
    group: OfGroup = "",
    machine: OfMachine = "",
    state: Annotated[
        list[str] | None,
        typer.Option(
            "--state",
            metavar="STATE",
            help="Only machines in this state, like offline; can be given several times.",
            show_default=False,
        ),
    ] = None,
    check: Annotated[
        bool,
        typer.Option(
            _CHECK, help="For monitoring: exit code 0 ok, 1 warning, 2 critical, 3 unknown."
        ),
    ] = False,
) -> None:
    """Show machines: sync state, health, copying, queued."""
    run.failed = _unknown if check else run.failed
    request = operators_pb2.StatusRequest(
        cluster=cluster, group=group, machine=machine, states=state or []
    )
    async with run.manager() as manager:
        rows, warnings = await status_pages.all_of(manager, request)
    if check:
        found = check_lines.checked(rows, warnings)
        run.out.emit(rows, found.lines)
        run.code = found.verdict
        return
    run.out.emit(rows, status_tables.status_pieces(rows))
    _tell(run, warnings)


def _tell(run: Run, warnings: Sequence[str]) -> None:
    if warnings:
        run.out.tell([Line(f"warning: {warning}", "yellow") for warning in warnings])


def _unknown(run: Run, error: CliError) -> int:
    """Say why there is no verdict: on standard output, which is what monitoring systems show."""
    check = check_lines.unknown(str(error))
    run.out.show(check.lines)
    return check.verdict


@command(delivery_app, "status")
async def delivery_status(run: Run, cluster: OfCluster = "", machine: OfMachine = "") -> None:
    """Show Delivery Status: the queue the.tdc.queue of each machine."""
    request = operators_pb2.DeliveryRequest(cluster=cluster, machine=machine)
    async with run.manager() as manager:
        reply = await manager.ask(manager.monitoring.GetDelivery, request)
    rows = [queue_answers.delivery(row) for row in reply.rows]
    run.out.emit(rows, status_tables.delivery_pieces(rows))
    _tell(run, reply.warnings)
