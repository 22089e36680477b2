"""Who may come in by a provider: rows of groups, names, and identities that stay barred."""

from __future__ import annotations

import string
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tdc.manager.people.administrators import People
from tdc.manager.people.provider import (
    Grant,
    NotAdmitted,
    admitted,
    granted,
    groups_in,
    owner_of,
    read_grant,
)
from tdc.manager.people.reach import EVERYWHERE, Reach, Role
from tdc.manager.people.user import Identity, PeopleError, User
from tdc.manager.store.people_documents import pack_user, read_user

from tests.examples import examples

WHO = Identity("https://login.example", "sub-1")
GRANT = Grant("ops", Role.OPERATOR, EVERYWHERE)
CLAIMS = {"preferred_username": "ben", "sub": "sub-1"}


def let_in(users: dict[str, User], grant: Grant | None = GRANT, **claims: object) -> User:
    return admitted(users, WHO, {**CLAIMS, **claims}, "preferred_username", grant, 7.0)


@pytest.mark.parametrize(
    ("text", "grant"),
    [
        ("administrator=tdc-admins", Grant("tdc-admins", Role.ADMINISTRATOR, EVERYWHERE)),
        ("read-only=cn=a,ou=b", Grant("cn=a,ou=b", Role.READ_ONLY, EVERYWHERE)),
        (
            "operator@c1+c2/g1 = ops",
            Grant("ops", Role.OPERATOR, Reach(False, frozenset({"c1"}), frozenset({("c2", "g1")}))),
        ),
    ],
)
def test_a_row_says_group_role_and_reach(text: str, grant: Grant) -> None:
    assert read_grant(text) == grant


@pytest.mark.parametrize(
    "text",
    ["", "operator", "operator=", "root=ops", "operator@=ops", "operator@ =ops", "operator@c1/=o",
     "operator@/g=o", "operator@c1++c2=o", "operator@c1/g/h=o", "=ops"],
)  # fmt: skip
def test_a_row_that_would_mean_more_than_it_says_is_refused(text: str) -> None:
    """An empty reach above all: it must not become the whole installation."""
    with pytest.raises(PeopleError):
        read_grant(text)


def test_the_first_row_that_fits_counts_and_no_row_is_no_role() -> None:
    rows = [read_grant("read-only=staff"), read_grant("administrator=admins")]
    assert granted(rows, {"admins", "staff"}) == rows[0]
    assert granted(rows, {"admins"}) == rows[1]
    assert granted(rows, {"Admins", "admin", ""}) is None


@pytest.mark.parametrize("claim", [None, 7, {"admins": 1}, [["admins"]], [7]])
def test_a_claim_that_is_no_list_of_groups_has_none(claim: object) -> None:
    assert groups_in(claim) == frozenset()


def test_who_has_no_row_stays_out_and_nobody_gets_the_name_of_another() -> None:
    with pytest.raises(NotAdmitted, match="oidc_roles"):
        let_in({}, None)
    for there in (User("ben", Role.HELP_DESK), User("ben", Role.HELP_DESK, deleted=True)):
        with pytest.raises(NotAdmitted, match="there is or was"):
            let_in({"ben": there})
    for name in (None, 7, "", "a b", "../x", "x" * 65, "ben\n"):
        with pytest.raises(NotAdmitted):
            let_in({}, preferred_username=name)


def test_a_role_by_groups_follows_them_and_ends_sessions_when_it_changes() -> None:
    ben = let_in({})
    assert let_in({"ben": ben}, preferred_username="another") == ben
    changed = let_in({"ben": ben}, replace(GRANT, role=Role.READ_ONLY))
    assert (changed.role, changed.epoch, changed.number) == (Role.READ_ONLY, 2, 2)
    with pytest.raises(NotAdmitted):
        let_in({"ben": ben}, None)
    own = replace(ben, mapped=False)
    assert let_in({"ben": own}, None) == own


def test_who_was_deleted_stays_out_under_every_name() -> None:
    gone = replace(let_in({}), deleted=True)
    another = User("ben", Role.OPERATOR, barred=gone.barred_next)
    for record in (gone, another):
        with pytest.raises(NotAdmitted, match="was deleted"):
            let_in({"ben": record}, preferred_username="somebody")
    again = User("ben2", Role.READ_ONLY, identity=WHO)
    assert let_in({"ben": another, "ben2": again}) == again
    assert owner_of([again, another], WHO) == owner_of([another, again], WHO) == again


def test_a_provider_alone_keeps_no_administrator() -> None:
    admin = User("ana", Role.ADMINISTRATOR)
    assert admin.administers_all
    assert not replace(admin, identity=WHO, mapped=True, password="x").administers_all
    alone = replace(admin, identity=WHO)
    assert not People({"ana": alone}, (), 0.0).administrators
    assert People({"ana": replace(alone, password="x")}, (), 0.0).administrators == {"ana"}


@pytest.mark.parametrize("name", ["ben", "Ben"])
def test_a_certificates_owner_is_nobody_of_the_provider(name: str) -> None:
    with pytest.raises(NotAdmitted, match=f"certificate {name} here"):
        admitted({}, WHO, CLAIMS, "preferred_username", GRANT, 1.0, [name])


def test_a_name_that_differs_from_a_users_in_case_is_taken() -> None:
    with pytest.raises(NotAdmitted, match="user or a certificate Ben"):
        let_in({"Ben": User("Ben", Role.OPERATOR)})


def test_who_is_refused_is_told_his_subject() -> None:
    """The guide has him let in by hand, by it."""
    for grant, name in ((None, "ben"), (GRANT, "Zoë")):
        with pytest.raises(NotAdmitted, match=WHO.subject):
            let_in({}, grant, preferred_username=name)


texts = st.text(string.printable, max_size=8)
identities = st.builds(Identity, texts, texts)


@examples(50)
@given(st.none() | identities, st.booleans(), st.frozensets(identities, max_size=3))
def test_what_is_stored_of_an_identity_is_read_again(
    identity: Identity | None, mapped: bool, barred: frozenset[Identity]
) -> None:
    own = {"identity": identity, "mapped": mapped, "last_begun": 7.5} if identity else {}
    user = User("ben", Role.OPERATOR, born=1.0, made_by="ana", barred=barred, **own)  # type: ignore[arg-type]
    assert read_user("people/users/ben", pack_user("people/users/ben", user)) == user
