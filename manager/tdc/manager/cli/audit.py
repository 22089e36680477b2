"""`tdc audit`: who changed what, what was refused, and whether the log is as it was written."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated

import typer
from tdc.manager.cli import audit_tables
from tdc.manager.cli.client import Manager
from tdc.manager.cli.command import Commands, Run, command
from tdc.manager.cli.errors import ExitCode, WrongUsage
from tdc.manager.cli.options import OfCluster
from tdc.manager.cli.render import write
from tdc.shared.edge.clock import wall
from tdc.shared.settings.schema import SettingError
from tdc.shared.settings.text import parse_duration
from tdc.shared.wire import audit_answers
from tdc.v1 import audit_pb2

app = typer.Typer(cls=Commands, help="Read, export and verify the audit log.", no_args_is_help=True)

_PAGE = 500
"""Entries that a manager returns in one answer, at most (ListEntriesRequest)."""
WHOLE_LOG = 60.0
"""Seconds that the manager may take to check the whole log, unless --timeout says otherwise."""


class Outcome(StrEnum):
    """What came of it."""

    DONE = "done"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Filters:
    """Options that say which entries are meant; without any, all are."""

    who: Annotated[
        str,
        typer.Option("--who", metavar="NAME", help="Only what NAME did.", show_default=False),
    ] = ""
    what: Annotated[
        str,
        typer.Option(
            "--what",
            metavar="OPERATION",
            help="Only this operation, as `changes.commit`, or all of `changes`.",
            show_default=False,
        ),
    ] = ""
    cluster: OfCluster = ""
    outcome: Annotated[
        Outcome | None,
        typer.Option("--outcome", help="Only what was done, or refused.", show_default=False),
    ] = None
    since: Annotated[
        str,
        typer.Option(
            "--since",
            metavar="TIME",
            help="Only from then on: 2h (ago), 2026-11-28, 2026-11-28T18:00 (local time).",
            show_default=False,
        ),
    ] = ""
    until: Annotated[
        str,
        typer.Option(
            "--until", metavar="TIME", help="Only before then; as --since.", show_default=False
        ),
    ] = ""

    def request(self) -> audit_pb2.ListEntriesRequest:
        """What asks a manager for them; raises WrongUsage."""
        request = audit_pb2.ListEntriesRequest(
            who=self.who,
            operation=self.what,
            cluster=self.cluster,
            outcome=self.outcome or "",
        )
        now = datetime.fromtimestamp(wall(), UTC).astimezone()
        if self.since:
            request.since.FromDatetime(_moment("--since", self.since, now))
        if self.until:
            request.until.FromDatetime(_moment("--until", self.until, now))
        return request


@command(app, "list")
async def list_entries(
    run: Run,
    filters: Filters,
    limit: Annotated[
        int,
        typer.Option(
            "--limit", metavar="ENTRIES", min=1, max=10_000, help="Maximum number of entries."
        ),
    ] = 50,
) -> None:
    """List entries, newest first."""
    request = filters.request()
    found: list[audit_pb2.AuditEntry] = []
    async with run.manager() as manager:
        async for entry in _entries(manager, request, limit):
            found.append(entry)
    rows = [audit_answers.entry(each) for each in found]
    run.out.emit(rows, audit_tables.list_pieces(rows))


@command(app, "show")
async def show(
    run: Run,
    number: Annotated[
        int, typer.Argument(metavar="ENTRY", help="Number of the entry.", min=1, show_default=False)
    ],
) -> None:
    """Show one entry: who, from where, what was before and after."""
    async with run.manager() as manager:
        reply = await manager.ask(manager.audit.GetEntry, audit_pb2.GetEntryRequest(number=number))
    entry = audit_answers.entry(reply)
    run.out.emit(entry, audit_tables.entry_pieces(entry))


@command(app, "export")
async def export(run: Run, filters: Filters) -> None:
    """Write entries as lines of JSON, oldest first.

    Each line is what the chain was made of. An entry that can't be read is a line that says so.
    """
    request = filters.request()
    request.oldest_first = request.with_content = True
    async with run.manager() as manager:
        async for entry in _entries(manager, request, None):
            write(entry.content or _unreadable(entry))


@command(app, "verify", timeout=WHOLE_LOG)
async def verify(
    run: Run,
    against_agents: Annotated[
        bool,
        typer.Option("--against-agents", help="Compare with what agents saw of it, too."),
    ] = False,
) -> None:
    """Check that the log is as it was written; exit code 1 if it is not.

    Its chain shows what was edited, deleted or put in another order. That its end was cut off, or
    all of it written again, shows against what history and the agents' disks have of it.
    """
    request = audit_pb2.VerifyLogRequest(against_agents=against_agents)
    async with run.manager() as manager:
        reply = await manager.ask(manager.audit.VerifyLog, request)
    found = audit_answers.verdict(reply, against_agents=against_agents)
    run.out.emit(found, audit_tables.verdict_pieces(found))
    if not found.intact:
        run.code = ExitCode.REFUSED


async def _entries(
    manager: Manager, request: audit_pb2.ListEntriesRequest, limit: int | None
) -> AsyncIterator[audit_pb2.AuditEntry]:
    """Page by page, up to `limit` entries."""
    given = 0
    while limit is None or given < limit:
        request.limit = _PAGE if limit is None else min(_PAGE, limit - given)
        page = await manager.ask(manager.audit.ListEntries, request)
        for entry in page.entries:
            yield entry
        given += len(page.entries)
        if not page.next:
            return
        request.cursor = page.next


def _moment(option: str, text: str, now: datetime) -> datetime:
    """The moment that was typed; raises WrongUsage."""
    try:
        return (now - timedelta(seconds=parse_duration(option, text))).astimezone(UTC)
    except SettingError:
        pass
    try:
        return datetime.fromisoformat(text.strip()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise WrongUsage(
            f"{option}: {text!r} is not a time: write 2h (ago), 2026-11-28, 2026-11-28T18:00 "
            "(local time), or 2026-11-28T18:00Z."
        ) from None


def _unreadable(entry: audit_pb2.AuditEntry) -> str:
    import json  # noqa: PLC0415  # needed here only

    return json.dumps({"number": entry.number, "unreadable": entry.unreadable})
