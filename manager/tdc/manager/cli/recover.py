"""`tdc recover`: give a store back what it lost to an older backup, from the agents that run it."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer
from tdc.manager.cli.changes import carry_out
from tdc.manager.cli.command import ChangeConsent, Run, command
from tdc.manager.cli.errors import Partial
from tdc.manager.cli.layout import Line
from tdc.shared.wire.documents import CommittedDocument
from tdc.v1 import recovery_pb2

_NAMED = 20
"""Machines that are named of those of which it is not known what they run."""

ADOPT = (
    "Last step, once each cluster was recovered: the machines refuse this store's next commits, "
    "for they run revision {ahead} of it. Run `tdc-manager adopt` for the store, with the manager "
    "stopped if its etcd is the embedded one: it gives the store a new id, and the machines then "
    "follow it."
)

INCOMPLETE = (
    "Not recovered yet is what {machines}: nothing of it is known here. Run `tdc recover "
    "{cluster}` again when they are back: a machine that refuses the managers is at each of them "
    "within 5 minutes. `tdc-manager adopt` before that sets them back to what the store has, for "
    "good. Only a machine that never comes back need not be waited for."
)


def add_recover(app: typer.Typer) -> None:
    """Add `recover` as a command of `app` itself."""
    command(app, "recover")(recover)


async def recover(
    run: Run,
    cluster: Annotated[
        str, typer.Argument(metavar="CLUSTER", help="Name of the cluster.", show_default=False)
    ],
    consent: ChangeConsent,
) -> None:
    """Give a cluster back what its machines run; shows the plan and asks.

    For a store that was restored from an older backup. Agents are asked what they run, by whichever
    manager they are connected to; the plan has the fewest changes by which that is in force. If of
    some machines it is not known, they are named, and the exit code is 4.
    """
    async with run.manager() as manager:
        request = recovery_pb2.FindEditsRequest(cluster=cluster)
        found = await manager.ask(manager.recovery.FindEdits, request)
        run.out.tell(_known(found))
        if not consent.comment:
            machines = "1 machine runs" if found.known == 1 else f"{found.known} machines run"
            consent = dataclasses.replace(consent, comment=f"recovered from what {machines}")
        if found.edits:
            await carry_out(run, manager, list(found.edits), found.cluster, consent)
        else:
            document = CommittedDocument(found.cluster, found.revision, committed=False)
            run.out.emit(document, [Line(_no_change(found))])
    if found.unknown:
        raise Partial(INCOMPLETE.format(machines=_these(found), cluster=found.cluster))
    if found.ahead and not consent.dry_run and consent.out is None:
        run.out.tell([Line(ADOPT.format(ahead=found.ahead), "yellow")])


def _no_change(found: recovery_pb2.FindEditsResponse) -> str:
    stays = f"{found.cluster} stays at revision {found.revision}."
    if not found.unknown:
        return f"Nothing to recover: {stays}"
    if not found.known:
        return f"It is not known of any machine what it runs: {stays}"
    return f"What is known is in the store already: {stays}"


def _these(found: recovery_pb2.FindEditsResponse) -> str:
    """The machines of which it is not known, as a subject with its verb."""
    count = len(found.unknown)
    return f"{found.unknown[0].machine} runs" if count == 1 else f"{count} machines run"


def _known(found: recovery_pb2.FindEditsResponse) -> list[Line]:
    """Of how many machines it is known what they run, and the others by name."""
    total = found.known + len(found.unknown)
    lines = [Line(f"Known: what {found.known} of {total} machines of cluster {found.cluster} run.")]
    if not found.unknown:
        return lines
    lines.append(Line("Not known, so the plan may change what is in force there:", "yellow"))
    lines += [Line(f"  {each.machine}: {each.why}") for each in found.unknown[:_NAMED]]
    if len(found.unknown) > _NAMED:
        lines.append(Line(f"  and {len(found.unknown) - _NAMED} more: `tdc status`"))
    return lines
