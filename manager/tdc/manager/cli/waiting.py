"""After a commit, with `--wait`: until each machine that it changes applied it, or said why not.

`judged` decides from the rows of `tdc status`; `wait` asks for them until all is said, or the
time that the operator gave is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tdc.manager.cli.client import Manager
from tdc.manager.cli.command import Run
from tdc.manager.cli.errors import sentence
from tdc.manager.cli.layout import Line
from tdc.shared.wire import answers
from tdc.shared.wire.documents import StatusDocument
from tdc.v1 import operators_pb2

BETWEEN = 0.5
"""Seconds between two looks."""
MOST_SHOWN = 20
"""Machines that are named in words; `tdc status` has them all."""

IN_SYNC = "in sync"
REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Said:
    """What the machines said of a revision: how many run it, which refuse it, which say nothing.

    The last two are sentences, one for each machine. `unenrolled` have never had an agent: they
    are not waited for.
    """

    applied: int
    unenrolled: int
    refused: tuple[str, ...]
    silent: tuple[str, ...]

    @property
    def all_of_them(self) -> bool:
        """Whether there is nothing to wait for."""
        return not self.silent


def judged(machines: Iterable[str], rows: Sequence[StatusDocument], revision: int) -> Said:
    """Judge the rows of a cluster by what each of `machines` says of `revision`.

    A machine that is no longer there has nothing to say. A row of an older revision says nothing:
    this manager has not seen the commit yet.
    """
    wanted = set(machines)
    applied, unenrolled, refused, silent = 0, 0, [], []
    for row in rows:
        if row.name not in wanted:
            continue
        now = row.wanted_revision >= revision
        if now and row.state == IN_SYNC:
            applied += 1
        elif now and row.state == REJECTED:
            refused.append(f"{row.name} refuses it: {row.reason}")
        elif row.since is None:
            unenrolled += 1
        else:
            why = f", {row.reason}" if row.reason else ""
            silent.append(f"{row.name} has not applied it: {row.state}{why}")
    return Said(applied, unenrolled, tuple(refused), tuple(silent))


async def wait(
    run: Run,
    manager: Manager,
    cluster: str,
    machines: Sequence[str],
    revision: int,
    limit: float,
) -> str:
    """Wait, `limit` seconds at most, and say how it ended; return what is wrong, or nothing.

    Only `machines` are waited for: those on which the commit changes what is in force.
    """
    if not machines:
        return ""
    said = await _until_said(manager, cluster, machines, revision, limit)
    others = (*said.refused, *said.silent)
    if others:
        shown = [Line(sentence(each), "red") for each in others[:MOST_SHOWN]]
        if len(others) > MOST_SHOWN:
            shown.append(Line(f"{len(others) - MOST_SHOWN} more: see `tdc status`."))
        run.out.tell(shown)
        after = f" after {limit:g} s" if said.silent else ""
        return (
            f"Revision {revision} of {cluster} is committed, but {len(others)} of "
            f"{_counted(len(others) + said.applied)} that it changes do not run it{after}. "
            f"`tdc status` says how that goes on; `tdc commit revert {revision}` undoes it."
        )
    none = f"; {said.unenrolled} not enrolled yet" if said.unenrolled else ""
    run.out.tell([Line(f"Applied on {_counted(said.applied)}{none}.")])
    return ""


def _counted(machines: int) -> str:
    return "1 machine" if machines == 1 else f"{machines} machines"


async def _until_said(
    manager: Manager, cluster: str, machines: Sequence[str], revision: int, limit: float
) -> Said:
    loop = asyncio.get_running_loop()
    until = loop.time() + limit
    request = operators_pb2.StatusRequest(cluster=cluster)
    while True:
        reply = await manager.ask(manager.monitoring.GetStatus, request)
        said = judged(machines, [answers.status(row) for row in reply.machines], revision)
        left = until - loop.time()
        if said.all_of_them or left <= 0:
            return said
        await asyncio.sleep(min(BETWEEN, left))
