"""`tdc delivery dead`, `retry`, `move` and `drop`: the queues of machines.

In: which machines and copies. Out: what each machine answered, by name.
Promises: nothing is changed before the copies were counted and shown; only machines that were shown
are told; where it was not done, or is not known, the exit code says so.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import msgspec
import typer
from tdc.manager.cli.asking import confirm
from tdc.manager.cli.client import Manager
from tdc.manager.cli.command import Consent, Run, command
from tdc.manager.cli.errors import OutputClosed, Partial, Refused, WrongUsage
from tdc.manager.cli.layout import Line
from tdc.manager.cli.monitoring import delivery_app
from tdc.manager.cli.options import OfCluster, OfGroup
from tdc.manager.cli.queue_tables import dead_pieces, work_pieces, work_words
from tdc.manager.cli.render import OutputFormat
from tdc.manager.cli.words import counted
from tdc.shared.wire import queue_answers
from tdc.shared.wire.queue_documents import MachineDeadDocument, MachineWorkDocument, WorkDocument
from tdc.v1 import agents_pb2, operators_pb2

TIMEOUT = 60.0
"""Seconds to wait for the manager, which itself waits for machines."""

_DONE = {"retry": "Retried", "move": "Moved", "drop": "Dropped"}
_NONE_DID = "No machine can do it; each says why above. Nothing was done."


class Which(StrEnum):
    """Copies that work chooses."""

    WAITING = "waiting"
    DEAD = "dead"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Where:
    """Options of every command for queues: which machines."""

    cluster: OfCluster = ""
    group: OfGroup = ""
    machine: Annotated[
        list[str] | None,
        typer.Option(
            "--machine", metavar="MACHINE", help="Only this machine; can be given several times."
        ),
    ] = None

    def scope(self) -> operators_pb2.QueueScope:
        """As a request has it."""
        return operators_pb2.QueueScope(
            cluster=self.cluster, group=self.group, machines=self.machine or []
        )


OfIntake = Annotated[
    str,
    typer.Option(
        "--intake", metavar="ADDRESS", help="Only copies for this intake.", show_default=False
    ),
]
Mids = Annotated[
    list[int] | None,
    typer.Option(
        "--mid",
        metavar="MID",
        min=1,
        help="Only the copy of this number, with one --machine; can be given several times.",
    ),
]
OfWhich = Annotated[
    Which, typer.Option("--which", help="Copies that wait, dead copies, or all of them.")
]


async def dead(run: Run, where: Where, intake: OfIntake = "") -> None:
    """List dead copies, which are no longer tried."""
    request = operators_pb2.ListDeadRequest(scope=where.scope(), intake=intake)
    async with run.manager() as manager:
        reply = await manager.ask(manager.queue.ListDead, request)
    rows = [queue_answers.dead(row) for row in reply.machines]
    run.out.emit(rows, dead_pieces(rows))
    _judge(rows, "The list is incomplete")


async def retry(
    run: Run,
    where: Where,
    consent: Consent,
    intake: OfIntake = "",
    mid: Mids = None,
    which: OfWhich = Which.DEAD,
) -> None:
    """Try copies at once; shows the counts and asks.

    Dead copies are queued again; copies that wait for their next attempt are due now.
    """
    work = agents_pb2.RetryCopies(selection=_selection(intake, mid, which))
    await _carry_out(run, _request(where, mid, retry=work), consent)


async def move(
    run: Run,
    where: Where,
    consent: Consent,
    from_intake: Annotated[
        str,
        typer.Option("--from", metavar="ADDRESS", help="Intake that the copies were taken for."),
    ],
    to_intake: Annotated[
        str,
        typer.Option("--to", metavar="ADDRESS", help="Intake to send them to; must be in force."),
    ],
    mid: Mids = None,
    which: OfWhich = Which.ALL,
) -> None:
    """Send copies to another intake; shows the counts and asks."""
    selection = _selection(from_intake, mid, which)
    work = agents_pb2.MoveCopies(selection=selection, to_intake=to_intake)
    await _carry_out(run, _request(where, mid, move=work), consent)


async def drop(
    run: Run,
    where: Where,
    consent: Consent,
    intake: OfIntake = "",
    mid: Mids = None,
    which: OfWhich = Which.ALL,
) -> None:
    """Delete copies for good; shows the counts and asks."""
    if not intake and not mid:
        raise WrongUsage("Say which copies to drop: --intake ADDRESS, or --mid MID.")
    work = agents_pb2.DropCopies(selection=_selection(intake, mid, which))
    await _carry_out(run, _request(where, mid, drop=work), consent)


def _selection(intake: str, mids: list[int] | None, which: Which) -> agents_pb2.CopySelection:
    return agents_pb2.CopySelection(
        intake=intake, mids=mids or [], waiting=which != Which.DEAD, dead=which != Which.WAITING
    )


def _request(where: Where, mids: list[int] | None, **work: Any) -> operators_pb2.QueueWorkRequest:
    if mids and len(where.machine or []) != 1:
        raise WrongUsage("Each machine numbers its copies itself: give --mid with one --machine.")
    return operators_pb2.QueueWorkRequest(scope=where.scope(), **work)


async def _carry_out(run: Run, request: operators_pb2.QueueWorkRequest, consent: Consent) -> None:
    """Count, show, ask, order, show; raises Refused, Partial."""
    async with run.manager() as manager:
        counts = await manager.ask(manager.queue.CountCopies, request)
        plan = queue_answers.work(request, counts)
        chosen = [row for row in plan.machines if row.copies and not row.problem]
        if consent.dry_run or not chosen:
            run.out.emit(plan, [*work_pieces(plan), *_nothing_done(plan.machines, chosen)])
            _judge(plan.machines, "Not all copies were counted")
            return
        if run.out.form is OutputFormat.TABLE:
            run.out.show(work_pieces(plan))
        elif not consent.yes:
            run.out.tell(work_pieces(plan))
        if not consent.yes:
            await confirm(_question(plan, chosen), "Nothing was done.", dry_run=True)
        outcome = await _order(manager, request, plan, chosen, consent.comment)
    _report(run, plan, outcome)


def _nothing_done(
    machines: Sequence[MachineWorkDocument], chosen: Sequence[MachineWorkDocument]
) -> list[Line]:
    """Why it ends here; where no machine can do it, only what each of them says."""
    if chosen:
        return [Line("Dry run: nothing was done.")]
    answered = [row for row in machines if not row.problem]
    if answered and len(answered) < len(machines):
        return [Line("There is nothing to do on the machines that answered.")]
    return [Line("There is nothing to do.")] if answered or not machines else []


async def _order(
    manager: Manager,
    request: operators_pb2.QueueWorkRequest,
    plan: WorkDocument,
    chosen: Sequence[MachineWorkDocument],
    comment: str,
) -> WorkDocument:
    """Order the work from the machines that were shown to have such copies."""
    order = operators_pb2.QueueWorkRequest()
    order.CopyFrom(request)
    order.scope.CopyFrom(
        operators_pb2.QueueScope(cluster=plan.cluster, machines=[row.machine for row in chosen])
    )
    order.comment = comment
    order.request_id = str(uuid.uuid4())
    reply = await manager.commit(manager.queue.DoWork, order, order.request_id)
    return queue_answers.work(request, reply)


def _question(plan: WorkDocument, chosen: Sequence[MachineWorkDocument]) -> str:
    words = work_words(
        plan.kind, sum(row.copies for row in chosen), plan.from_intake, plan.to_intake
    )
    return f"{words.capitalize()} on {counted(len(chosen), 'machine', 'machines')}?"


def _report(run: Run, plan: WorkDocument, outcome: WorkDocument) -> None:
    """Show what came of it; machines that could not even be counted belong to the document."""
    problems = [
        Line(f"{row.machine}: {row.problem or row.waits}", "yellow")
        for row in outcome.machines
        if row.problem or row.waits
    ]
    told = {row.machine for row in outcome.machines}
    rest = tuple(row for row in plan.machines if row.problem and row.machine not in told)
    whole = msgspec.structs.replace(outcome, machines=(*outcome.machines, *rest))
    end = Line(_end(outcome))
    try:
        run.out.emit(whole, [*problems, end])
    except OutputClosed:
        run.out.tell([end])  # the operator must learn of it
        raise
    _judge(whole.machines, "Not done everywhere")


def _end(outcome: WorkDocument) -> str:
    if not outcome.committed:
        return "Nothing was left to do."
    done = [row for row in outcome.machines if not row.problem]
    copies = counted(sum(row.copies for row in done), "copy", "copies")
    return (
        f"{_DONE[outcome.kind]} {copies} on {counted(len(done), 'machine', 'machines')}; "
        f"revision {outcome.revision} of {outcome.cluster} records it."
    )


def _judge(rows: Sequence[MachineDeadDocument | MachineWorkDocument], what: str) -> None:
    """Raise Partial, or Refused, if machines have problems; the output has named them."""
    missing = [row for row in rows if row.problem]
    if rows and len(missing) == len(rows):
        raise Refused(_NONE_DID)
    if missing:
        raise Partial(f"{what}: {len(missing)} of {len(rows)} machines; each is named above.")


for _name, _body in (("dead", dead), ("retry", retry), ("move", move), ("drop", drop)):
    command(delivery_app, _name, timeout=TIMEOUT)(_body)
