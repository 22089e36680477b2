"""tdc.v1.Login and tdc.v1.People: who may use the manager."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp
from tdc.manager.identity.rates import address_of
from tdc.manager.intent.login import CodeNeeded, Login, SessionMade
from tdc.manager.intent.proofs import SHORT, ProofOperations
from tdc.manager.intent.users import UserOperations, UserRow
from tdc.manager.people.reach import Reach, Role, reach_of
from tdc.manager.people.user import IDLE, ApiToken, OperatorCertificate, Session
from tdc.manager.rpc.entry import Context, actor_of
from tdc.shared.edge.grpc_words import address
from tdc.shared.wire.errors import BadMessage
from tdc.shared.wire.moments import timestamp
from tdc.v1 import people_pb2, people_pb2_grpc

_ROLES = {str(role): role for role in Role}


class LoginService(people_pb2_grpc.LoginServicer):
    """The service; what it raises becomes a status in `guard`."""

    def __init__(self, login: Login) -> None:
        self._login = login

    async def LogIn(  # noqa: N802
        self, request: people_pb2.LogInRequest, context: Context
    ) -> people_pb2.LogInResponse:
        """Begin a session."""
        peer = context.peer()
        made = await self._login.log_in(
            request.name,
            request.password,
            request.code,
            origin=address(peer),
            address=address_of(peer),
        )
        if isinstance(made, CodeNeeded):
            return people_pb2.LogInResponse(code_needed=True)
        return session_made(made)


class PeopleService(people_pb2_grpc.PeopleServicer):
    """The service; what it raises becomes a status in `guard`."""

    def __init__(self, users: UserOperations, proofs: ProofOperations) -> None:
        self._users = users
        self._proofs = proofs

    async def WhoAmI(  # noqa: N802
        self, request: people_pb2.WhoAmIRequest, context: Context
    ) -> people_pb2.WhoAmIResponse:
        """Say who the caller is."""
        found = await self._proofs.who_am_i(actor_of(context))
        actor = found.actor
        return people_pb2.WhoAmIResponse(
            name=actor.name,
            role=str(actor.role),
            reach=_reach_to_wire(actor.reach),
            means=actor.means,
            origin=actor.origin,
            is_user=found.is_user,
            ends=timestamp(found.ends) if found.ends is not None else None,
        )

    async def ListUsers(  # noqa: N802
        self, request: people_pb2.ListUsersRequest, context: Context
    ) -> people_pb2.ListUsersResponse:
        """List users by name."""
        rows = await self._users.list_users(actor_of(context), request.name)
        return people_pb2.ListUsersResponse(users=map(_user, rows))

    async def CreateUser(  # noqa: N802
        self, request: people_pb2.CreateUserRequest, context: Context
    ) -> people_pb2.User:
        """Make a user."""
        role, reach = _role(request.role), _reach(request.reach)
        made = await self._users.create_user(
            actor_of(context), request.name, role, reach, request.password, request.subject
        )
        return _user(made)

    async def SetRole(  # noqa: N802
        self, request: people_pb2.SetRoleRequest, context: Context
    ) -> people_pb2.User:
        """Set what a user may do."""
        role, reach = _role(request.role), _reach(request.reach)
        return _user(await self._users.set_role(actor_of(context), request.name, role, reach))

    async def SetPassword(  # noqa: N802
        self, request: people_pb2.SetPasswordRequest, context: Context
    ) -> people_pb2.User:
        """Set a password."""
        made = await self._users.set_password(
            actor_of(context), request.name, request.password, request.old_password
        )
        return _user(made)

    async def SetSecondFactor(  # noqa: N802
        self, request: people_pb2.SetSecondFactorRequest, context: Context
    ) -> people_pb2.SetSecondFactorResponse:
        """Make one-time codes, or let them count."""
        made = await self._users.set_second_factor(
            actor_of(context), request.secret, request.code, request.password
        )
        return people_pb2.SetSecondFactorResponse(
            secret=made.secret, uri=made.uri, in_force=made.in_force
        )

    async def RemoveSecondFactor(  # noqa: N802
        self, request: people_pb2.RemoveSecondFactorRequest, context: Context
    ) -> people_pb2.User:
        """Take one-time codes from a user."""
        return _user(await self._users.remove_second_factor(actor_of(context), request.name))

    async def DeleteUser(  # noqa: N802
        self, request: people_pb2.DeleteUserRequest, context: Context
    ) -> people_pb2.User:
        """Delete a user."""
        return _user(await self._users.delete_user(actor_of(context), request.name))

    async def ListSessions(  # noqa: N802
        self, request: people_pb2.ListSessionsRequest, context: Context
    ) -> people_pb2.ListSessionsResponse:
        """List sessions."""
        actor = actor_of(context)
        found = await self._proofs.list_sessions(actor, request.user, all_users=request.all_users)
        return people_pb2.ListSessionsResponse(
            sessions=[_session(each, own=each.id == actor.proof) for each in found]
        )

    async def EndSessions(  # noqa: N802
        self, request: people_pb2.EndSessionsRequest, context: Context
    ) -> people_pb2.EndSessionsResponse:
        """End sessions."""
        ended = await self._proofs.end_sessions(actor_of(context), request.ids, request.user)
        return people_pb2.EndSessionsResponse(ended=ended)

    async def CreateApiToken(  # noqa: N802
        self, request: people_pb2.CreateApiTokenRequest, context: Context
    ) -> people_pb2.CreateApiTokenResponse:
        """Make an API token."""
        actor = actor_of(context)
        role = _role(request.role)
        reach = _reach(request.reach)
        made = await self._proofs.create_token(
            actor, request.label, role, None if reach.everywhere else reach, request.lifetime
        )
        return people_pb2.CreateApiTokenResponse(secret=made.secret, token=_token(made.token))

    async def ListApiTokens(  # noqa: N802
        self, request: people_pb2.ListApiTokensRequest, context: Context
    ) -> people_pb2.ListApiTokensResponse:
        """List API tokens."""
        found = await self._proofs.list_tokens(
            actor_of(context), request.user, all_users=request.all_users
        )
        return people_pb2.ListApiTokensResponse(tokens=map(_token, found))

    async def RevokeApiTokens(  # noqa: N802
        self, request: people_pb2.RevokeApiTokensRequest, context: Context
    ) -> people_pb2.RevokeApiTokensResponse:
        """Revoke API tokens."""
        revoked = await self._proofs.revoke_tokens(actor_of(context), request.ids)
        return people_pb2.RevokeApiTokensResponse(revoked=revoked)

    async def ListOperators(  # noqa: N802
        self, request: people_pb2.ListOperatorsRequest, context: Context
    ) -> people_pb2.ListOperatorsResponse:
        """List operators' certificates."""
        found = await self._proofs.list_operators(actor_of(context))
        return people_pb2.ListOperatorsResponse(certificates=map(_certificate, found))

    async def WithdrawOperator(  # noqa: N802
        self, request: people_pb2.WithdrawOperatorRequest, context: Context
    ) -> people_pb2.OperatorCertificate:
        """Withdraw an operator's certificate."""
        made = await self._proofs.withdraw_operator(
            actor_of(context), request.fingerprint, request.reason
        )
        return _certificate(made)


def session_made(made: SessionMade) -> people_pb2.LogInResponse:
    """A session that began, as who asked for it gets it."""
    return people_pb2.LogInResponse(
        secret=made.secret,
        name=made.name,
        role=str(made.role),
        reach=_reach_to_wire(made.reach),
        ends=timestamp(made.ends),
        idle=int(IDLE),
    )


def _role(name: str) -> Role | None:
    """The role of a name, None without one; raises BadMessage."""
    plain = name.replace("-", " ").strip()
    if plain and plain not in _ROLES:
        raise BadMessage(f"{name[:64]!r} is not a role; roles are {', '.join(_ROLES)}")
    return _ROLES.get(plain)


def _reach(reach: people_pb2.Reach) -> Reach:
    """The reach that is asked for; raises BadMessage for one that only an answer can have."""
    if reach.nothing or reach.gone:
        raise BadMessage("a reach that is asked for names what is there, or nothing for everything")
    return reach_of(reach.clusters, [(each.cluster, each.group) for each in reach.groups])


def _reach_to_wire(reach: Reach) -> people_pb2.Reach:
    groups = [
        people_pb2.GroupName(cluster=cluster, group=group)
        for cluster, group in sorted(reach.groups)
    ]
    gone = [
        people_pb2.GroupName(cluster=cluster, group=group) for cluster, group in sorted(reach.gone)
    ]
    return people_pb2.Reach(
        clusters=sorted(reach.clusters), groups=groups, nothing=reach.is_nothing, gone=gone
    )


def _user(row: UserRow) -> people_pb2.User:
    return people_pb2.User(
        name=row.name,
        role=str(row.role),
        reach=_reach_to_wire(row.reach),
        has_password=row.has_password,
        has_second_factor=row.has_second_factor,
        created=timestamp(row.created),
        created_by=row.created_by,
        last_login=timestamp(row.last_login) if row.last_login is not None else None,
        provider=row.issuer,
        subject=row.subject,
        by_groups=row.by_groups,
    )


def _session(session: Session, *, own: bool) -> people_pb2.Session:
    return people_pb2.Session(
        id=session.id[:SHORT],
        user=session.user,
        origin=session.origin,
        began=timestamp(session.born),
        used=timestamp(session.used),
        ends=timestamp(session.ends),
        own=own,
    )


def _token(token: ApiToken) -> people_pb2.ApiToken:
    return people_pb2.ApiToken(
        id=token.id[:SHORT],
        user=token.user,
        label=token.label,
        role=str(token.role),
        reach=_reach_to_wire(token.reach),
        created=timestamp(token.made),
        ends=timestamp(token.ends),
        used=timestamp(token.used) if token.used is not None else None,
        origin=token.origin,
    )


def _certificate(each: OperatorCertificate) -> people_pb2.OperatorCertificate:
    def moment(at: float | None) -> Timestamp | None:
        return timestamp(at) if at is not None else None

    return people_pb2.OperatorCertificate(
        fingerprint=each.fingerprint,
        name=each.name,
        first=moment(each.first),
        used=moment(each.used),
        ends=moment(each.ends),
        withdrawn=moment(each.withdrawn),
        withdrawn_by=each.withdrawn_by,
        reason=each.reason,
    )
