"""A change, from the operator's side: plan, show the blast radius, ask, commit.

In: edits. Out: a commit or none, and a report of it.
Promises: nothing is committed before its plan was shown, or was asked for as data; what is
committed is what was shown (the plan's fingerprint), and only once (the request id).
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from tdc.manager.cli.asking import confirm
from tdc.manager.cli.change_tables import plan_pieces
from tdc.manager.cli.client import Manager
from tdc.manager.cli.command import CommitConsent, Run
from tdc.manager.cli.errors import OutputClosed, Refused
from tdc.manager.cli.layout import Line
from tdc.manager.cli.render import OutputFormat
from tdc.manager.cli.waiting import wait
from tdc.shared.wire import answers
from tdc.shared.wire.documents import ChangeDocument, PlanDocument
from tdc.v1 import fleet_pb2, operators_pb2


async def change(
    run: Run, edit: fleet_pb2.Edit, cluster: str, consent: CommitConsent, *, ask: bool = True
) -> None:
    """Connect, and carry out one edit; raises Refused, NoConnection."""
    async with run.manager() as manager:
        await carry_out(run, manager, [edit], cluster, consent, ask=ask)


async def carry_out(
    run: Run,
    manager: Manager,
    edits: Sequence[fleet_pb2.Edit],
    cluster: str,
    consent: CommitConsent,
    *,
    ask: bool = True,
) -> PlanDocument:
    """Plan `edits` and commit them if the operator agrees; the plan. Raises Refused.

    Without `ask` there is no question: for edits that change nothing in force.
    """
    plan = answers.plan(
        await manager.ask(
            manager.changes.MakePlan, operators_pb2.PlanRequest(cluster=cluster, edits=edits)
        )
    )
    if consent.dry_run:
        run.out.emit(plan, [*plan_pieces(plan), *_dry_end(plan)])
        if plan.problems:
            raise Refused("This commit would be refused: see the problems above.")
        return plan
    if plan.problems:
        run.out.emit(_change(plan, plan.base_revision, committed=False), plan_pieces(plan))
        raise Refused("Nothing was committed. Fix the problems above first.")
    if not plan.levels and not plan.topology:
        _report(run, plan, plan.base_revision, committed=False)
        return plan
    asking = ask and not consent.yes
    if asking or run.out.form is OutputFormat.TABLE:
        _show_before_commit(run, plan)
    if asking:
        await confirm(f"Commit this to {plan.cluster}?", "Nothing was committed.")
    request_id = str(uuid.uuid4())
    reply = await manager.commit(
        manager.changes.MakeCommit,
        operators_pb2.CommitRequest(
            cluster=plan.cluster,
            edits=edits,
            fingerprint=plan.fingerprint,
            comment=consent.comment,
            request_id=request_id,
        ),
        request_id,
    )
    _report(run, plan, reply.revision, committed=reply.committed)
    if consent.wait and reply.committed:
        changed = sorted({each.name for each in plan.machines})
        await wait(run, manager, plan.cluster, changed, reply.revision, consent.wait_limit)
    return plan


def _show_before_commit(run: Run, plan: PlanDocument) -> None:
    """Show the plan on standard output, or on standard error where the output is data."""
    pieces = plan_pieces(plan)
    if run.out.form is OutputFormat.TABLE:
        run.out.show(pieces)
    else:
        run.out.tell(pieces)


def _dry_end(plan: PlanDocument) -> list[Line]:
    return [] if plan.problems else [Line("Dry run: nothing was committed.")]


def _report(run: Run, plan: PlanDocument, revision: int, *, committed: bool) -> None:
    if committed:
        sentence = f"Committed revision {revision} of {plan.cluster}."
    else:
        sentence = f"Nothing to change: {plan.cluster} stays at revision {revision}."
    try:
        run.out.emit(_change(plan, revision, committed=committed), [Line(sentence)])
    except OutputClosed:
        run.out.tell([Line(sentence)])  # the operator must learn of a commit
        raise


def _change(plan: PlanDocument, revision: int, *, committed: bool) -> ChangeDocument:
    return ChangeDocument(cluster=plan.cluster, revision=revision, committed=committed, plan=plan)
