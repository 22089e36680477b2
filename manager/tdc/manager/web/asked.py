"""What a request asks: its body within bounds, and query, form or JSON as the type of its row.

Raises Refused for what is too long, too slow, or not of that type.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar
from urllib.parse import parse_qsl

import msgspec
from tdc.manager.web.failed import Refused

BODY_LIMIT = 1024**2
"""Most bytes of a body."""
BODY_TIME = 10.0
"""Seconds in which a body must have come."""
MOST_FIELDS = 500

Asked = TypeVar("Asked", bound=msgspec.Struct)


async def body_of(parts: AsyncIterator[bytes], length: str) -> bytes:
    """Read a body; `length` is what its header says, perhaps nothing."""
    if length.isdigit() and int(length) > BODY_LIMIT:
        raise _too_long()
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIME):
            async for part in parts:
                body += part
                if len(body) > BODY_LIMIT:
                    raise _too_long()
    except TimeoutError:
        raise Refused(
            408, "too-slow", f"The request did not come whole within {BODY_TIME:g} s."
        ) from None
    return bytes(body)


def _too_long() -> Refused:
    return Refused(413, "too-long", f"A request has at most {BODY_LIMIT} bytes.")


def query_in(text: bytes, kind: type[Asked]) -> Asked:
    """Read a query; unknown names are refused."""
    return _fields(text, kind, "query")


def form_in(body: bytes, kind: type[Asked]) -> Asked:
    """Read a form as a browser sends it (application/x-www-form-urlencoded)."""
    return _fields(body, kind, "form")


def json_in(body: bytes, kind: type[Asked]) -> Asked:
    """Read JSON; unknown fields are refused."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise _not_so("request", error) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(400, "not-json", f"The request is not JSON: {error}.") from None


def _fields(text: bytes, kind: type[Asked], what: str) -> Asked:
    try:
        pairs = parse_qsl(
            text.decode("ascii"),
            keep_blank_values=True,
            max_num_fields=MOST_FIELDS,
            encoding="utf-8",
            errors="strict",
        )
    except ValueError:
        raise Refused(400, "wrong-request", f"The {what} can't be read.") from None
    if "pairs" in kind.__struct_fields__:  # a form with a field for each setting
        return _converted({"pairs": pairs}, kind, what)
    return _converted(_once(pairs, what), kind, what)


def _once(pairs: Iterable[tuple[str, str]], what: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in pairs:
        if name in found:
            raise Refused(422, "wrong-request", f"The {what} has {name[:40]!r} twice.")
        found[name] = value
    return found


def _converted(values: object, kind: type[Asked], what: str) -> Asked:
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise _not_so(what, error) from None


def _not_so(what: str, error: Exception) -> Refused:
    return Refused(422, "wrong-request", f"The {what} is not as it should be: {error}.")
