"""Intent called directly, as REST and console will: rules and permissions hold without gRPC."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping

import grpc.aio
import pytest
from google.protobuf.message import Message
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.errors import EtcdAnswerLost, EtcdRefused, EtcdUnavailable, Reason
from tdc.manager.identity.join import token_hash
from tdc.manager.identity.passwords import Passwords
from tdc.manager.identity.sealing import Sealing
from tdc.manager.intent.access import Access
from tdc.manager.intent.actor import Actor
from tdc.manager.intent.audit import AuditFilter, AuditOperations
from tdc.manager.intent.changes import ChangeOperations
from tdc.manager.intent.drafts import Add, DraftOperations
from tdc.manager.intent.errors import BadRequest, NotPermitted
from tdc.manager.intent.failures import FailureKind, failure_of
from tdc.manager.intent.fleet import FleetOperations
from tdc.manager.intent.history import HistoryOperations
from tdc.manager.intent.last_uses import LastUses
from tdc.manager.intent.managers import ManagerOperations, Own
from tdc.manager.intent.monitoring import MonitoringOperations, StatusAsked
from tdc.manager.intent.operations import Operations
from tdc.manager.intent.own_acts import OwnActs
from tdc.manager.intent.permissions import (
    PERMISSIONS,
    Permission,
    PermissionTableError,
    check_operations,
    operation,
)
from tdc.manager.intent.proofs import ProofOperations
from tdc.manager.intent.queue import QueueOperations
from tdc.manager.intent.queue_machines import QueueMachines, QueueScope
from tdc.manager.intent.queue_names import NamesOnMachines
from tdc.manager.intent.recovery import RecoveryOperations
from tdc.manager.intent.settings import SettingsOperations
from tdc.manager.intent.suspensions import Asked, SuspensionOperations
from tdc.manager.intent.targets import ChangeAsked, LevelAsked, RestoreTo, SetAt
from tdc.manager.intent.tokens import TokenOperations
from tdc.manager.intent.users import UserOperations
from tdc.manager.levels.changes import AddMachine, RemoveCluster, RenameCluster
from tdc.manager.peers.peers import Peers
from tdc.manager.peers.streams import AllStreams
from tdc.manager.people.reach import EVERYWHERE, Role, reach_of
from tdc.manager.push.agents import AgentSessions
from tdc.manager.store.announced import Announced
from tdc.manager.store.audit import AuditLog
from tdc.manager.store.audit_reading import AuditReader
from tdc.manager.store.commit import CommitStore
from tdc.manager.store.drafts import DraftStore
from tdc.manager.store.encoding import unpack
from tdc.manager.store.errors import CommitUnsettled
from tdc.manager.store.history import History
from tdc.manager.store.identity import store_id
from tdc.manager.store.joins import JoinStore, JoinToken
from tdc.manager.store.keys import JOIN_TOKENS, ROOT
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
from tdc.shared.sync.values import Running
from tdc.shared.wire.report import report_of
from tdc.v1 import agents_pb2

from tests.fakes.etcd import ExternalEtcd
from tests.stage.least import LEAST, needs_of

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


@pytest.fixture
async def house(etcd: ExternalEtcd) -> AsyncIterator[House]:
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
            TokenOperations(view, JoinStore(client), lambda: "f" * 64, "manager:7444"),
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


# -- permissions ---------------------------------------------------------------------------------


async def test_every_operation_is_refused_below_its_role_and_runs_from_there_on(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    least = {name: role for role, names in LEAST.items() for name in names.split()}
    assert CALLS.keys() == PERMISSIONS.keys() == least.keys()
    for name, call in CALLS.items():
        for role in Role:
            caplog.clear()
            actor = Actor("bob", role, EVERYWHERE, "ipv4:192.0.2.1:5")
            permitted = role >= least[name]
            assert await _is_permitted(call(house.does, actor)) is permitted, (name, role)
            logged = [each for each in caplog.messages if each.startswith(f"refused: {name} by")]
            assert bool(logged) is not permitted
            assert all(f"bob ({role}) from ipv4:192.0.2.1:5" in each for each in logged)


async def test_an_operation_whose_row_is_gone_is_for_nobody(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(PERMISSIONS, dict)
    for name, call in CALLS.items():
        with monkeypatch.context() as patch:
            patch.delitem(PERMISSIONS, name)
            assert not await _is_permitted(call(house.does, ANA)), name


async def test_who_may_commit_settings_may_not_delete_a_cluster(house: House) -> None:
    operator = Actor("bob", Role.OPERATOR, EVERYWHERE, "here")
    with pytest.raises(NotPermitted, match=r"delete_cluster needs the role administrator"):
        await house.does.changes.commit(operator, DELETION, fingerprint="x", **WHY)


async def test_a_refused_operation_changes_nothing_and_is_a_denial(house: House) -> None:
    helper = Actor("bob", Role.HELP_DESK, EVERYWHERE, "here")
    with pytest.raises(
        NotPermitted, match=r"create_cluster needs the role administrator"
    ) as caught:
        await house.does.changes.create_cluster(helper, "c9", **WHY)
    assert set(house.view.clusters) == {"c1"}
    failure = failure_of(caught.value)
    assert failure is not None
    assert failure.kind is FailureKind.DENIED


@pytest.mark.parametrize(
    ("error", "unchanged"),
    [
        *((EtcdRefused(reason, "refused"), True) for reason in Reason),
        (EtcdUnavailable("away"), True),
        (EtcdAnswerLost("lost"), False),
        (CommitUnsettled("lost"), False),
    ],
    ids=repr,
)
def test_only_what_may_have_been_done_is_left_in_doubt(error: Exception, unchanged: bool) -> None:
    failure = failure_of(error)
    assert failure is not None
    assert failure.unchanged is unchanged


async def test_a_token_that_may_be_stored_was_not_made_for_anybody(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The operator is not told of a transaction: without its text, a token is of no use."""

    async def lose(_store: JoinStore, _hash: str, _token: JoinToken, _by: object) -> None:
        raise EtcdAnswerLost("etcd at here did not answer a transaction; it may or may not have")

    monkeypatch.setattr(JoinStore, "add", lose)
    with pytest.raises(EtcdUnavailable, match="no token was made for you; run the command again"):
        await house.does.tokens.create(ANA, "mx1", "", 0)


async def test_what_reaches_further_than_its_actor_is_refused(house: House) -> None:
    """Each operation, to an administrator of the cluster, and to one of its group alone."""
    whole = Actor("bob", Role.ADMINISTRATOR, reach_of(["c1"], []), "here")
    part = Actor("bob", Role.ADMINISTRATOR, reach_of([], [("c1", "Main_Group")]), "here")
    for name, call in CALLS.items():
        needs = needs_of(name)
        assert await _is_permitted(call(house.does, part)) is (not needs), name
        assert await _is_permitted(call(house.does, whole)) is (
            needs != "the whole installation"
        ), name


async def _is_permitted(call: Awaitable[object]) -> bool:
    try:
        await call
    except NotPermitted:
        return False
    except Exception:  # whatever else it says, it was let in
        return True
    return True


async def test_no_secret_of_a_token_is_stored_in_any_encoding(
    house: House, etcd: ExternalEtcd
) -> None:
    """Who reads the store, or a backup of it, must not be able to enrol a machine."""
    text = (await house.does.tokens.create(ANA, "mx1", "", 0)).text
    secret = text.rpartition(".")[2]
    raw = base64.b32decode(secret.upper())
    forms = {form for word in (text.encode(), secret.encode(), raw) for form in _encoded(word)}
    async with EtcdClient(etcd.options) as client:
        stored = (await client.range(ROOT)).items
    assert any(JOIN_TOKENS in item.key for item in stored)
    for item in stored:
        plain = json.dumps(unpack(item.value)).encode()
        held = b"\0".join((item.key.encode(), item.value, plain))
        assert not [form for form in forms if form in held or form.upper() in held]
    assert token_hash(text) == hashlib.sha256(text.encode()).hexdigest()


def _encoded(word: bytes) -> Iterator[bytes]:
    yield from (word, word[::-1], word.hex().encode(), base64.b32encode(word).rstrip(b"="))
    yield from (base64.b64encode(word).rstrip(b"="), base64.urlsafe_b64encode(word).rstrip(b"="))


class _Room:
    """A room as the next one might be written."""

    @operation("fleet.list_clusters")
    async def list_clusters(self, actor: Actor) -> str:
        return actor.name


class _Careless(_Room):
    async def drop_everything(self, actor: Actor) -> None:
        """A public method that nobody made an operation."""


class _Copied(_Room):
    @operation("fleet.list_clusters")
    async def delete_cluster(self, actor: Actor) -> None:
        """Written from the method above, name and all."""


async def test_an_operation_needs_a_row_and_a_row_an_operation() -> None:
    row = {"fleet.list_clusters": PERMISSIONS["fleet.list_clusters"]}
    check_operations([_Room()], row)
    with pytest.raises(PermissionTableError, match=r"list_clusters has no row"):
        check_operations([_Room()], {})
    with pytest.raises(PermissionTableError, match=r"the row fleet\.drop belongs to no operation"):
        check_operations([_Room()], {**row, "fleet.drop": Permission(Role.ADMINISTRATOR)})
    with pytest.raises(PermissionTableError, match=r"drop_everything is not an operation"):
        check_operations([_Careless()], row)
    with pytest.raises(PermissionTableError, match=r"2 methods are fleet\.list_clusters"):
        check_operations([_Copied()], row)
    with pytest.raises(PermissionTableError, match=r"fleet\.drop has no row"):
        operation("fleet.drop")


# -- rules that no adapter has -------------------------------------------------------------------


async def test_a_restore_beside_other_edits_is_refused_to_any_caller(house: House) -> None:
    asked = ChangeAsked("c1", (RestoreTo(1), SET))
    with pytest.raises(BadRequest, match="must be the only edit"):
        await house.does.changes.plan(ANA, asked)
    with pytest.raises(BadRequest, match="must be the only edit"):
        await house.does.changes.commit(ANA, asked, fingerprint="x", **WHY)


@pytest.mark.parametrize(
    ("level", "words"),
    [
        (LevelAsked(None), "must name a level"),
        (LevelAsked(Level.DEFAULT, "x"), "must name a level"),
        (LevelAsked(Level.MACHINE), "machine without a name"),
        (LevelAsked(Level.GROUP, "", "c1"), "group without a name"),
    ],
)
async def test_a_level_that_names_nothing_is_refused_to_any_caller(
    house: House, level: LevelAsked, words: str
) -> None:
    with pytest.raises(BadRequest, match=words):
        await house.does.settings.read_level(ANA, level)
    with pytest.raises(BadRequest, match=words):
        await house.does.changes.plan(ANA, ChangeAsked("", (SetAt(level, SET.settings),)))


async def test_an_edit_of_a_cluster_names_it_but_a_read_may_mean_the_only_one(
    house: House,
) -> None:
    nameless = LevelAsked(Level.CLUSTER)
    assert (await house.does.settings.read_level(ANA, nameless)).key.name == "c1"
    with pytest.raises(BadRequest, match="must name it"):
        await house.does.changes.plan(ANA, ChangeAsked("", (SetAt(nameless, SET.settings),)))


async def test_a_commit_needs_the_fingerprint_of_a_plan(house: House) -> None:
    with pytest.raises(BadRequest, match="make a plan first"):
        await house.does.changes.commit(ANA, CHANGE, fingerprint="", **WHY)


# -- results -------------------------------------------------------------------------------------


async def test_results_are_frozen_and_free_of_messages(house: House) -> None:
    """REST and console must not learn protobuf, and nobody may change what the view holds."""
    status = agents_pb2.MachineStatus(destinations=[agents_pb2.Destination(domain="d")], queued=7)
    house.presence.connected(("c1", "mx1"), "1.0")
    house.presence.heard(("c1", "mx1"), Running(), None, report_of(status))
    rows = await house.does.monitoring.read_status(ANA, StatusAsked())
    assert [(each.name, each.queued) for each in rows.machines] == [("mx1", 7)]
    for name, call in CALLS.items():
        if name in WRITES:
            continue
        if name.startswith("people."):  # tests/manager/test_users.py has results of these
            continue
        for value in _within(await call(house.does, ANA)):
            assert not isinstance(value, Message), name
            if dataclasses.is_dataclass(value):
                assert vars(type(value))["__dataclass_params__"].frozen, value


def _within(value: object) -> Iterator[object]:
    yield value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from _within(getattr(value, field.name))
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _within(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _within(each)
