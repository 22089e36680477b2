"""Intent called directly, as REST and console will: rules and permissions hold without gRPC."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping

import pytest
from google.protobuf.message import Message
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.errors import EtcdAnswerLost, EtcdRefused, EtcdUnavailable, Reason
from tdc.manager.identity.join import token_hash
from tdc.manager.intent.actor import Actor
from tdc.manager.intent.errors import BadRequest, NotPermitted
from tdc.manager.intent.failures import FailureKind, failure_of
from tdc.manager.intent.monitoring import StatusAsked
from tdc.manager.intent.permissions import (
    PERMISSIONS,
    Permission,
    PermissionTableError,
    check_operations,
    operation,
)
from tdc.manager.intent.targets import ChangeAsked, LevelAsked, RestoreTo, SetAt
from tdc.manager.people.reach import EVERYWHERE, Role, reach_of
from tdc.manager.store.encoding import unpack
from tdc.manager.store.errors import CommitUnsettled
from tdc.manager.store.joins import JoinStore, JoinToken
from tdc.manager.store.keys import JOIN_TOKENS, ROOT
from tdc.shared.settings.values import Level
from tdc.shared.sync.values import Running
from tdc.shared.wire.report import report_of
from tdc.v1 import agents_pb2

from tests.fakes.etcd import ExternalEtcd
from tests.stage.inside import ANA, CALLS, CHANGE, DELETION, SET, WHY, WRITES, House, inside
from tests.stage.least import LEAST, needs_of


@pytest.fixture
async def house(etcd: ExternalEtcd) -> AsyncIterator[House]:
    async with inside(etcd) as made:
        yield made


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
    """The operator hears nothing of a transaction: without its text, a token is of no use."""

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
