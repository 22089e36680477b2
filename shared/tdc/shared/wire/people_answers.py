"""A manager's answers about people (tdc.v1) -> the documents of the JSON contract.

Raises as `answers` does.
"""

from __future__ import annotations

from tdc.shared.wire import people_documents as documents
from tdc.shared.wire.moments import rfc3339_in
from tdc.v1 import people_pb2


def user(reply: people_pb2.User) -> documents.UserDocument:
    """A user."""
    return documents.UserDocument(
        name=reply.name,
        role=role_word(reply.role),
        reach=reach(reply.reach),
        password=reply.has_password,
        codes=reply.has_second_factor,
        created=rfc3339_in(reply, "created"),
        created_by=reply.created_by,
        last_login=rfc3339_in(reply, "last_login"),
        provider=reply.provider or None,
        subject=reply.subject or None,
        by_groups=reply.by_groups,
    )


def who(reply: people_pb2.WhoAmIResponse) -> documents.WhoAmIDocument:
    """Who the caller is."""
    return documents.WhoAmIDocument(
        name=reply.name,
        role=role_word(reply.role),
        reach=reach(reply.reach),
        means=reply.means,
        origin=reply.origin,
        user=reply.is_user,
        ends=rfc3339_in(reply, "ends"),
    )


def login(reply: people_pb2.LogInResponse, file: str) -> documents.LoginDocument:
    """A session that began; `file` keeps its secret."""
    return documents.LoginDocument(
        name=reply.name,
        role=role_word(reply.role),
        reach=reach(reply.reach),
        ends=rfc3339_in(reply, "ends"),
        idle=reply.idle,
        file=file,
    )


def session(reply: people_pb2.Session) -> documents.SessionDocument:
    """A session."""
    return documents.SessionDocument(
        id=reply.id,
        user=reply.user,
        origin=reply.origin,
        began=rfc3339_in(reply, "began"),
        used=rfc3339_in(reply, "used"),
        ends=rfc3339_in(reply, "ends"),
        own=reply.own,
    )


def api_token(reply: people_pb2.ApiToken) -> documents.ApiTokenDocument:
    """An API token."""
    return documents.ApiTokenDocument(
        id=reply.id,
        user=reply.user,
        label=reply.label,
        role=role_word(reply.role),
        reach=reach(reply.reach),
        created=rfc3339_in(reply, "created"),
        ends=rfc3339_in(reply, "ends"),
        used=rfc3339_in(reply, "used"),
        origin=reply.origin,
    )


def new_api_token(reply: people_pb2.CreateApiTokenResponse) -> documents.NewApiTokenDocument:
    """An API token with its secret."""
    return documents.NewApiTokenDocument(reply.secret, api_token(reply.token))


def certificate(reply: people_pb2.OperatorCertificate) -> documents.OperatorCertificateDocument:
    """An operator's certificate."""
    return documents.OperatorCertificateDocument(
        fingerprint=reply.fingerprint,
        name=reply.name,
        first=rfc3339_in(reply, "first"),
        used=rfc3339_in(reply, "used"),
        ends=rfc3339_in(reply, "ends"),
        withdrawn=rfc3339_in(reply, "withdrawn"),
        withdrawn_by=reply.withdrawn_by,
        reason=reply.reason,
    )


def reach(reply: people_pb2.Reach) -> documents.ReachDocument | None:
    """A reach; None for the whole installation, and for nothing else."""
    if not (reply.clusters or reply.groups or reply.nothing or reply.gone):
        return None
    groups = tuple(documents.GroupNameDocument(each.cluster, each.group) for each in reply.groups)
    gone = tuple(documents.GoneDocument(each.cluster, each.group or None) for each in reply.gone)
    return documents.ReachDocument(tuple(reply.clusters), groups, gone)


def role_word(role: str) -> str:
    """A role by the word that options take."""
    return role.replace(" ", "-")
