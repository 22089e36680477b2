"""PURE. The JSON contract of people (docs/cli.md): users, sessions, API tokens, certificates.

`documents` says what holds for all. A reach of `None` is the whole installation, and
nothing else is; roles are written as options take them.
"""

from __future__ import annotations

import msgspec


class GroupNameDocument(msgspec.Struct, frozen=True):
    """A group of a cluster."""

    cluster: str
    group: str


class GoneDocument(msgspec.Struct, frozen=True):
    """A cluster that is not there any more, or a group of one."""

    cluster: str
    group: str | None


class ReachDocument(msgspec.Struct, frozen=True):
    """What is in reach, by names: nothing, where both lists are empty."""

    clusters: tuple[str, ...]
    groups: tuple[GroupNameDocument, ...]
    gone: tuple[GoneDocument, ...]


class UserDocument(msgspec.Struct, frozen=True):
    """A user."""

    name: str
    role: str
    reach: ReachDocument | None
    password: bool
    codes: bool
    created: str | None
    created_by: str
    last_login: str | None
    provider: str | None
    subject: str | None
    by_groups: bool


class WhoAmIDocument(msgspec.Struct, frozen=True):
    """Who the manager takes the caller for."""

    name: str
    role: str
    reach: ReachDocument | None
    means: str
    origin: str
    user: bool
    ends: str | None


class LoginDocument(msgspec.Struct, frozen=True):
    """A session that began, and the file that keeps its secret."""

    name: str
    role: str
    reach: ReachDocument | None
    ends: str | None
    idle: int
    file: str


class SessionDocument(msgspec.Struct, frozen=True):
    """A session; `own` is the one that this call was made by."""

    id: str
    user: str
    origin: str
    began: str | None
    used: str | None
    ends: str | None
    own: bool


class ApiTokenDocument(msgspec.Struct, frozen=True):
    """An API token."""

    id: str
    user: str
    label: str
    role: str
    reach: ReachDocument | None
    created: str | None
    ends: str | None
    used: str | None
    origin: str


class NewApiTokenDocument(msgspec.Struct, frozen=True):
    """An API token with its secret, which is shown once."""

    secret: str
    token: ApiTokenDocument


class CountDocument(msgspec.Struct, frozen=True):
    """How many were ended."""

    ended: int


class NewCodesDocument(msgspec.Struct, frozen=True):
    """A secret of one-time codes that is not in force yet, and its address for apps."""

    secret: str
    uri: str


class CodesDocument(msgspec.Struct, frozen=True):
    """Whether one-time codes are in force."""

    in_force: bool


class OperatorCertificateDocument(msgspec.Struct, frozen=True):
    """An operator's certificate that was seen or withdrawn."""

    fingerprint: str
    name: str
    first: str | None
    used: str | None
    ends: str | None
    withdrawn: str | None
    withdrawn_by: str
    reason: str
