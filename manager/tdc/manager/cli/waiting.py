"""After a commit, with `--wait`: until each machine that it changes applied it, or said why not.

`judged` decides from the rows of `tdc status`; `wait` asks for them until all is said, or the
time that the operator gave is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tdc.manager.cli import status_pages
from tdc.manager.cli.client import Manager
from tdc.manager.cli.command import Run
from tdc.manager.cli.errors import CliError, NoConnection, Refused, sentence
from tdc.manager.cli.layout import Line
from tdc.manager.cli.words import counted
from tdc.shared.wire.documents import StatusDocument
from tdc.v1 import fleet_pb2, operators_pb2

BETWEEN = 0.5
"""Seconds between two looks, at least."""
SPARING = 4
"""A pause is so many times as long as the answer took: of 10 000 machines it is work, at a time
when the manager has these machines to serve."""
LEAST = 1.0
"""Seconds that the manager has for an answer, also where the limit is over sooner."""
MOST_SHOWN = 20
"""Machines that are named in words; `tdc status` has them all."""

IN_SYNC = "in sync"
REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Said:
    """What the machines said of a revision: how many run it, which refuse it, which say nothing.

    The last two are sentences, one for each machine. `unenrolled` have never had an agent, and
    `gone` were removed meanwhile: they are not waited for.
    """

    applied: int
    unenrolled: int
    refused: tuple[str, ...]
    silent: tuple[str, ...]
    gone: int = 0

    @property
    def all_of_them(self) -> bool:
        """Whether there is nothing to wait for."""
        return not self.silent


def judged(machines: Iterable[str], rows: Sequence[StatusDocument], revision: int) -> Said:
    """Judge the rows of a cluster by what each of `machines` says of `revision`.

    A machine that is no longer there has nothing to say. A row of an older revision says nothing:
    this manager has not seen the commit yet.
    """
    seen = max((row.wanted_revision for row in rows), default=revision) >= revision
    known = {row.name: row for row in rows}
    applied, unenrolled, gone, refused, silent = 0, 0, 0, list[str](), list[str]()
    for name in machines:
        row = known.get(name)
        now = row is not None and row.wanted_revision >= revision
        if row is None and seen:
            gone += 1
        elif row is None:
            silent.append(f"{name} is not known to this manager yet")
        elif now and row.state == IN_SYNC:
            applied += 1
        elif now and row.state == REJECTED:
            refused.append(f"{name} refuses it: {row.reason}")
        elif row.since is None:
            unenrolled += 1
        else:
            why = f", {row.reason}" if row.reason else ""
            silent.append(f"{name} has not applied it: {row.state}{why}")
    return Said(applied, unenrolled, tuple(refused), tuple(silent), gone)


@dataclass(frozen=True, slots=True)
class Limit:
    """How long is waited for all commits of one command: seconds, and the loop's time of the end.

    A manager that is not reached meanwhile, because it is restarted say, is asked again.
    """

    seconds: float
    end: float

    @classmethod
    def from_now(cls, seconds: float) -> Limit:
        """Begin to wait."""
        return cls(seconds, asyncio.get_running_loop().time() + seconds)

    def left(self) -> float:
        """Seconds, none if it is over."""
        return max(0.0, self.end - asyncio.get_running_loop().time())


async def wait(
    run: Run, manager: Manager, cluster: str, machines: Sequence[str], revision: int, limit: Limit
) -> str:
    """Wait until the limit at most, and say how it ended; return what is wrong, or nothing.

    Only `machines` are waited for: those on which the commit changes what is in force, and those
    that it renames. A machine that is renamed meanwhile is waited for by its new name.
    """
    if not machines:
        text = "Nothing to wait for: nothing changes in force on a machine that stays."
        run.out.tell([Line(text)])
        return ""
    said = await _until_said(manager, cluster, machines, revision, limit)
    made = f"Revision {revision} of {cluster} is committed, but"
    then = (
        f"`tdc status` says how that goes on; `tdc commit revert {revision} --cluster {cluster}` "
        "undoes it."
    )
    if isinstance(said, CliError):
        return f"{made} whether the machines run it is not known: {sentence(str(said))} {then}"
    others = (*said.refused, *said.silent)
    if others:
        shown = [Line(sentence(each), "red") for each in others[:MOST_SHOWN]]
        if len(others) > MOST_SHOWN:
            shown.append(Line(f"{len(others) - MOST_SHOWN} more: see `tdc status`."))
        run.out.tell(shown)
        after = f" after {limit.seconds:g} s" if said.silent else ""
        of_all = counted(len(others) + said.applied, "machine", "machines")
        return f"{made} does not run on {len(others)} of {of_all} that it changes{after}. {then}"
    parts = [f"Applied on {counted(said.applied, 'machine', 'machines')}"]
    parts += [f"{said.unenrolled} not enrolled yet"] if said.unenrolled else []
    parts += [f"{said.gone} removed meanwhile"] if said.gone else []
    run.out.tell([Line(f"{'; '.join(parts)}.")])
    return ""


async def _until_said(
    manager: Manager, cluster: str, machines: Sequence[str], revision: int, limit: Limit
) -> Said | CliError:
    """What the machines said in the end, or why the manager could not be asked then."""
    loop = asyncio.get_running_loop()
    while True:
        begin = loop.time()
        said = await _look(manager, cluster, machines, revision, limit)
        if limit.left() <= 0 or (isinstance(said, Said) and said.all_of_them):
            return said
        pause = max(BETWEEN, SPARING * (loop.time() - begin))
        await asyncio.sleep(min(pause, limit.left()))


async def _look(
    manager: Manager, cluster: str, machines: Sequence[str], revision: int, limit: Limit
) -> Said | CliError:
    request = operators_pb2.StatusRequest(cluster=cluster)
    try:
        async with asyncio.timeout(max(LEAST, limit.left())):
            rows, _ = await status_pages.all_of(manager, request)
            called = await _called_now(manager, cluster, rows, revision)
    except TimeoutError:
        return NoConnection("the manager does not answer")
    except CliError as error:
        return error
    return judged([called.get(name, name) for name in machines], rows, revision)


async def _called_now(
    manager: Manager, cluster: str, rows: Sequence[StatusDocument], revision: int
) -> dict[str, str]:
    """The names now of machines that later commits gave other names, by those at `revision`."""
    now = max((row.wanted_revision for row in rows), default=revision)
    if now <= revision:
        return {}
    request = operators_pb2.GetDifferenceRequest(
        cluster=cluster, from_revision=revision, to_revision=now
    )
    try:
        since = await manager.ask(manager.changes.GetDifference, request)
    except Refused:  # history can't be read now: they are looked for by the names that they had
        return {}
    return {
        each.before_name: each.name
        for each in since.topology
        if each.level == fleet_pb2.LEVEL_MACHINE and each.before_name not in ("", each.name)
    }
