"""Secrets, one-time codes, waits after failed logins, and when a session is good."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tdc.manager.people import totp
from tdc.manager.people.password import check_password
from tdc.manager.people.reach import EVERYWHERE, Role
from tdc.manager.people.secret import DIGITS, RANDOM, Kind, kind_of, secret_text
from tdc.manager.people.throttle import FREE_OF_ACCOUNT, LONGEST, Throttle
from tdc.manager.people.user import (
    ABSOLUTE,
    IDLE,
    PeopleError,
    Session,
    User,
    check_user_name,
    session_ended,
)

from tests.examples import examples

randoms = st.text(DIGITS, min_size=RANDOM, max_size=RANDOM)


@examples(100)
@given(st.sampled_from(Kind), randoms, st.integers(0, 42), st.sampled_from(DIGITS))
def test_a_mistyped_secret_is_none(kind: Kind, random: str, place: int, digit: str) -> None:
    text = secret_text(kind, random)
    assert kind_of(text) is kind
    wrong = text[:place] + digit + text[place + 1 :]
    assert wrong == text or kind_of(wrong) is None
    assert kind_of(text[:-1]) is None


@pytest.mark.parametrize(
    ("at", "code"),
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (20000000000, "353130")],
)
def test_codes_are_those_of_the_standard(at: int, code: str) -> None:
    """RFC 6238 appendix B, the last six digits."""
    assert totp.code_at(b"12345678901234567890", at // totp.STEP) == code


def test_a_code_is_good_around_its_time_and_never_again() -> None:
    secret, step = b"12345678901234567890", 1000
    code = totp.code_at(secret, step)
    for now, good in ((999, True), (1000, True), (1001, True), (998, False), (1002, False)):
        found = totp.step_of(secret, code, now * totp.STEP, 0)
        assert (found == step) is good
    assert totp.step_of(secret, code, step * totp.STEP, step) is None
    assert totp.secret_read(totp.secret_shown(secret).lower()) == secret


def test_waits_double_up_to_a_bound_and_an_account_is_never_locked() -> None:
    throttle, now, waits = Throttle(), 0.0, []
    for _ in range(FREE_OF_ACCOUNT + 12):
        throttle.tried("bob", "192.0.2.1", now)
        waits.append(throttle.wait("bob", "192.0.2.1", now))
        now += waits[-1]
    assert waits[:FREE_OF_ACCOUNT] == [0.0] * FREE_OF_ACCOUNT
    assert waits[FREE_OF_ACCOUNT : FREE_OF_ACCOUNT + 3] == [2.0, 4.0, 8.0]
    assert max(waits) == LONGEST
    assert throttle.wait("bob", "192.0.2.2", now) == 0
    throttle.succeeded("bob", "192.0.2.1")
    assert throttle.wait("bob", "192.0.2.1", now) == 0


def test_one_address_with_many_accounts_waits_too() -> None:
    throttle = Throttle()
    for number in range(40):
        throttle.tried(f"user{number}", "192.0.2.1", 0.0)
    assert throttle.wait("another", "192.0.2.1", 0.0) > 0


def test_a_session_ends_when_it_rests_is_old_or_its_user_changed() -> None:
    user = User("bob", Role.OPERATOR, EVERYWHERE)
    session = Session("s", "bob", user.epoch, 1000.0, 1000.0)
    assert session_ended(session, user, 1000.0 + IDLE, 1000.0 + IDLE + 1) == ""
    assert "not used" in session_ended(session, user, 0.0, 1000.0 + IDLE + 1)
    old = 1000.0 + ABSOLUTE
    assert "12 hours" in session_ended(session, user, old, old)
    assert "changed" in session_ended(session, replace(user, epoch=2), 1000.0, 1001.0)
    assert "deleted" in session_ended(session, replace(user, deleted=True), 1000.0, 1001.0)


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("short", "at least 12 characters"),
        ("aaaaaaaaaaaaaaaa", "different characters"),
        ("quartz Bob lantern mosaic", "the name of its user"),
        ("x" * 2000, "at most 1024 bytes"),
    ],
)
def test_a_password_that_is_easy_to_guess_is_refused_for_its_own_reason(
    password: str, why: str
) -> None:
    with pytest.raises(PeopleError, match=why):
        check_password(password, "bob")


@pytest.mark.parametrize("name", ["", " bob", "a/b", "x" * 65, "né"])
def test_a_name_that_can_not_be_is_refused(name: str) -> None:
    with pytest.raises(PeopleError):
        check_user_name(name)
