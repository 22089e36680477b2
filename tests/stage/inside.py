"""A manager's inside, without gRPC, and a call of each of its operations."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import grpc.aio
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.identity.passwords import Passwords
from tdc.manager.identity.sealing import Sealing
from tdc.manager.intent.access import Access
from tdc.manager.intent.actor import Actor
from tdc.manager.intent.audit import AuditFilter, AuditOperations
from tdc.manager.intent.changes import ChangeOperations
from tdc.manager.intent.drafts import Add, DraftOperations
from tdc.manager.intent.fleet import FleetOperations
from tdc.manager.intent.history import HistoryOperations
from tdc.manager.intent.last_uses import LastUses
from tdc.manager.intent.managers import ManagerOperations, Own
from tdc.manager.intent.monitoring import MonitoringOperations, StatusAsked
from tdc.manager.intent.operations import Operations
from tdc.manager.intent.own_acts import OwnActs
from tdc.manager.intent.proofs import ProofOperations
from tdc.manager.intent.queue import QueueOperations
from tdc.manager.intent.queue_machines import QueueMachines, QueueScope
from tdc.manager.intent.queue_names import NamesOnMachines
from tdc.manager.intent.recovery import RecoveryOperations
from tdc.manager.intent.settings import SettingsOperations
from tdc.manager.intent.suspensions import Asked, SuspensionOperations
from tdc.manager.intent.targets import ChangeAsked, LevelAsked, SetAt
from tdc.manager.intent.tokens import TokenOperations
from tdc.manager.intent.users import UserOperations
from tdc.manager.levels.changes import AddMachine, RemoveCluster, RenameCluster
from tdc.manager.peers.peers import Peers
from tdc.manager.peers.streams import AllStreams
from tdc.manager.people.reach import EVERYWHERE, Role
from tdc.manager.push.agents import AgentSessions
from tdc.manager.store.announced import Announced
from tdc.manager.store.audit import AuditLog
from tdc.manager.store.audit_reading import AuditReader
from tdc.manager.store.commit import CommitStore
from tdc.manager.store.drafts import DraftStore
from tdc.manager.store.history import History
from tdc.manager.store.identity import store_id
from tdc.manager.store.joins import JoinStore
from tdc.manager.store.people import PeopleStore
from tdc.manager.store.suspensions import SuspensionStore
from tdc.manager.view.fleet import FleetView
from tdc.manager.view.managers import KnownManagers
from tdc.manager.view.presence import Presence
from tdc.shared.edge.clock import monotonic
from tdc.shared.edge.tasks import running
from tdc.shared.settings.check import checked
from tdc.shared.settings.values import Level
from tdc.shared.sync.queue_work import DropCopies, Selection

from tests.fakes.etcd import ExternalEtcd

ANA = Actor("ana", Role.ADMINISTRATOR, EVERYWHERE, "here")
SET = SetAt(LevelAsked(Level.MACHINE, "mx1"), checked({"max_message_size": 7}))
CHANGE = ChangeAsked("", (SET,))
DELETION = ChangeAsked("", (RemoveCluster("c1"),))
RENAMING = ChangeAsked("", (RenameCluster("c1", "c2"),))
WHY = {"comment": "", "request_id": "r1"}

Call = Callable[[Operations, Actor], Awaitable[object]]

MX1 = QueueScope(machines=("mx1",))
OUT = Asked(("mx1",), copying=True, delivery=True, request_id="out")
BACK = dataclasses.replace(OUT, request_id="back")
DROP = DropCopies(Selection("typo@intake.example", waiting=True))

WRITES = {
    f"changes.{each}" for each in ("commit", "create_cluster", "delete_cluster", "rename_cluster")
}

CALLS: Mapping[str, Call] = {
    "changes.plan": lambda does, who: does.changes.plan(who, CHANGE),
    "changes.commit": lambda does, who: does.changes.commit(who, CHANGE, fingerprint="x", **WHY),
    "changes.delete_cluster": lambda does, who: does.changes.delete_cluster(
        who, DELETION, fingerprint="", **WHY
    ),
    "changes.rename_cluster": lambda does, who: does.changes.rename_cluster(
        who, RENAMING, fingerprint="", **WHY
    ),
    "changes.create_cluster": lambda does, who: does.changes.create_cluster(who, "c9", **WHY),
    "changes.list_commits": lambda does, who: does.history.list_commits(
        who, "c1", limit=0, before=0
    ),
    "changes.read_commit": lambda does, who: does.history.read_commit(who, "c1", 1),
    "changes.read_cluster": lambda does, who: does.history.read_cluster(who, "c1", 0),
    "changes.read_difference": lambda does, who: does.history.read_difference(who, "c1", 1, 0),
    "recovery.find_edits": lambda does, who: does.recovery.find_edits(who, "c1"),
    "drafts.read": lambda does, who: does.drafts.read(who, "c1", ""),
    "drafts.list": lambda does, who: does.drafts.list_drafts(who, "c1"),
    "drafts.change": lambda does, who: does.drafts.change(who, "", "", Add(CHANGE)),
    "settings.read_level": lambda does, who: does.settings.read_level(who, SET.level),
    "settings.read_effective": lambda does, who: does.settings.read_effective(who, "mx1", ""),
    "settings.check": lambda does, who: does.settings.check(who, "c1"),
    "settings.explain": lambda does, who: does.settings.explain(who, "mx1", "", ""),
    "fleet.list_clusters": lambda does, who: does.fleet.list_clusters(who, ""),
    "fleet.list_groups": lambda does, who: does.fleet.list_groups(who, "", ""),
    "fleet.list_machines": lambda does, who: does.fleet.list_machines(who, "", "", ""),
    "monitoring.read_status": lambda does, who: does.monitoring.read_status(who, StatusAsked()),
    "monitoring.read_delivery": lambda does, who: does.monitoring.read_delivery(who, "", ""),
    "managers.list": lambda does, who: does.managers.list_managers(who),
    "managers.status": lambda does, who: does.managers.read_status(who),
    "queue.list_dead": lambda does, who: does.queue.list_dead(who, QueueScope(), ""),
    "queue.plan": lambda does, who: does.queue.plan(who, MX1, DROP),
    "queue.do": lambda does, who: does.queue.do(who, MX1, DROP, **WHY),
    "suspensions.suspend": lambda does, who: does.suspensions.suspend(
        who, OUT, reason="disk", lifetime=0, until=None
    ),
    "suspensions.resume": lambda does, who: does.suspensions.resume(who, BACK),
    "tokens.create": lambda does, who: does.tokens.create(who, "mx1", "", 0),
    "tokens.withdraw": lambda does, who: does.tokens.withdraw(who, "mx1", "", ""),
    "people.who_am_i": lambda does, who: does.proofs.who_am_i(who),
    "people.list_users": lambda does, who: does.users.list_users(who, ""),
    "people.create_user": lambda does, who: does.users.create_user(
        who, "dan", Role.OPERATOR, EVERYWHERE, ""
    ),
    "people.set_role": lambda does, who: does.users.set_role(who, "eve", Role.OPERATOR, EVERYWHERE),
    "people.set_password": lambda does, who: does.users.set_password(
        who, "", "correct horse battery", ""
    ),
    "people.look_after_oneself": lambda does, who: does.users.look_after_oneself(who),
    "people.look_after_others": lambda does, who: does.users.look_after_others(who),
    "people.set_second_factor": lambda does, who: does.users.set_second_factor(who, "", "", ""),
    "people.remove_second_factor": lambda does, who: does.users.remove_second_factor(who, "eve"),
    "people.delete_user": lambda does, who: does.users.delete_user(who, "eve"),
    "people.list_sessions": lambda does, who: does.proofs.list_sessions(who, "", all_users=False),
    "people.end_sessions": lambda does, who: does.proofs.end_sessions(who, [], who.name),
    "people.create_token": lambda does, who: does.proofs.create_token(who, "ci", None, None, 0),
    "people.list_tokens": lambda does, who: does.proofs.list_tokens(who, "", all_users=False),
    "people.revoke_tokens": lambda does, who: does.proofs.revoke_tokens(who, []),
    "people.list_operators": lambda does, who: does.proofs.list_operators(who),
    "people.withdraw_operator": lambda does, who: does.proofs.withdraw_operator(who, "a" * 64, ""),
    "audit.list": lambda does, who: does.audit.list_entries(
        who, AuditFilter(), limit=0, cursor=0, oldest_first=False
    ),
    "audit.read": lambda does, who: does.audit.read_entry(who, 1),
    "audit.verify": lambda does, who: does.audit.verify(who, against_agents=True),
}


ALONE = Announced("m1", "alone", "127.0.0.1:7443", "1.0", "first", 1e9, 2e9)


class Nobody:
    """No other managers."""

    async def facts(self) -> tuple[tuple[Announced, str], ...]:
        return ()


@dataclasses.dataclass
class House:
    """A manager's inside, over a real etcd: cluster c1 with the machine mx1."""

    does: Operations
    view: FleetView
    presence: Presence


def _dial(address: str) -> grpc.aio.Channel:
    raise AssertionError(f"nobody is announced, and not at {address}")


@contextlib.asynccontextmanager
async def inside(etcd: ExternalEtcd) -> AsyncIterator[House]:
    """A manager's inside over this etcd, made as `services` makes it, while the body runs."""
    async with EtcdClient(etcd.options) as client:
        view = FleetView(client, await store_id(client))
        presence, history = Presence(view), History(client)
        sessions = AgentSessions(view, presence)
        others = Peers("m1", KnownManagers(client), _dial, monotonic, monotonic)
        machines = QueueMachines(view, presence, sessions)
        store, passwords, sealing = (
            PeopleStore(client, AuditLog(client)),
            Passwords(),
            Sealing(lambda: (bytes(32),)),
        )
        acts = OwnActs()
        users = UserOperations(view, store, passwords, sealing, acts)
        access = Access(view, LastUses(view, store))
        does = Operations(
            ChangeOperations(view, presence, CommitStore(client), history),
            HistoryOperations(view, history),
            DraftOperations(view, DraftStore(client)),
            SettingsOperations(view, presence, history),
            FleetOperations(view),
            MonitoringOperations(view, presence),
            QueueOperations(
                view,
                machines,
                NamesOnMachines(view, presence),
                CommitStore(client),
                history,
            ),
            RecoveryOperations(view, presence, AllStreams(sessions, others, view.enrolment)),
            SuspensionOperations(view, presence, SuspensionStore(client)),
            TokenOperations(view, JoinStore(client), lambda: "f" * 64, "manager:7444", presence),
            users,
            ProofOperations(view, store, access, users, acts),
            AuditOperations(view, presence, AuditReader(client)),
            ManagerOperations(
                Own(lambda: ALONE, lambda: 0, dict), Nobody(), client, view, ("etcd:2379",)
            ),
        )
        async with running(view.run(), name="view"):
            await view.ready(10)
            await does.changes.create_cluster(ANA, "c1", comment="", request_id="made")
            add = ChangeAsked("c1", (AddMachine("mx1", "Main_Group"),))
            plan = await does.changes.plan(ANA, add)
            await does.changes.commit(
                ANA, add, fingerprint=plan.fingerprint, comment="", request_id="added"
            )
            yield House(does, view, presence)
