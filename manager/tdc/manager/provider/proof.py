"""What proves who somebody is: an ID token (OpenID Connect Core 3.1.3.7), checked with PyJWT.

The policy
----------
The algorithm is one of ours, whatever the token says of itself; the key is one that the provider
publishes, of the kind that the algorithm needs, and never one that the token brings (`jwk`, `jku`,
`x5c` are not looked at). So neither `none`, nor a public key used as a secret, nor a key of the
forger's own passes. It must be of our provider, for our client, of this login (nonce), in date, and
belong to the access token that came with it where it says so (at_hash).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence

from tdc.manager.provider.asking import unpadded
from tdc.manager.provider.values import Claims, NotProven, Tokens, UnknownKey

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
"""What an ID token may be signed by."""

LEEWAY = 60
"""Seconds that the provider's clock and ours may differ."""

_KINDS = {"RS256": "RSA", "PS256": "RSA", "ES256": "EC", "EdDSA": "OKP"}
_CURVES = {"ES256": "P-256", "EdDSA": "Ed25519"}
_SHORTEST_RSA = 2_048
_LONGEST_SUBJECT = 255

Key = Mapping[str, object]


def proven(
    tokens: Tokens,
    keys: Sequence[Key],
    offered: Iterable[str],
    issuer: str,
    client_id: str,
    nonce: str,
) -> Claims:
    """The claims of an ID token; `offered` are the algorithms that the provider says it uses.

    `nonce` is empty where none was sent. Raises UnknownKey, NotProven.
    """
    import jwt  # noqa: PLC0415  # only who logs in by provider pays for it

    offered = frozenset(offered)
    try:
        header = jwt.get_unverified_header(tokens.id_token)
    except jwt.PyJWTError as error:
        raise NotProven("the ID token can't be read") from error
    algorithm = header.get("alg")
    if algorithm not in ALGORITHMS or (offered and algorithm not in offered):
        raise NotProven(
            f"the ID token is signed by {str(algorithm)[:20]!r}, which is not one of "
            f"{', '.join(each for each in ALGORITHMS if not offered or each in offered)}"
        )
    if header.get("typ", "JWT") not in ("JWT", "jwt") or "crit" in header:
        raise NotProven("the ID token is of another kind")
    fitting = [each for each in keys if _fits(each, algorithm, header.get("kid"))]
    if len(fitting) != 1:  # of several, without a name, none is the right one for certain
        raise UnknownKey("the ID token is signed by a key that the provider does not publish")
    claims: Claims
    try:
        key = jwt.PyJWK(dict(fitting[0]), algorithm)
        if getattr(key.key, "key_size", _SHORTEST_RSA) < _SHORTEST_RSA and algorithm != "ES256":
            raise NotProven(f"the provider's key has less than {_SHORTEST_RSA} bits")
        claims = jwt.decode(
            tokens.id_token,
            key,
            algorithms=[algorithm],
            audience=client_id,
            issuer=issuer,
            leeway=LEEWAY,
            options={"require": ["iss", "sub", "aud", "exp", "iat"]},
        )
    except jwt.PyJWTError as error:
        raise NotProven(f"the ID token is no proof: {str(error)[:200]}") from error
    _check_claims(claims, tokens.access_token, algorithm, client_id, nonce)
    return claims


def _fits(key: Key, algorithm: str, name: object) -> bool:
    return (
        key.get("kty") == _KINDS[algorithm]
        and key.get("crv") == _CURVES.get(algorithm)
        and key.get("use", "sig") == "sig"
        and key.get("alg", algorithm) == algorithm
        and (name is None or key.get("kid") == name)
    )


def _check_claims(
    claims: Claims, access_token: str, algorithm: str, client_id: str, nonce: str
) -> None:
    """What the library does not check; raises NotProven."""
    subject, audience, party = claims.get("sub"), claims.get("aud"), claims.get("azp")
    if not isinstance(subject, str) or not 0 < len(subject) <= _LONGEST_SUBJECT:
        raise NotProven("the ID token names no person (sub)")
    if party is not None and party != client_id:
        raise NotProven("the ID token was made for another client (azp)")
    if isinstance(audience, list) and len(audience) > 1 and party is None:
        raise NotProven("the ID token is for several clients, and says not for which (azp)")
    if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
        raise NotProven("the ID token is of another login (nonce)")
    bound = claims.get("at_hash")
    if bound is not None and bound != half_hash(access_token, algorithm):
        raise NotProven("the ID token belongs to another access token (at_hash)")


def half_hash(token: str, algorithm: str) -> str:
    """What `at_hash` is of an access token (OpenID Connect Core 3.1.3.6)."""
    digest = hashlib.sha512 if algorithm == "EdDSA" else hashlib.sha256
    raw = digest(token.encode("ascii", "replace")).digest()
    return unpadded(raw[: len(raw) // 2])
