"""What one manager offers: its operations, and the services that carry them, port by port.

In: the parts that `serve` has made. Out: registrations for the server. Nothing runs here.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from tdc.manager.etcd.client import EtcdClient
from tdc.manager.identity.authorities import Authorities, Issuing
from tdc.manager.identity.passwords import Passwords
from tdc.manager.identity.sealing import LOGIN_HANDLE, SECOND_FACTOR, Sealing
from tdc.manager.intent.access import Access
from tdc.manager.intent.audit import AuditOperations
from tdc.manager.intent.changes import ChangeOperations
from tdc.manager.intent.drafts import DraftOperations
from tdc.manager.intent.fleet import FleetOperations
from tdc.manager.intent.history import HistoryOperations
from tdc.manager.intent.last_uses import LastUses
from tdc.manager.intent.login import Login
from tdc.manager.intent.managers import ManagerOperations, Own
from tdc.manager.intent.monitoring import MonitoringOperations
from tdc.manager.intent.operations import Operations
from tdc.manager.intent.own_acts import OwnActs
from tdc.manager.intent.proofs import ProofOperations
from tdc.manager.intent.provider_login import ProviderLogin
from tdc.manager.intent.queue import QueueOperations
from tdc.manager.intent.queue_machines import QueueMachines
from tdc.manager.intent.queue_names import NamesOnMachines
from tdc.manager.intent.reaches import of_now
from tdc.manager.intent.recovery import RecoveryOperations
from tdc.manager.intent.refusals import Refusals
from tdc.manager.intent.settings import SettingsOperations
from tdc.manager.intent.suspensions import SuspensionOperations
from tdc.manager.intent.tokens import TokenOperations
from tdc.manager.intent.users import UserOperations
from tdc.manager.membership import Membership
from tdc.manager.options import Options
from tdc.manager.peers.streams import AllStreams
from tdc.manager.peers.wire import known_to_wire, link_to_wire
from tdc.manager.provider_options import provider_of
from tdc.manager.push.agents import AgentSessions
from tdc.manager.rpc.agents import AgentsService
from tdc.manager.rpc.audit import AuditService
from tdc.manager.rpc.changes import ChangesService
from tdc.manager.rpc.drafts import DraftsService
from tdc.manager.rpc.enrolment import EnrolmentService
from tdc.manager.rpc.fleet import FleetService
from tdc.manager.rpc.managers import ManagersService
from tdc.manager.rpc.monitoring import MonitoringService
from tdc.manager.rpc.peers import Here, PeersService, Rotation
from tdc.manager.rpc.people import LoginService, PeopleService
from tdc.manager.rpc.provider_login import ProviderLoginService
from tdc.manager.rpc.queue import QueueService
from tdc.manager.rpc.recovery import RecoveryService
from tdc.manager.rpc.server import Registration
from tdc.manager.rpc.settings import SettingsService
from tdc.manager.rpc.sure import require
from tdc.manager.store.audit import AuditLog
from tdc.manager.store.audit_reading import AuditReader
from tdc.manager.store.commit import CommitStore
from tdc.manager.store.drafts import DraftStore
from tdc.manager.store.history import History
from tdc.manager.store.joins import JoinStore, JoinToken
from tdc.manager.store.people import PeopleStore
from tdc.manager.store.suspensions import SuspensionStore
from tdc.manager.view.fleet import FleetView
from tdc.manager.view.presence import Presence
from tdc.v1 import (
    agents_pb2_grpc,
    audit_pb2_grpc,
    managers_pb2_grpc,
    operators_pb2_grpc,
    people_pb2_grpc,
    provider_pb2_grpc,
    recovery_pb2_grpc,
)


class People(NamedTuple):
    """The rooms about people, and what counts their own acts in all rooms."""

    access: Access
    acts: OwnActs
    users: UserOperations
    proofs: ProofOperations
    login: Login
    provider: ProviderLogin


def people_of(
    etcd: EtcdClient,
    audit: AuditLog,
    view: FleetView,
    authorities: Authorities,
    refusals: Refusals,
    options: Options,
) -> People:
    """Make the rooms about people; failed logins go to `refusals`."""
    store = PeopleStore(
        etcd,
        audit,
        partial(of_now, view),
        lambda: authorities.key_ids,
        by_password=options.operator_port is not None,
    )
    access, acts = Access(view, LastUses(view, store)), OwnActs()
    passwords, sealing = Passwords(), Sealing(partial(authorities.keys_for, SECOND_FACTOR))
    users = UserOperations(view, store, passwords, sealing, acts, options.oidc_issuer)
    login = Login(view, store, passwords, sealing, refusals.refused, acts)
    return People(
        access,
        acts,
        users,
        ProofOperations(view, store, access, users, acts),
        login,
        ProviderLogin(
            provider_of(options),
            view,
            store,
            Sealing(partial(authorities.keys_for, LOGIN_HANDLE)),
            refusals.refused,
            acts,
            login.throttle,
        ),
    )


class Made(NamedTuple):
    """Operations that need more than the store and what is known of machines."""

    tokens: TokenOperations
    people: People
    managers: ManagerOperations


def operations_of(
    etcd: EtcdClient,
    audit: AuditLog,
    view: FleetView,
    presence: Presence,
    sessions: AgentSessions,
    streams: AllStreams,
    made: Made,
) -> Operations:
    """Make every operation; raises PermissionTableError."""
    commits, history = CommitStore(etcd, audit), History(etcd, view)
    return Operations(
        changes=ChangeOperations(view, presence, commits, history),
        history=HistoryOperations(view, history),
        drafts=DraftOperations(view, DraftStore(etcd, audit, view), made.people.acts),
        settings=SettingsOperations(view, presence, history),
        fleet=FleetOperations(view),
        monitoring=MonitoringOperations(view, presence, strangers=sessions.strangers),
        recovery=RecoveryOperations(view, presence, streams, sessions.strangers),
        queue=QueueOperations(
            view,
            QueueMachines(view, presence, streams),
            NamesOnMachines(view, presence),
            commits,
            history,
        ),
        suspensions=SuspensionOperations(view, presence, SuspensionStore(etcd, audit, view)),
        tokens=made.tokens,
        users=made.people.users,
        proofs=made.people.proofs,
        audit=AuditOperations(view, presence, AuditReader(etcd)),
        managers=made.managers,
    )


def about_managers(
    etcd: EtcdClient, view: FleetView, sessions: AgentSessions, member: Membership, options: Options
) -> ManagerOperations:
    """Make the operations about managers."""
    own = Own(lambda: member.own, sessions.__len__, member.owners, member.trouble)
    return ManagerOperations(own, member.peers, etcd, view, options.etcd_endpoints)


def for_operators(operations: Operations) -> list[Registration]:
    """Carry the operations over gRPC."""
    fleet = FleetService(
        operations.fleet, operations.changes, operations.suspensions, operations.tokens
    )
    settings = SettingsService(operations.settings)
    changes = ChangesService(operations.changes, operations.history)
    drafts = DraftsService(operations.drafts)
    monitoring = MonitoringService(operations.monitoring)
    queue = QueueService(operations.queue)
    recovery = RecoveryService(operations.recovery)
    people = PeopleService(operations.users, operations.proofs)
    return [
        partial(operators_pb2_grpc.add_FleetServicer_to_server, fleet),
        partial(operators_pb2_grpc.add_SettingsReaderServicer_to_server, settings),
        partial(operators_pb2_grpc.add_ChangesServicer_to_server, changes),
        partial(operators_pb2_grpc.add_DraftsServicer_to_server, drafts),
        partial(operators_pb2_grpc.add_MonitoringServicer_to_server, monitoring),
        partial(operators_pb2_grpc.add_QueueServicer_to_server, queue),
        partial(recovery_pb2_grpc.add_RecoveryServicer_to_server, recovery),
        partial(people_pb2_grpc.add_PeopleServicer_to_server, people),
        partial(audit_pb2_grpc.add_AuditServicer_to_server, AuditService(operations.audit)),
        partial(
            managers_pb2_grpc.add_ManagersServicer_to_server, ManagersService(operations.managers)
        ),
    ]


def for_agents(sessions: AgentSessions, authority: Issuing, rotation: Rotation) -> Registration:
    """Carry the streams of machines."""
    service = AgentsService(sessions, authority, unsure=rotation.unsure)
    return partial(agents_pb2_grpc.add_AgentsServicer_to_server, service)


def for_managers(
    member: Membership, presence: Presence, sessions: AgentSessions, rotation: Rotation
) -> Registration:
    """Carry what other managers ask."""
    here = Here(
        member.own.id,
        member.own.instance,
        lambda: link_to_wire(member.known.link, member.steady()),
        member.peers.introduced,
        rotation,
        lambda: [known_to_wire(each, there=there) for each, there in member.peers.all],
    )
    service = PeersService(here, presence, sessions)
    return partial(managers_pb2_grpc.add_PeersServicer_to_server, service)


def for_login(login: Login) -> Registration:
    """Carry logins, where sessions begin."""
    return partial(people_pb2_grpc.add_LoginServicer_to_server, LoginService(login))


def for_provider_login(login: ProviderLogin) -> Registration:
    """Carry logins by a provider."""
    service = ProviderLoginService(login)
    return partial(provider_pb2_grpc.add_ProviderLoginServicer_to_server, service)


def for_joining(
    joins: JoinStore, authority: Issuing, view: FleetView, refusals: Refusals, rotation: Rotation
) -> Registration:
    """Carry enrolment, for machines that have no certificate yet."""
    sure = _Redeemer(joins, rotation)
    service = EnrolmentService(sure, authority, view, refused=refusals.refused)
    return partial(agents_pb2_grpc.add_EnrolmentServicer_to_server, service)


class _Redeemer:
    """Redeems join tokens, while it is known which CA signs: no token is used up else."""

    def __init__(self, joins: JoinStore, rotation: Rotation) -> None:
        self._joins = joins
        self._rotation = rotation

    async def redeem(
        self, token_hash: str, now: float, enrolment_id: str, origin: str, /
    ) -> JoinToken:
        """Use a token; raises NotSure too."""
        await require(self._rotation.unsure)
        return await self._joins.redeem(token_hash, now, enrolment_id, origin)
