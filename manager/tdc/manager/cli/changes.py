"""A change, from the operator's side: plan, show the blast radius, ask, commit.

In: edits. Out: a commit or none, and a report of it.
Promises: nothing is committed before its plan was shown, or was asked for as data; what is
committed is what was shown (the plan's fingerprint), and only once (the request id).
"""

from __future__ import annotations

import shlex
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tdc.manager.cli.asking import confirm
from tdc.manager.cli.change_tables import is_renamed_machine, plan_pieces
from tdc.manager.cli.client import Manager
from tdc.manager.cli.command import ChangeConsent, CommitConsent, Run
from tdc.manager.cli.errors import OutputClosed, Partial, Refused, WrongUsage
from tdc.manager.cli.layout import Line
from tdc.manager.cli.plan_file import write_plan
from tdc.manager.cli.render import OutputFormat
from tdc.manager.cli.waiting import Limit, wait
from tdc.shared.wire import answers
from tdc.shared.wire.documents import ChangeDocument, PlanDocument
from tdc.v1 import fleet_pb2, operators_pb2

DRY_END = Line("Dry run: nothing was committed.")
WOULD_BE_REFUSED = "This commit would be refused: see the problems above."
HAS_PROBLEMS = "Nothing was committed. Fix the problems above first."

Question = Callable[[PlanDocument], str]


def question_of(plan: PlanDocument) -> str:
    """What is asked before a plan is committed."""
    return f"Commit this to {plan.cluster}?"


async def change(
    run: Run,
    edit: fleet_pb2.Edit,
    cluster: str,
    consent: ChangeConsent,
    *,
    ask: bool = True,
    question: Question = question_of,
) -> None:
    """Connect, and carry out one edit; raises Refused, NoConnection."""
    async with run.manager() as manager:
        await carry_out(run, manager, [edit], cluster, consent, ask=ask, question=question)


async def carry_out(
    run: Run,
    manager: Manager,
    edits: Sequence[fleet_pb2.Edit],
    cluster: str,
    consent: ChangeConsent,
    *,
    ask: bool = True,
    question: Question = question_of,
) -> None:
    """Plan `edits` and commit them if the operator agrees; raises Refused.

    Without `ask` there is no question: for edits that change nothing in force.
    """
    check_out(consent)
    plan = await make_plan(manager, edits, cluster)
    if consent.dry_run:
        run.out.emit(plan, [*plan_pieces(plan), *([] if plan.problems else [DRY_END])])
        if plan.problems:
            raise Refused(WOULD_BE_REFUSED)
        return
    if plan.problems:
        run.out.emit(not_made(plan), plan_pieces(plan))
        raise Refused(HAS_PROBLEMS)
    planned = Planned(plan, edits)
    if consent.out is not None:
        keep_plan(run, planned, consent)
        return
    made = await commit_planned(run, manager, planned, consent, ask=ask, question=question)
    report(run, made, [outcome(made)])
    await wait_for(run, manager, [made], consent)


def check_out(consent: ChangeConsent) -> None:
    """Raise WrongUsage where a dry run is to write a file."""
    if consent.out is not None and consent.dry_run:
        raise WrongUsage("--out commits nothing by itself: leave out --dry-run.")


def keep_plan(run: Run, planned: Planned, consent: ChangeConsent) -> None:
    """Show a plan without problems and write it to the file of --out; raises Refused."""
    assert consent.out is not None
    plan = planned.plan
    if changes_nothing(plan):
        run.out.emit(not_made(plan), [outcome(not_made(plan))])
        return
    write_plan(consent.out, plan, planned.edits, consent.comment)
    said = (
        f"Nothing was committed. `tdc commit apply {shlex.quote(str(consent.out))}` commits it, by "
        "anyone who may make this change."
    )
    run.out.emit(plan, [*plan_pieces(plan), Line(said)])


async def make_plan(
    manager: Manager, edits: Sequence[fleet_pb2.Edit], cluster: str, *, new_cluster: bool = False
) -> PlanDocument:
    """Ask for the plan; with `new_cluster` as if the cluster had just been created."""
    request = operators_pb2.PlanRequest(cluster=cluster, edits=edits, new_cluster=new_cluster)
    return answers.plan(await manager.ask(manager.changes.MakePlan, request))


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan and the edits that it is of; `request_id` is empty if it was never kept."""

    plan: PlanDocument
    edits: Sequence[fleet_pb2.Edit]
    request_id: str = ""


async def commit_planned(
    run: Run,
    manager: Manager,
    planned: Planned,
    consent: CommitConsent,
    *,
    ask: bool = True,
    undone: str = "Nothing was committed.",
    question: Question = question_of,
) -> ChangeDocument:
    """Show a plan without problems, ask, and commit it; raises Refused, with `undone` after a no.

    Prints no outcome.
    """
    plan = planned.plan
    if changes_nothing(plan):
        return not_made(plan)
    asking = ask and not consent.yes
    if asking or run.out.form is OutputFormat.TABLE:
        _show_before_commit(run, plan)
    if asking:
        await confirm(question(plan), undone, dry_run=True)
    request_id = planned.request_id or str(uuid.uuid4())
    reply = await manager.commit(
        manager.changes.MakeCommit,
        operators_pb2.CommitRequest(
            cluster=plan.cluster,
            edits=planned.edits,
            fingerprint=plan.fingerprint,
            comment=consent.comment,
            request_id=request_id,
        ),
        request_id,
    )
    return ChangeDocument(
        cluster=reply.cluster or plan.cluster,  # it may have another name by now
        revision=reply.revision,
        committed=reply.committed,
        plan=plan,
    )


async def wait_for(
    run: Run, manager: Manager, made: Sequence[ChangeDocument], consent: CommitConsent
) -> None:
    """With --wait, wait for the machines of each commit; raises Partial, after all of them.

    The limit is one for all of them.
    """
    problems, limit = [], Limit.from_now(consent.wait_limit)
    for each in made if consent.wait else ():
        if each.committed:
            names = {change.name for change in each.plan.machines}
            names |= {place.name for place in each.plan.topology if is_renamed_machine(place)}
            machines = sorted(names)
            problem = await wait(run, manager, each.cluster, machines, each.revision, limit)
            problems += [problem] if problem else []
    if problems:
        raise Partial(" ".join(problems))


def changes_nothing(plan: PlanDocument) -> bool:
    """Whether there is nothing to commit."""
    return not plan.levels and not plan.topology


def not_made(plan: PlanDocument) -> ChangeDocument:
    """The change that a plan stands for, if it is not committed."""
    return ChangeDocument(
        cluster=plan.cluster, revision=plan.base_revision, committed=False, plan=plan
    )


def report(run: Run, document: object, outcomes: Sequence[Line]) -> None:
    """Print what was done; on standard error if standard output is gone. Raises OutputClosed."""
    try:
        run.out.emit(document, outcomes)
    except OutputClosed:
        run.out.tell(outcomes)  # the operator must learn of a commit
        raise


def outcome(made: ChangeDocument) -> Line:
    """Whether something was committed, in a sentence."""
    if made.committed:
        return Line(f"Committed revision {made.revision} of {made.cluster}.")
    return Line(f"Nothing to change: {made.cluster} stays at revision {made.revision}.")


def _show_before_commit(run: Run, plan: PlanDocument) -> None:
    """Show the plan on standard output, or on standard error where the output is data."""
    pieces = plan_pieces(plan)
    if run.out.form is OutputFormat.TABLE:
        run.out.show(pieces)
    else:
        run.out.tell(pieces)
