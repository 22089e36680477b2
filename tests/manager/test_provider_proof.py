"""What proves who somebody is: no forged ID token passes, however it is forged."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from tdc.manager.provider.proof import half_hash, proven
from tdc.manager.provider.values import Claims, NotProven, Tokens, UnknownKey

FAR_AHEAD = 4_000_000_000
"""Unix seconds, in 2096: whenever the test comes to run, and the same in each process."""

ISSUER, CLIENT, NONCE, ACCESS = "https://login.example", "tdc", "nonce-of-this-login", "access"
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
ED_KEY = ed25519.Ed25519PrivateKey.generate()
OTHER_RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
SHORT_KEY = rsa.generate_private_key(public_exponent=65537, key_size=1024)


def published(key: Any, kid: str, **more: object) -> dict[str, object]:
    """A public key as a provider publishes it."""
    if isinstance(key, rsa.RSAPrivateKey):
        made = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        made = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    else:
        made = OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {**made, "kid": kid, "use": "sig", **more}


KEYS = [published(RSA_KEY, "r"), published(EC_KEY, "e"), published(ED_KEY, "d")]


def claims(**changed: object) -> dict[str, object]:
    """Claims that are good, but for what is changed; None leaves one out."""
    now = int(time.time())
    good: dict[str, object] = {
        "iss": ISSUER,
        "sub": "sub-1",
        "aud": CLIENT,
        "exp": now + 600,
        "iat": now,
        "nonce": NONCE,
    }
    return {name: value for name, value in {**good, **changed}.items() if value is not None}


def signed(
    content: Mapping[str, object],
    key: Any = RSA_KEY,
    algorithm: str = "RS256",
    **header: Any,
) -> str:
    return jwt.encode(dict(content), key, algorithm, headers={"kid": "r", **header})


def judged(
    token: str, nonce: str = NONCE, keys: Sequence[Mapping[str, object]] | None = None, **more: Any
) -> Claims:
    keys = KEYS if keys is None else keys
    offered = more.get("offered", ())
    return proven(Tokens(token, ACCESS), keys, offered, ISSUER, CLIENT, nonce)


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def by_hand(header: Mapping[str, object], content: Mapping[str, object], secret: bytes) -> str:
    """A token that no library would make: an HMAC under any bytes, or no signature at all."""
    begin = f"{_b64(json.dumps(header).encode())}.{_b64(json.dumps(content).encode())}"
    proof = hmac.digest(secret, begin.encode(), hashlib.sha256) if secret else b""
    return f"{begin}.{_b64(proof)}"


@pytest.mark.parametrize(
    ("key", "algorithm", "kid"),
    [(RSA_KEY, "RS256", "r"), (RSA_KEY, "PS256", "r"), (EC_KEY, "ES256", "e"),
     (ED_KEY, "EdDSA", "d")],
)  # fmt: skip
def test_a_good_token_passes_by_each_algorithm(key: Any, algorithm: str, kid: str) -> None:
    bound = claims(at_hash=half_hash(ACCESS, algorithm), azp=CLIENT)
    assert judged(signed(bound, key, algorithm, kid=kid))["sub"] == "sub-1"


@pytest.mark.parametrize("algorithm", ["none", "None", "nOnE", "", None])
def test_a_token_without_a_signature_does_not_pass(algorithm: str | None) -> None:
    header = {"typ": "JWT", "kid": "r", **({} if algorithm is None else {"alg": algorithm})}
    with pytest.raises(NotProven):
        judged(by_hand(header, claims(), b""))


@pytest.mark.parametrize("form", ["pem", "der", "modulus"])
def test_the_public_key_is_no_secret_of_an_hmac(form: str) -> None:
    public = RSA_KEY.public_key()
    secret = {
        "pem": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "der": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "modulus": str(KEYS[0]["n"]).encode(),
    }[form]
    with pytest.raises(NotProven, match="HS256"):
        judged(by_hand({"alg": "HS256", "kid": "r", "typ": "JWT"}, claims(), secret))


@pytest.mark.parametrize("kid", ["r", "mine", None])
def test_a_key_that_the_token_brings_is_not_looked_at(kid: str | None) -> None:
    """CVE-2026-27962 was such a bypass, in another library."""
    own = published(OTHER_RSA_KEY, "mine")
    header: dict[str, Any] = {"jwk": own, "jku": "https://forger.example/keys", "x5c": ["AAAA"]}
    token = jwt.encode(
        claims(), OTHER_RSA_KEY, "RS256", headers={**header, **({"kid": kid} if kid else {})}
    )
    with pytest.raises(NotProven):
        judged(token)


def test_a_key_of_another_kind_or_for_another_use_is_not_taken() -> None:
    good = signed(claims())
    for keys in (
        [published(EC_KEY, "r")],
        [published(RSA_KEY, "r", use="enc")],
        [published(RSA_KEY, "r", alg="PS256")],
        [published(RSA_KEY, "another")],
        [published(RSA_KEY, "r"), published(OTHER_RSA_KEY, "r")],
        [{"kty": "oct", "k": "AAAA", "kid": "r"}],
        [],
    ):
        with pytest.raises(UnknownKey):
            judged(good, keys=keys)


@pytest.mark.filterwarnings("ignore:The RSA key is 1024 bits")
def test_a_short_key_is_not_taken() -> None:
    with pytest.raises(NotProven):
        judged(signed(claims(), SHORT_KEY), keys=[published(SHORT_KEY, "r")])


def test_an_algorithm_that_the_provider_does_not_use_is_not_taken() -> None:
    with pytest.raises(NotProven, match="not one of ES256"):
        judged(signed(claims()), offered=["ES256", "HS256"])


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://login.example/"},
        {"iss": "https://forger.example"},
        {"iss": None},
        {"aud": "other"},
        {"aud": ["other", "more"]},
        {"aud": [CLIENT, "other"]},
        {"aud": None},
        {"azp": "other"},
        {"exp": 1},
        {"exp": 1_700_000_000},
        {"exp": None},
        {"iat": None},
        {"nbf": FAR_AHEAD},
        {"iat": FAR_AHEAD},
        {"sub": None},
        {"sub": ""},
        {"sub": "x" * 256},
        {"nonce": "nonce-of-another-login"},
        {"nonce": None},
        {"nonce": ""},
        {"at_hash": half_hash("another", "RS256")},
        {"at_hash": ""},
        {"at_hash": 1},
    ],
    ids=str,
)
def test_claims_that_are_not_of_this_login_do_not_pass(changed: dict[str, object]) -> None:
    with pytest.raises(NotProven):
        judged(signed(claims(**changed)))


def test_a_login_without_a_nonce_takes_no_token_that_has_one() -> None:
    assert judged(signed(claims(nonce=None)), nonce="")
    with pytest.raises(NotProven, match="nonce"):
        judged(signed(claims()), nonce="")


@pytest.mark.parametrize("header", [{"typ": "at+jwt"}, {"typ": "logout+jwt"}, {"crit": ["x"]}])
def test_a_token_of_another_kind_does_not_pass(header: dict[str, Any]) -> None:
    with pytest.raises(NotProven):
        judged(signed(claims(), **header))


@pytest.mark.parametrize("token", ["", "a", "a.b.c", "..", "é.é.é", "a" * 70_000])
def test_what_is_no_token_does_not_pass(token: str) -> None:
    with pytest.raises(NotProven):
        judged(token)


def test_a_changed_token_does_not_pass() -> None:
    begin, middle, end = signed(claims()).split(".")
    admin = _b64(json.dumps(claims(sub="sub-admin")).encode())
    for forged in (f"{begin}.{admin}.{end}", f"{begin}.{middle}.{end[:-8]}AAAAAAAA"):
        with pytest.raises(NotProven):
            judged(forged)
