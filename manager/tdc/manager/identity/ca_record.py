"""The CAs of an installation as a value in etcd: how one manager's step reaches the others.

Private keys are in it while two CAs are trusted, each sealed by a key that follows from the other
CA's: a manager that has one of the two gets both, and who reads etcd alone gets nothing. The whole
of it is authenticated (HMAC-SHA-256) under each of its CAs' keys, so nobody who only writes etcd
can make managers trust a CA of his. The number, which only grows, keeps an older value out.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import replace

from tdc.manager.identity.authority import Authority, fingerprint_of, leads_to
from tdc.manager.identity.ca_folder import AuthorityUnusable
from tdc.manager.identity.ca_state import CaState, Pair, Phase
from tdc.manager.identity.sealing import NotOpened, Sealing
from tdc.manager.store.encoding import Damaged
from tdc.manager.store.keys import AUTHORITY
from tdc.manager.store.seal import pack_sealed, unpack_sealed

_SEALING = "authority key"
_PROVING = "authority record"


class ForeignRecord(Exception):
    """The value is of CAs of which this manager has none: they were replaced without it.

    `number` is what the value says, which nobody can check. `follows`: the bridges in it lead from
    a CA of this manager to the one that signs now, which only who had its key can have made.
    """

    def __init__(self, fingerprint: str, number: int, *, follows: bool) -> None:
        super().__init__(fingerprint)
        self.number = number
        self.follows = follows


def pack_record(state: CaState) -> bytes:
    """The value to store; every key of `state` must be known."""
    authorities = {fingerprint_of(each.certificate): _authority(each) for each in state.pairs}
    content = _content(state)
    keys = {
        name: {
            by: _sealing(other).seal(each.pair.key.encode(), _owner(name, state))
            for by, other in authorities.items()
            if by != name
        }
        for name, each in authorities.items()
    }
    proofs = {name: _proof(each, content) for name, each in authorities.items()}
    return pack_sealed(AUTHORITY, {**content, "keys": keys, "proofs": proofs})


def open_record(raw: bytes, known: CaState) -> CaState:
    """What a value says, with all keys, to a manager that has those of `known`.

    Raises Damaged; ForeignRecord where it has none of them.
    """
    document = unpack_sealed(AUTHORITY, raw)
    try:
        found = _read(document)
        proofs, keys = dict(document["proofs"]), dict(document["keys"])  # type: ignore[call-overload]  # checked by what follows
        names = [fingerprint_of(each.certificate) for each in found.pairs]
        own = {fingerprint_of(each.certificate): _authority(each) for each in known.pairs}
        mine = [name for name in names if name in own]
        if not mine:
            follows = leads_to(found.bridges, known.pairs, found.current)
            raise ForeignRecord(names[0], found.number, follows=follows)
        content = _content(found)
        if not all(hmac.compare_digest(str(proofs[n]), _proof(own[n], content)) for n in mine):
            raise Damaged("no manager that has the CA's key wrote it")
        pairs = [
            Pair(each.certificate, _opened_key(name, keys, own, found))
            for name, each in zip(names, found.pairs, strict=True)
        ]
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise Damaged(f"it is not what a manager writes ({error})") from None
    except (AuthorityUnusable, NotOpened) as error:
        raise Damaged(str(error)) from None
    return replace(found, current=pairs[0], other=pairs[1] if len(pairs) > 1 else None)


def _opened_key(
    name: str, keys: Mapping[str, Mapping[str, str]], own: Mapping[str, Authority], found: CaState
) -> str:
    if name in own:
        return own[name].pair.key
    for by, sealed in keys[name].items():
        if by in own:
            return _sealing(own[by]).open(sealed, _owner(name, found)).decode()
    raise Damaged("it lacks a key")


def _sealing(authority: Authority) -> Sealing:
    key = authority.key_for(_SEALING)
    return Sealing(lambda: (key,))


def _owner(name: str, state: CaState) -> str:
    return f"{name} {state.number}"


def _content(state: CaState) -> dict[str, object]:
    return {
        "number": state.number,
        "phase": str(state.phase),
        "since": state.since,
        "certificates": [each.certificate for each in state.pairs],
        "bridges": list(state.bridges),
        "used": state.used,
    }


def _read(document: Mapping[str, object]) -> CaState:
    certificates = document["certificates"]
    bridges = document["bridges"]
    if not isinstance(certificates, list) or not isinstance(bridges, list):
        raise TypeError("it has no lists of certificates")
    pairs = [Pair(str(each)) for each in certificates]
    number, since = document["number"], document["since"]
    if not isinstance(number, int) or not isinstance(since, float | int):
        raise TypeError("it has no number, or no time")
    phase = Phase(str(document["phase"]))
    if len(pairs) != (1 if phase is Phase.SETTLED else 2):
        raise ValueError("its certificates do not fit its phase")
    other = pairs[1] if len(pairs) > 1 else None
    used = document["used"] is True
    return CaState(pairs[0], other, phase, tuple(map(str, bridges)), number, float(since), used)


def _proof(authority: Authority, content: Mapping[str, object]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hmac.new(authority.key_for(_PROVING), text.encode(), hashlib.sha256).hexdigest()


def _authority(pair: Pair) -> Authority:
    return Authority.of(pair, "the store")
