"""Passwords hashed and compared by argon2id, a few at a time, in threads.

In: passwords, and hashes in PHC form. Out: hashes; whether a password fits.
Promise: at most AT_ONCE are under way, so nobody uses up memory and processor by logging in; a user
who does not exist, or has no password, costs as much as any.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from tdc.manager.people.password import LONGEST, normalized

P = ParamSpec("P")
R = TypeVar("R")

MEMORY, ITERATIONS, LANES = 19_456, 2, 1
"""KiB, passes and lanes: what OWASP recommends at least; 40 ms and 19 MiB for each hash."""
AT_ONCE = 2
WAITING = 32
"""Hashes under way at most, and those that wait for their turn."""

_PHC = re.compile(r"\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,3}),p=(\d{1,2})\$[\w+/]+\$[\w+/]+")
_MOST_MEMORY, _MOST_ITERATIONS, _MOST_LANES = 1_048_576, 16, 8


class TooManyAtOnce(Exception):
    """So many log in at this moment that this one has to come back."""


class Passwords:
    """Hashes and compares passwords, in turns."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._calls = 0
        self._decoy = ""

    async def hashed(self, password: str) -> str:
        """The hash of a password; raises TooManyAtOnce."""
        return await self._in_turn(_hashed, normalized(password))

    async def fits(self, password: str, stored: str) -> bool:
        """Whether a password fits a hash; an empty hash fits none, at the same cost.

        Raises TooManyAtOnce.
        """
        if not self._decoy:
            self._decoy = await self.hashed(secrets.token_hex())
        known = stored if _is_usable(stored) else ""
        given = normalized(password)[: LONGEST + 1]
        fits = await self._in_turn(_fits, given, known or self._decoy)
        return fits and bool(known) and len(given) <= LONGEST

    async def _in_turn(self, work: Callable[P, R], *facts: P.args, **named: P.kwargs) -> R:
        if self._calls >= AT_ONCE + WAITING:
            raise TooManyAtOnce("too many people log in at this moment; try again in a few seconds")
        self._calls += 1
        try:
            async with self._turns:
                return await asyncio.to_thread(work, *facts, **named)
        finally:
            self._calls -= 1


def is_old(stored: str) -> bool:
    """PURE. Whether a hash was made otherwise than one is today."""
    found = _PHC.fullmatch(stored)
    return found is None or tuple(map(int, found.groups())) != (MEMORY, ITERATIONS, LANES)


def _is_usable(stored: str) -> bool:
    """PURE. Whether it is a hash that can be computed: one that was edited may ask for too much."""
    found = _PHC.fullmatch(stored)
    if found is None:
        return False
    memory, iterations, lanes = map(int, found.groups())
    return memory <= _MOST_MEMORY and iterations <= _MOST_ITERATIONS and lanes <= _MOST_LANES


def _hashed(password: bytes) -> str:
    hashing = Argon2id(
        salt=secrets.token_bytes(16),
        length=32,
        iterations=ITERATIONS,
        lanes=LANES,
        memory_cost=MEMORY,
    )
    return hashing.derive_phc_encoded(password)


def _fits(password: bytes, stored: str) -> bool:
    try:
        Argon2id.verify_phc_encoded(password, stored)
    except (InvalidKey, ValueError):
        return False
    return True
