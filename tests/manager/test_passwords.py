"""Passwords: how they are hashed, how many at a time, and how long they may be."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from tdc.manager.identity import passwords
from tdc.manager.identity.passwords import AT_ONCE, WAITING, Passwords, TooManyAtOnce
from tdc.manager.people.password import LONGEST, check_password
from tdc.manager.people.user import PeopleError

PASSWORD = "correct horse battery"


@pytest.mark.proves("S11")
async def test_a_password_is_stored_as_argon2id_hashes_it_with_a_salt() -> None:
    hashing = Passwords()
    one, other = [await hashing.hashed(PASSWORD) for _ in range(2)]
    assert one.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert one != other
    assert await hashing.fits(PASSWORD, one)
    assert not await hashing.fits(PASSWORD + "x", one)
    assert not await hashing.fits(PASSWORD, "")


@pytest.mark.proves("S11")
async def test_a_few_are_hashed_at_a_time_and_of_the_others_few_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lock, now, most = threading.Lock(), 0, 0

    def slow(password: bytes) -> str:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.01)
        with lock:
            now -= 1
        return ""

    monkeypatch.setattr(passwords, "_hashed", slow)
    hashing, calls = Passwords(), AT_ONCE + WAITING + 10
    results = await asyncio.gather(
        *(hashing.hashed(PASSWORD) for _ in range(calls)), return_exceptions=True
    )
    assert sum(isinstance(each, TooManyAtOnce) for each in results) == 10
    assert most == AT_ONCE


@pytest.mark.proves("S11")
async def test_a_password_that_is_too_long_is_refused_and_fits_nothing() -> None:
    longest = "abcdefgh" * (LONGEST // 8)
    assert check_password(longest, "bob") == longest
    with pytest.raises(PeopleError, match="at most 1024 bytes"):
        check_password(longest + "x", "bob")
    hashing = Passwords()
    assert await hashing.fits(longest, await hashing.hashed(longest))
    beyond = longest + "x"
    assert not await hashing.fits(beyond, await hashing.hashed(beyond))
