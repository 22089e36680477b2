"""PURE. Users, sessions, API tokens and certificates for people."""

from __future__ import annotations

from collections.abc import Sequence

from tdc.manager.cli.layout import Cell, Column, Grid, Line, Piece
from tdc.manager.cli.words import ABSENT, listed, when, yes_or_no
from tdc.shared.wire.people_documents import (
    ApiTokenDocument,
    LoginDocument,
    NewApiTokenDocument,
    OperatorCertificateDocument,
    ReachDocument,
    SessionDocument,
    UserDocument,
    WhoAmIDocument,
)

_SHORT = 12
"""Digits of a fingerprint that a table shows; they are enough to name it by."""


def reach_words(reach: ReachDocument | None) -> str:
    """How far somebody reaches."""
    if reach is None:
        return "the whole installation"
    named = [f"cluster {name}" for name in reach.clusters]
    named += [f"group {each.group} of cluster {each.cluster}" for each in reach.groups]
    return ", ".join(named)


def user_pieces(rows: Sequence[UserDocument]) -> list[Piece]:
    """Users side by side."""
    columns = [
        Column("USER", folds=True),
        Column("ROLE"),
        Column("REACH", folds=True),
        Column("PASSWORD"),
        Column("CODES"),
        Column("PROVIDER"),
        Column("CREATED", folds=True),
        Column("LAST LOGIN", folds=True),
    ]
    cells = [
        [
            row.name,
            row.role,
            reach_words(row.reach),
            yes_or_no(row.password),
            yes_or_no(row.codes),
            _provider_words(row),
            f"{when(row.created)} by {row.created_by}",
            when(row.last_login),
        ]
        for row in rows
    ]
    return listed(columns, cells, "No users. Make one with `tdc user create NAME --role ROLE`.")


def _provider_words(row: UserDocument) -> str:
    if row.provider is None:
        return ABSENT
    return "yes, role by groups" if row.by_groups else "yes"


def who_pieces(found: WhoAmIDocument) -> list[Piece]:
    """Who the caller is."""
    columns = [Column(""), Column("", folds=True)]
    by = f"{found.means}, good until {when(found.ends)}" if found.ends else found.means
    rows = [
        ["name", found.name],
        ["role", found.role],
        ["reach", reach_words(found.reach)],
        ["by", by],
        ["from", found.origin],
    ]
    if not found.user:
        rows.append(["user", "none of this name: the certificate alone counts"])
    return [Grid(columns, rows)]


def login_pieces(made: LoginDocument) -> list[Piece]:
    """A session that began."""
    return [
        Line(
            f"Logged in as {made.name}, {made.role} for {reach_words(made.reach)}. The session "
            f"ends after {made.idle // 60} minutes without use, at {when(made.ends)} at the latest."
        )
    ]


def session_pieces(rows: Sequence[SessionDocument]) -> list[Piece]:
    """Sessions side by side."""
    columns = [
        Column("ID"),
        Column("USER", folds=True),
        Column("FROM", folds=True),
        Column("BEGAN", folds=True),
        Column("LAST USE", folds=True),
        Column("ENDS", folds=True),
    ]
    cells = [
        [
            f"{row.id} (this one)" if row.own else row.id,
            row.user,
            row.origin,
            when(row.began),
            when(row.used),
            when(row.ends),
        ]
        for row in rows
    ]
    return listed(columns, cells, "No sessions.")


def token_pieces(rows: Sequence[ApiTokenDocument]) -> list[Piece]:
    """API tokens side by side."""
    columns = [
        Column("ID"),
        Column("LABEL", folds=True),
        Column("USER", folds=True),
        Column("ROLE"),
        Column("REACH", folds=True),
        Column("LAST USE", folds=True),
        Column("ENDS", folds=True),
    ]
    cells = [
        [
            row.id,
            row.label,
            row.user,
            row.role,
            reach_words(row.reach),
            f"{when(row.used)} from {row.origin}" if row.used and row.origin else when(row.used),
            when(row.ends),
        ]
        for row in rows
    ]
    return listed(columns, cells, "No API tokens. Make one with `tdc token create LABEL`.")


def new_token_pieces(made: NewApiTokenDocument) -> list[Piece]:
    """An API token with its secret."""
    token = made.token
    return [
        Line(
            f"API token {token.id} ({token.label}) of {token.user}, {token.role} for "
            f"{reach_words(token.reach)}, good until {when(token.ends)}. It is shown only now:"
        ),
        Line(made.secret, verbatim=True),
        Line(),
        Line(
            "Put it into a file that only its program can read, and name that in operator.toml: "
            'token_file = "token", without certificate and key.'
        ),
    ]


def certificate_pieces(rows: Sequence[OperatorCertificateDocument]) -> list[Piece]:
    """Operators' certificates side by side."""
    columns = [
        Column("FINGERPRINT"),
        Column("OPERATOR", folds=True),
        Column("FIRST USE", folds=True),
        Column("LAST USE", folds=True),
        Column("ENDS", folds=True),
        Column("WITHDRAWN", folds=True),
    ]
    cells = [
        [
            row.fingerprint[:_SHORT],
            row.name or ABSENT,
            when(row.first),
            when(row.used),
            when(row.ends),
            _withdrawn(row),
        ]
        for row in rows
    ]
    return listed(columns, cells, "No operator's certificate was seen yet.")


def _withdrawn(row: OperatorCertificateDocument) -> Cell | str:
    if row.withdrawn is None:
        return ABSENT
    why = f": {row.reason}" if row.reason else ""
    by = f" by {row.withdrawn_by}" if row.withdrawn_by else ""  # nobody where his user was deleted
    return Cell(f"{when(row.withdrawn)}{by}{why}", "red")
