"""`tdc user`, `session`, `token`, `operator`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from tdc.manager.cli import passwords, people_tables
from tdc.manager.cli.asking import agreed
from tdc.manager.cli.command import Commands, Run, command
from tdc.manager.cli.errors import Refused, WrongUsage
from tdc.manager.cli.fleet import parse_lifetime
from tdc.manager.cli.layout import Line
from tdc.manager.cli.options import Yes
from tdc.manager.cli.passwords import PasswordFile
from tdc.manager.cli.render import is_terminal
from tdc.manager.cli.words import counted
from tdc.shared.wire import people_answers
from tdc.shared.wire.people_documents import CodesDocument, CountDocument, NewCodesDocument
from tdc.v1 import people_pb2

user_app = typer.Typer(cls=Commands, help="Manage users and their roles.", no_args_is_help=True)
session_app = typer.Typer(cls=Commands, help="List and end sessions.", no_args_is_help=True)
token_app = typer.Typer(cls=Commands, help="Manage API tokens.", no_args_is_help=True)
operator_app = typer.Typer(
    cls=Commands, help="List and withdraw operators' certificates.", no_args_is_help=True
)

ROLES = "administrator, operator, read-only or help-desk"

UserName = Annotated[str, typer.Argument(metavar="USER", help="Name of the user.")]
RoleOption = Annotated[str, typer.Option("--role", metavar="ROLE", help=f"{ROLES}.")]
Clusters = Annotated[
    list[str] | None,
    typer.Option(
        "--cluster",
        metavar="CLUSTER",
        help="A cluster to reach, repeated for several (default: everything).",
        show_default=False,
    ),
]
Groups = Annotated[
    list[str] | None,
    typer.Option(
        "--group",
        metavar="CLUSTER/GROUP",
        help="A group to reach, repeated for several.",
        show_default=False,
    ),
]
OfUser = Annotated[
    str,
    typer.Option(
        "--user", metavar="USER", help="Of this user (default: your own).", show_default=False
    ),
]
OfAll = Annotated[bool, typer.Option("--all", help="Of all users.")]
Ids = Annotated[
    list[str] | None, typer.Argument(metavar="[ID]...", help="Ids, as listed.", show_default=False)
]


# -- users ---------------------------------------------------------------------------------------


@command(user_app, "create")
async def create_user(  # noqa: PLR0913, PLR0917  # each is an argument of the command
    run: Run,
    name: UserName,
    role: RoleOption,
    cluster: Clusters = None,
    group: Groups = None,
    password_file: PasswordFile = None,
    without_password: Annotated[
        bool,
        typer.Option("--without-password", help="The user comes with certificates only."),
    ] = False,
    subject: Annotated[
        str,
        typer.Option(
            "--subject",
            metavar="SUBJECT",
            help="The user logs in at the provider, where this is his lasting name.",
            show_default=False,
        ),
    ] = "",
) -> None:
    """Make a user; asks for a password."""
    reach = _reach(cluster, group)
    password = ""
    if not without_password and not subject:
        password = await passwords.asked(f"Password for {name}", password_file, twice=True)
    request = people_pb2.CreateUserRequest(
        name=name, role=_role(role), reach=reach, password=password, subject=subject
    )
    async with run.manager() as manager:
        _emit_user(run, await manager.ask(manager.people.CreateUser, request))


@command(user_app, "list")
async def list_users(run: Run) -> None:
    """List users."""
    async with run.manager() as manager:
        reply = await manager.ask(manager.people.ListUsers, people_pb2.ListUsersRequest())
    rows = [people_answers.user(each) for each in reply.users]
    run.out.emit(rows, people_tables.user_pieces(rows))


@command(user_app, "show")
async def show_user(run: Run, name: UserName) -> None:
    """Show one user."""
    async with run.manager() as manager:
        request = people_pb2.ListUsersRequest(name=name)
        reply = await manager.ask(manager.people.ListUsers, request)
    for each in reply.users:
        _emit_user(run, each)


@command(user_app, "set-role")
async def set_role(
    run: Run,
    name: UserName,
    role: RoleOption,
    cluster: Clusters = None,
    group: Groups = None,
    yes: Yes = False,
) -> None:
    """Set a user's role and reach, which ends his sessions; asks first."""
    request = people_pb2.SetRoleRequest(name=name, role=_role(role), reach=_reach(cluster, group))
    async with run.manager() as manager:
        reach = " and ".join([*(cluster or []), *(group or [])]) or "everything"
        await agreed(f"Make {name} {role} of {reach}, and end his sessions?", yes=yes)
        _emit_user(run, await manager.ask(manager.people.SetRole, request))


@command(user_app, "set-password")
async def set_password(
    run: Run,
    name: Annotated[
        str, typer.Argument(metavar="USER", help="Name (default: your own).", show_default=False)
    ] = "",
    password_file: PasswordFile = None,
    old_password_file: Annotated[
        Path | None,
        typer.Option(
            "--old-password-file",
            metavar="FILE",
            help="Read your present password from this file (default: ask for it).",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Set a password, your own or a user's, which ends his sessions."""
    async with run.manager() as manager:
        me = await manager.ask(manager.people.WhoAmI, people_pb2.WhoAmIRequest())
        old = ""
        if name in ("", me.name) and _needs_old(me):
            old = await passwords.asked(
                "Your present password",
                old_password_file,
                instead="--old-password-file FILE (- for standard input)",
            )
        new = await passwords.asked(
            f"New password for {name or me.name}", password_file, twice=True
        )
        request = people_pb2.SetPasswordRequest(name=name, password=new, old_password=old)
        _emit_user(run, await manager.ask(manager.people.SetPassword, request))


@command(user_app, "set-codes")
async def set_codes(
    run: Run,
    password_file: PasswordFile = None,
    begin: Annotated[
        bool, typer.Option("--begin", help="Only make a secret and show it; nothing is set.")
    ] = False,
    secret_file: Annotated[
        Path | None,
        typer.Option(
            "--secret-file",
            metavar="FILE",
            help="Set the secret in this file, which --begin showed (default: make one).",
            show_default=False,
        ),
    ] = None,
    code: Annotated[
        str,
        typer.Option("--code", metavar="CODE", help="Code of that secret (default: ask for it)."),
    ] = "",
) -> None:
    """Log in with one-time codes too, from an authenticator app, from now on."""
    if begin and (secret_file or code or password_file):
        raise WrongUsage("--begin only makes a secret: leave out what sets it.")
    if code and not secret_file:
        raise WrongUsage("--code goes with --secret-file: it is a code of that secret.")
    if not (begin or secret_file or is_terminal(sys.stdin)):
        raise Refused(
            "Not a terminal: make a secret with --begin, then set it with --secret-file FILE, "
            "--code CODE and --password-file FILE. Nothing was changed."
        )
    async with run.manager() as manager:
        call = manager.people.SetSecondFactor
        secret = passwords.in_file(secret_file) if secret_file is not None else ""
        if not secret:
            made = await manager.ask(call, people_pb2.SetSecondFactorRequest())
            secret = made.secret
            shown = people_tables.codes_pieces(made.secret, made.uri)
            if begin:
                run.out.emit(NewCodesDocument(made.secret, made.uri), shown)
                return
            run.out.tell(shown)
        code = code or await passwords.asked(
            "Code that the app shows", None, instead="--code CODE, a code of the secret"
        )
        password = await passwords.asked("Your password", password_file)
        request = people_pb2.SetSecondFactorRequest(secret=secret, code=code, password=password)
        reply = await manager.ask(call, request)
    words = (
        "One-time codes are in force, and your sessions have ended. Log in again with the next "
        "code that the app shows: this one is used."
    )
    run.out.emit(CodesDocument(reply.in_force), [Line(words)])


@command(user_app, "remove-codes")
async def remove_codes(run: Run, name: UserName, yes: Yes = False) -> None:
    """Let a user who lost his app log in without codes, which ends his sessions; asks first."""
    async with run.manager() as manager:
        await agreed(f"Let {name} log in without codes, and end his sessions?", yes=yes)
        request = people_pb2.RemoveSecondFactorRequest(name=name)
        _emit_user(run, await manager.ask(manager.people.RemoveSecondFactor, request))


@command(user_app, "delete")
async def delete_user(run: Run, name: UserName, yes: Yes = False) -> None:
    """Delete a user, with his sessions, API tokens and certificates; asks first."""
    async with run.manager() as manager:
        await agreed(f"Delete {name}, with sessions, API tokens and certificates?", yes=yes)
        request = people_pb2.DeleteUserRequest(name=name)
        document = people_answers.user(await manager.ask(manager.people.DeleteUser, request))
    run.out.emit(document, [Line(f"Deleted the user {name}.")])


# -- sessions, API tokens, certificates ----------------------------------------------------------


@command(session_app, "list")
async def list_sessions(run: Run, user: OfUser = "", of_all: OfAll = False) -> None:
    """List sessions, newest first."""
    request = people_pb2.ListSessionsRequest(user=user, all_users=of_all)
    async with run.manager() as manager:
        reply = await manager.ask(manager.people.ListSessions, request)
    rows = [people_answers.session(each) for each in reply.sessions]
    run.out.emit(rows, people_tables.session_pieces(rows))


@command(session_app, "end")
async def end_sessions(run: Run, ids: Ids = None, user: OfUser = "", yes: Yes = False) -> None:
    """End sessions by their ids, or all of a user; asks first."""
    if not ids and not user:
        raise WrongUsage("Name sessions by their ids, or --user USER. `tdc logout` ends your own.")
    async with run.manager() as manager:
        which = (
            f"all sessions of {user}" if user else counted(len(ids or []), "session", "sessions")
        )
        await agreed(f"End {which}?", yes=yes)
        request = people_pb2.EndSessionsRequest(ids=ids or [], user=user)
        reply = await manager.ask(manager.people.EndSessions, request)
    ended = counted(reply.ended, "session", "sessions")
    run.out.emit(CountDocument(reply.ended), [Line(f"Ended {ended}.")])


@command(token_app, "create")
async def create_token(
    run: Run,
    label: Annotated[str, typer.Argument(metavar="LABEL", help="What it is for.")],
    role: Annotated[
        str,
        typer.Option(
            "--role", metavar="ROLE", help=f"{ROLES} (default: your own).", show_default=False
        ),
    ] = "",
    cluster: Clusters = None,
    group: Groups = None,
    lifetime: Annotated[
        str, typer.Option("--lifetime", metavar="TIME", help="How long it is good: 90d, 12h.")
    ] = "90d",
) -> None:
    """Make an API token of your own, shown once: for programs, without a password."""
    request = people_pb2.CreateApiTokenRequest(
        label=label,
        role=_role(role),
        reach=_reach(cluster, group),
        lifetime=parse_lifetime(lifetime),
    )
    async with run.manager() as manager:
        reply = await manager.ask(manager.people.CreateApiToken, request)
    document = people_answers.new_api_token(reply)
    run.out.emit(document, people_tables.new_token_pieces(document))


@command(token_app, "list")
async def list_tokens(run: Run, user: OfUser = "", of_all: OfAll = False) -> None:
    """List API tokens, newest first."""
    request = people_pb2.ListApiTokensRequest(user=user, all_users=of_all)
    async with run.manager() as manager:
        reply = await manager.ask(manager.people.ListApiTokens, request)
    rows = [people_answers.api_token(each) for each in reply.tokens]
    run.out.emit(rows, people_tables.token_pieces(rows))


@command(token_app, "revoke")
async def revoke_tokens(
    run: Run,
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Ids, as listed.")],
    yes: Yes = False,
) -> None:
    """Revoke API tokens: they are not good any more, at once; asks first."""
    async with run.manager() as manager:
        tokens = counted(len(ids), "API token", "API tokens")
        await agreed(f"Revoke {tokens}? It can't be undone.", yes=yes)
        request = people_pb2.RevokeApiTokensRequest(ids=ids)
        reply = await manager.ask(manager.people.RevokeApiTokens, request)
    revoked = counted(reply.revoked, "API token", "API tokens")
    run.out.emit(CountDocument(reply.revoked), [Line(f"Revoked {revoked}.")])


@command(operator_app, "list")
async def list_operators(run: Run) -> None:
    """List operators' certificates that were seen or withdrawn."""
    async with run.manager() as manager:
        request = people_pb2.ListOperatorsRequest()
        reply = await manager.ask(manager.people.ListOperators, request)
    rows = [people_answers.certificate(each) for each in reply.certificates]
    run.out.emit(rows, people_tables.certificate_pieces(rows))


@command(operator_app, "withdraw")
async def withdraw_operator(
    run: Run,
    fingerprint: Annotated[
        str,
        typer.Argument(
            metavar="FINGERPRINT", help="As listed; whole (SHA-256) if it was never seen."
        ),
    ],
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why, for who is denied.")
    ] = "",
    yes: Yes = False,
) -> None:
    """Withdraw a certificate for good: every manager denies it, its connections end; asks first."""
    async with run.manager() as manager:
        await agreed(f"Withdraw the certificate {fingerprint}? It can't be undone.", yes=yes)
        request = people_pb2.WithdrawOperatorRequest(fingerprint=fingerprint, reason=reason)
        reply = await manager.ask(manager.people.WithdrawOperator, request)
    document = people_answers.certificate(reply)
    run.out.emit(document, people_tables.certificate_pieces([document]))


def _role(name: str) -> str:
    plain = name.replace("-", " ")
    if plain not in ("", "administrator", "operator", "read only", "help desk"):
        raise WrongUsage(f"{name!r} is not a role: use {ROLES}.")
    return plain


def _needs_old(me: people_pb2.WhoAmIResponse) -> bool:
    """Whether the manager asks this caller for the password that he has.

    One who comes with a certificate may have none yet, so a script of his is not stopped for it.
    """
    if me.means != "certificate":
        return True
    everywhere = people_answers.reach(me.reach) is None
    return not (me.role == "administrator" and everywhere) and is_terminal(sys.stdin)


def _reach(clusters: list[str] | None, groups: list[str] | None) -> people_pb2.Reach:
    reach = people_pb2.Reach(clusters=clusters or [])
    for each in groups or []:
        cluster, slash, group = each.partition("/")
        if not slash or not cluster or not group or "/" in group:
            raise WrongUsage(f"--group {each!r} is not of the form CLUSTER/GROUP.")
        reach.groups.add(cluster=cluster, group=group)
    return reach


def _emit_user(run: Run, reply: people_pb2.User) -> None:
    document = people_answers.user(reply)
    run.out.emit(document, people_tables.user_pieces([document]))
