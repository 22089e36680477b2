"""`tdc recover`: give a store back what it lost to an older backup, from the agents that run it."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer
from tdc.manager.cli.changes import carry_out
from tdc.manager.cli.command import ChangeConsent, Run, command
from tdc.manager.cli.layout import Line
from tdc.shared.wire.documents import CommittedDocument
from tdc.v1 import recovery_pb2

_NAMED = 20
"""Machines that are named of those of which it is not known what they run."""

ADOPT = (
    "Last step: the machines refuse this store's next commits, for they run revision {ahead} of "
    "it. Run `tdc-manager adopt` for the store, with the manager stopped if its etcd is the "
    "embedded one: it gives the store a new id, and the machines then follow it."
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

    For a store that was restored from an older backup. The agents that are connected to this
    manager are asked what they run; the plan has the fewest changes by which that is in force.
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
            same = f"Nothing to recover: {found.cluster} stays at revision {found.revision}."
            document = CommittedDocument(found.cluster, found.revision, committed=False)
            run.out.emit(document, [Line(same)])
    if found.ahead and not consent.dry_run and consent.out is None:
        run.out.tell([Line(ADOPT.format(ahead=found.ahead), "yellow")])


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
