"""`tdc machine suspend` and `resume`: machines taken out for a while, no setting changed.

In: which machines, which work, why and until when. Out: what is wanted of each machine now.
Promises: an empty choice never means all; nothing is done before it was shown; a machine that does
not do it at once is named, with the reason.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from tdc.manager.cli.asking import confirm
from tdc.manager.cli.client import Manager
from tdc.manager.cli.command import Assent, Run, command
from tdc.manager.cli.errors import OutputClosed, WrongUsage, sentence
from tdc.manager.cli.fleet import machine_app
from tdc.manager.cli.layout import Cell, Column, Grid, Line, Piece
from tdc.manager.cli.options import Cluster, LevelWord
from tdc.manager.cli.render import OutputFormat
from tdc.manager.cli.selection import Selection, chosen
from tdc.manager.cli.status_tables import suspended_words
from tdc.manager.cli.words import counted, first_names, when
from tdc.shared.edge.clock import wall
from tdc.shared.settings.schema import SettingError
from tdc.shared.settings.text import parse_duration
from tdc.shared.wire.suspension_answers import suspensions
from tdc.shared.wire.suspension_documents import SuspendedPartDocument, SuspensionsDocument
from tdc.v1 import operators_pb2

_LOOK = (
    "It may or may not have been done. `tdc status` says what is wanted and what is in force; to "
    "run the command again does no harm."
)
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="[NAME]...", help="Names of machines.", show_default=False),
]


@dataclass(frozen=True, slots=True)
class Machines:
    """Options that choose machines instead of names."""

    match: Annotated[
        str,
        typer.Option(
            "--match",
            metavar="PATTERN",
            help="All machines whose name matches, as in 'mx*'; instead of names.",
            show_default=False,
        ),
    ] = ""
    group: Annotated[
        str,
        typer.Option(
            "--group",
            metavar="GROUP",
            help="All machines of this group, or those that match; instead of names.",
            show_default=False,
        ),
    ] = ""

    async def names(self, manager: Manager, names: Sequence[str], cluster: str) -> list[str]:
        """The machines that are meant; raises Refused, WrongUsage."""
        if names and (self.match or self.group):
            raise WrongUsage(
                "--match and --group choose machines, instead of names. Nothing was changed."
            )
        selection = Selection(self.match, self.group)
        return await chosen(manager, LevelWord.MACHINE, names, selection, cluster)


@dataclass(frozen=True, slots=True)
class Works:
    """Options that say which work is meant; both without them."""

    copying: Annotated[
        bool, typer.Option("--copying", help="Only copying: originals pass on uncopied.")
    ] = False
    delivery: Annotated[
        bool,
        typer.Option("--delivery", help="Only delivery: copies are taken and kept, none is sent."),
    ] = False

    @property
    def both(self) -> tuple[bool, bool]:
        """Whether copying and delivery are meant."""
        return (self.copying, self.delivery) if self.copying or self.delivery else (True, True)

    @property
    def words(self) -> str:
        """What is meant: `copying and delivery`."""
        named = [
            word for word, meant in zip(("copying", "delivery"), self.both, strict=True) if meant
        ]
        return " and ".join(named)


@dataclass(frozen=True, slots=True)
class Terms:
    """Options that say why, and when it ends by itself; never without `--for` and `--until`."""

    reason: Annotated[
        str,
        typer.Option(
            "--reason",
            metavar="TEXT",
            help="Why, for those who find it so; required.",
            show_default=False,
        ),
    ] = ""
    lasts: Annotated[
        str,
        typer.Option(
            "--for",
            metavar="TIME",
            help="Resumes by itself after it: 30m, 2h, 1d.",
            show_default=False,
        ),
    ] = ""
    until: Annotated[
        str,
        typer.Option(
            "--until",
            metavar="TIME",
            help="Resumes by itself then: 18:00, 2026-11-28T18:00, 2026-11-28T18:00Z.",
            show_default=False,
        ),
    ] = ""

    def fill(self, request: operators_pb2.SuspendRequest) -> None:
        """Put them into a request; raises WrongUsage."""
        if not self.reason.strip():
            raise WrongUsage("Say why, for those who find the machine so: --reason TEXT.")
        request.reason = self.reason
        if self.lasts and self.until:
            raise WrongUsage("Give --for or --until, not both. Nothing was changed.")
        if self.lasts:
            request.lifetime = parse_lasting(self.lasts)
        if self.until:
            now = datetime.fromtimestamp(wall(), UTC).astimezone()
            request.until.FromDatetime(parse_until(self.until, now))


async def suspend(
    run: Run,
    works: Works,
    machines: Machines,
    assent: Assent,
    terms: Terms,
    names: Names = None,
    cluster: Cluster = "",
) -> None:
    """Suspend copying, delivery or both on machines; asks first. Mail is never stopped.

    No setting changes, and no other machine. It lasts until it is resumed, or until its end, also
    while the machine reaches no manager.
    """
    copying, delivery = works.both
    request = operators_pb2.SuspendRequest(cluster=cluster, copying=copying, delivery=delivery)
    terms.fill(request)
    async with run.manager() as manager:
        request.machines.extend(await machines.names(manager, names or [], cluster))
        request.check_only = True
        checked = suspensions(await manager.ask(manager.fleet.SuspendMachines, request), done=False)
        if not await _agreed(run, checked, assent, f"Suspend {works.words} on"):
            return
        request.check_only, request.request_id = False, str(uuid.uuid4())
        reply = await manager.once(manager.fleet.SuspendMachines, request, _LOOK)
    _report(run, suspensions(reply, done=True), f"Suspended {works.words} on")


async def resume(
    run: Run,
    works: Works,
    machines: Machines,
    assent: Assent,
    names: Names = None,
    cluster: Cluster = "",
) -> None:
    """Resume copying, delivery or both on machines; asks first.

    Copies that were kept meanwhile are delivered; those that were missed are not brought back.
    """
    copying, delivery = works.both
    request = operators_pb2.ResumeRequest(cluster=cluster, copying=copying, delivery=delivery)
    async with run.manager() as manager:
        request.machines.extend(await machines.names(manager, names or [], cluster))
        request.check_only = True
        checked = suspensions(await manager.ask(manager.fleet.ResumeMachines, request), done=False)
        if not await _agreed(run, checked, assent, f"Resume {works.words} on"):
            return
        request.check_only, request.request_id = False, str(uuid.uuid4())
        reply = await manager.once(manager.fleet.ResumeMachines, request, _LOOK)
    _report(run, suspensions(reply, done=True), f"Resumed {works.words} on")


async def _agreed(run: Run, checked: SuspensionsDocument, assent: Assent, question: str) -> bool:
    """Show what would be, and ask; False where it ends here. Raises Refused."""
    changed = [row.machine for row in checked.machines if row.changed]
    if assent.dry_run or not changed:
        would = "Dry run: nothing was done. The table shows how it would be."
        end = would if changed else "There is nothing to do."
        run.out.emit(checked, [*_pieces(checked), Line(end)])
        return False
    if run.out.form is OutputFormat.TABLE:
        run.out.show(_pieces(checked))
    elif not assent.yes:
        run.out.tell(_pieces(checked))
    if not assent.yes:
        await confirm(f"{question} {_machines(changed)}?", "Nothing was changed.", dry_run=True)
    return True


def _report(run: Run, done: SuspensionsDocument, words: str) -> None:
    changed = [row.machine for row in done.machines if row.changed]
    end = [
        Line(f"{words} {_machines(changed)}." if changed else "Nothing was left to do."),
        Line("`tdc status` shows what is in force."),
    ]
    try:
        run.out.emit(done, end)
    except OutputClosed:
        run.out.tell(end)  # the operator must learn of it
        raise


def _machines(names: Sequence[str]) -> str:
    shown = first_names(names, hint="")
    return f"{counted(len(names), 'machine', 'machines')} ({shown})"


def _pieces(document: SuspensionsDocument) -> list[Piece]:
    """What is wanted of each machine once it is done, and who waits with it."""
    columns = [
        Column("MACHINE", folds=True),
        Column("CHANGES"),
        Column("COPYING", folds=True),
        Column("DELIVERY", folds=True),
        Column("UNTIL", folds=True),
    ]
    rows: list[list[Cell | str]] = [
        [
            row.machine,
            "yes" if row.changed else "no",
            _work(row.copying),
            _work(row.delivery),
            _until(row.copying, row.delivery),
        ]
        for row in document.machines
    ]
    parts = [
        (work, part)
        for row in document.machines
        for work, part in (("copying", row.copying), ("delivery", row.delivery))
        if part
    ]
    why = dict.fromkeys(f"{work} is suspended {suspended_words(part)}" for work, part in parts)
    waits = [
        Line(f"{row.machine}: not at once: {row.waits}", "yellow")
        for row in document.machines
        if row.changed and row.waits
    ]
    return [Grid(columns, rows), *map(Line, why), *waits]


def _work(part: SuspendedPartDocument | None) -> Cell:
    return Cell("suspended", "yellow") if part else Cell("goes on", "green")


def _until(copying: SuspendedPartDocument | None, delivery: SuspendedPartDocument | None) -> str:
    """When it ends by itself; of each part, where they differ."""
    parts = (("copying", copying), ("delivery", delivery))
    ends = {work: when(part.until) if part.until else "no end" for work, part in parts if part}
    if len(set(ends.values())) > 1:
        return ", ".join(f"{work}: {end}" for work, end in ends.items())
    return next(iter(ends.values()), "-")


def parse_lasting(text: str) -> int:
    """Seconds of `30m`, `2h` or `1d`; raises WrongUsage."""
    try:
        seconds = parse_duration("--for", text)
    except SettingError as error:
        raise WrongUsage(sentence(str(error))) from None
    if not seconds:
        raise WrongUsage(f"--for: {text.strip()} is too short: must be at least 1s.")
    return min(seconds, 2**53)


def parse_until(text: str, now: datetime) -> datetime:
    """The moment that is meant, in `now`'s time zone if the text has none; raises WrongUsage.

    A time without a date is the next one there is.
    """
    clock = _CLOCK.fullmatch(text.strip())
    if clock is not None:
        found = now.replace(hour=int(clock[1]), minute=int(clock[2]), second=0, microsecond=0)
        return found if found > now else found + timedelta(days=1)
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise WrongUsage(
            f"--until: {text!r} is not a time: write 18:00, 2026-11-28T18:00 (local time), or "
            "2026-11-28T18:00Z."
        ) from None
    if found.tzinfo is None:
        found = found.replace(tzinfo=now.tzinfo)
    if found <= now:
        raise WrongUsage(f"--until: {text.strip()} is over already.")
    return found


for _name, _body in (("suspend", suspend), ("resume", resume)):
    command(machine_app, _name)(_body)
