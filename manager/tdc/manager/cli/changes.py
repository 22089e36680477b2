"""A change from the operator's side: plan, show the blast radius, ask, commit.

In: edits. Out: a commit, or none, and what was said about it.
Promises: nothing is committed before its plan was shown or asked for as data; what is committed
is what was shown (the plan's fingerprint), and once (the request id).
"""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import Sequence

from tdc.manager.cli import documents
from tdc.manager.cli.change_tables import plan_pieces
from tdc.manager.cli.client import Manager
from tdc.manager.cli.command import Consent, Session
from tdc.manager.cli.documents import Document
from tdc.manager.cli.errors import OutputClosed, Refused
from tdc.manager.cli.layout import Line, clean
from tdc.manager.cli.render import OutputFormat, is_terminal
from tdc.v1 import fleet_pb2, operators_pb2


async def carry_out(
    session: Session,
    manager: Manager,
    edits: Sequence[fleet_pb2.Edit],
    cluster: str,
    consent: Consent,
    *,
    ask: bool = True,
) -> None:
    """Plan `edits` and commit them if the operator agrees; raises Refused.

    Without `ask` no question is put: for edits that change nothing that is in force.
    """
    plan = await manager.ask(
        manager.changes.MakePlan, operators_pb2.PlanRequest(cluster=cluster, edits=edits)
    )
    document = documents.plan(plan)
    if consent.dry_run:
        session.out.emit(document, [*plan_pieces(document), *_dry_end(document)])
        if plan.problems:
            raise Refused("This commit would be refused, for the problems named above.")
        return
    if plan.problems:
        _report_invalid(session, document)
        raise Refused("Nothing was committed, for the problems named above. Mend them first.")
    if not plan.levels and not plan.topology:
        _report(session, document, plan.base_revision, committed=False)
        return
    asking = ask and not consent.yes
    if asking or session.out.form is OutputFormat.TABLE:
        _show_before_commit(session, document)
    if asking:
        await _ask(document)
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
    _report(session, document, reply.revision, committed=reply.committed)


def _show_before_commit(session: Session, document: Document) -> None:
    """Show the plan: as the output, or beside it where the output is data."""
    pieces = plan_pieces(document)
    if session.out.form is OutputFormat.TABLE:
        session.out.show(pieces)
    else:
        session.out.tell(pieces)


def _report_invalid(session: Session, document: Document) -> None:
    session.out.emit(
        {
            "cluster": document["cluster"],
            "revision": document["base_revision"],
            "committed": False,
            "plan": document,
        },
        plan_pieces(document),
    )


def _dry_end(document: Document) -> list[Line]:
    return [] if document["problems"] else [Line("Dry run: nothing was committed.")]


async def _ask(document: Document) -> None:
    """Put the question on the terminal; raises Refused unless the answer is yes."""
    if not is_terminal(sys.stdin):
        raise Refused(
            "Nothing was committed: standard input is no terminal to ask on. "
            "Commit without the question by --yes, or look with --dry-run."
        )
    print(
        f"Commit this to {clean(document['cluster'])}? [y/N] ", end="", file=sys.stderr, flush=True
    )
    if (await _typed_line()).strip().lower() not in ("y", "yes"):
        raise Refused("Nothing was committed.")


async def _typed_line() -> str:
    """Return the next line typed; empty at the end of input.

    The event loop waits, not a read: a Ctrl-C a moment before a blocking read would be lost.
    """
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(sys.stdin, readable.set)
    line = ""
    try:
        await readable.wait()  # for as long as the operator thinks; Ctrl-C cancels it
        line = sys.stdin.readline()  # a terminal hands over whole lines
    finally:
        loop.remove_reader(sys.stdin)
        if not line.endswith("\n"):  # Ctrl-C, Ctrl-D: what is said next begins a line of its own
            print(file=sys.stderr, flush=True)
    return line


def _report(session: Session, plan: Document, revision: int, *, committed: bool) -> None:
    cluster = plan["cluster"]
    if committed:
        sentence = f"Committed revision {revision} of {cluster}."
    else:
        sentence = f"Nothing to change: {cluster} stays at revision {revision}."
    document = {"cluster": cluster, "revision": revision, "committed": committed, "plan": plan}
    try:
        session.out.emit(document, [Line(sentence)])
    except OutputClosed:
        session.out.tell([Line(sentence)])  # the one thing that must not go unsaid
        raise
