"""PURE. The seal on a stored value: by it, a value that was edited by hand is told from ours.

A seal is a digest over the value's key and all else that the value holds, in one canonical form. So
a value that was changed, or that belongs to another key, does not fit its seal; one whose JSON was
only written in another way does. It is no secret: it tells a mistake, not somebody who makes seals.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from tdc.manager.store.encoding import SCHEMA, Damaged, check_schema, pack, unpack, unpack_any

_SEAL = "seal"
_DIGITS = 32  # 128 bits of the SHA-256


class Edited(Damaged):
    """A value that was edited by hand; says by what that is known."""


def pack_sealed(key: str, document: Mapping[str, object]) -> bytes:
    """The bytes of a document that is to be stored at `key`, with its seal."""
    seal = _seal(key, {"schema": SCHEMA, **document})
    return pack({**document, _SEAL: seal})


def unpack_sealed(key: str, raw: bytes) -> dict[str, object]:
    """The document of the bytes at `key`; raises Damaged, Edited where a seal does not fit.

    One without a seal may be of before there were seals: that is for the caller to know. The seal
    is judged before the schema, for which it is made the same way: a schema may be an edit too.
    """
    document = unpack_any(raw)
    if is_sealed(document):
        rest = {name: value for name, value in document.items() if name != _SEAL}
        if document[_SEAL] != _seal(key, rest):
            raise Edited("its seal does not fit what it holds")
    check_schema(document)
    return document


def is_sealed(document: Mapping[str, object]) -> bool:
    """Whether a document carries a seal."""
    return _SEAL in document


def same_content(one: bytes, other: bytes) -> bool:
    """Whether two values hold the same, however it is written; raises Damaged."""
    return one == other or _canonical(unpack(one)) == _canonical(unpack(other))


def _seal(key: str, document: Mapping[str, object]) -> str:
    content = key.encode("utf-8", "surrogatepass") + b"\n" + _canonical(document)
    return hashlib.sha256(content).hexdigest()[:_DIGITS]


def _canonical(document: Mapping[str, object]) -> bytes:
    try:
        text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    except RecursionError as error:
        raise Damaged(f"it is nested too deep ({error})") from None
    return text.encode("utf-8", "surrogatepass")
