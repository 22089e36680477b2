"""`tdc login`, `logout`, `whoami`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from tdc.manager.cli import passwords, people_tables
from tdc.manager.cli.command import Run, command
from tdc.manager.cli.config import (
    drop_session,
    find_config,
    read_config,
    session_file,
    write_session,
)
from tdc.manager.cli.errors import NoConnection, NotKnown, Refused, WrongUsage
from tdc.manager.cli.layout import Line
from tdc.manager.cli.passwords import PasswordFile
from tdc.shared.wire import people_answers
from tdc.shared.wire.people_documents import CountDocument
from tdc.v1 import people_pb2

PROVIDER_TIMEOUT = 40.0
"""Seconds for each call: the manager itself may wait 10 s for each of a provider's answers."""


def add_login(app: typer.Typer) -> None:
    """Add `tdc login`."""
    command(app, "login", timeout=PROVIDER_TIMEOUT)(login)


def add_logout(app: typer.Typer) -> None:
    """Add `tdc logout`."""
    command(app, "logout")(logout)


def add_whoami(app: typer.Typer) -> None:
    """Add `tdc whoami`."""
    command(app, "whoami")(whoami)


async def login(
    run: Run,
    name: Annotated[
        str, typer.Argument(metavar="USER", help="Name of the user.", show_default=False)
    ] = "",
    password_file: PasswordFile = None,
    code: Annotated[
        str,
        typer.Option(
            "--code", metavar="CODE", help="One-time code, if you use codes (default: ask for it)."
        ),
    ] = "",
    provider: Annotated[
        bool, typer.Option("--provider", help="Log in at your provider (OpenID Connect), no USER.")
    ] = False,
    device: Annotated[
        bool,
        typer.Option("--device", help="With --provider: in a browser on another machine."),
    ] = False,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="With --provider: open no browser.")
    ] = False,
) -> None:
    """Begin a session, with your password or at your provider; it is kept beside operator.toml."""
    if provider and (name or password_file or code):
        raise WrongUsage(
            "--provider asks at your provider who you are: leave out USER, --password-file and "
            "--code."
        )
    if not (name or provider):
        raise WrongUsage("Name yourself: `tdc login USER`. Or log in by `tdc login --provider`.")
    if not provider and (device or no_browser):
        raise WrongUsage("--device and --no-browser go with --provider.")
    config = read_config(find_config(run.common.config), secret=False)
    if config.certificate is not None:
        raise Refused(
            f"{config.path} has a certificate, so no login is needed. To log in, use a file with "
            "the address of the manager's operator port, and with ca alone."
        )
    if provider:
        from tdc.manager.cli import provider_login  # noqa: PLC0415  # for these logins only

        if device:
            reply = await provider_login.by_device(run)
        else:
            reply = await provider_login.by_redirect(run, browser=not no_browser)
    else:
        reply = await _by_password(run, name, password_file, code)
    await _end_earlier(run, config.path)
    write_session(config.path, reply.secret)
    document = people_answers.login(reply, str(session_file(config.path)))
    run.out.emit(document, people_tables.login_pieces(document))


async def _by_password(
    run: Run, name: str, password_file: Path | None, code: str
) -> people_pb2.LogInResponse:
    """Begin a session, asking for a one-time code if the user has codes; raises Refused."""
    password = await passwords.asked(f"Password of {name}", password_file)
    async with run.manager(secret=False) as manager:
        request = people_pb2.LogInRequest(name=name, password=password, code=code)
        reply = await manager.ask(manager.login.LogIn, request)
        if not reply.code_needed:
            return reply
        request.code = await passwords.asked(
            f"One-time code of {name}", None, instead="--code CODE: this user has one-time codes"
        )
        return await manager.ask(manager.login.LogIn, request)


async def _end_earlier(run: Run, path: Path) -> None:
    """End the session whose file the new one takes, so that none is left that nobody can end."""
    try:
        if not session_file(path).exists() or not read_config(path).from_session:
            return
        async with run.manager() as manager:
            await manager.ask(manager.people.EndSessions, people_pb2.EndSessionsRequest())
    except NotKnown:
        return  # it has ended already
    except (Refused, NoConnection) as error:
        said = f"Your earlier session of {session_file(path)} goes on until it ends by itself: "
        run.out.tell([Line(f"{said}{error}", "yellow")])


async def logout(run: Run) -> None:
    """End your session, at the manager too; until it has ended there, it is kept here."""
    config = read_config(find_config(run.common.config))
    if config.certificate is not None or not config.from_session:
        raise Refused(f"{config.path} is used without a session; there is nothing to end.")
    try:
        async with run.manager() as manager:
            request = people_pb2.EndSessionsRequest()
            ended = (await manager.ask(manager.people.EndSessions, request)).ended
    except NotKnown:
        ended = 0  # it has ended already
    except (Refused, NoConnection) as error:
        raise type(error)(
            f"{error} You are not logged out: the session goes on, and {session_file(config.path)} "
            "is kept. Try again, or have an administrator end it (`tdc session end`)."
        ) from None
    drop_session(config.path)
    run.out.emit(CountDocument(ended), [Line("Logged out.")])


async def whoami(run: Run) -> None:
    """Show who the manager takes you for."""
    async with run.manager() as manager:
        reply = await manager.ask(manager.people.WhoAmI, people_pb2.WhoAmIRequest())
    document = people_answers.who(reply)
    run.out.emit(document, people_tables.who_pieces(document))
