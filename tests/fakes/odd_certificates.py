"""Certificates that no good authority would issue, by one that the test trusts."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

_DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Issuer:
    """Who signs, and the certificates between it and the one that is trusted."""

    name: x509.Name
    key: Key
    between: tuple[x509.Certificate, ...] = ()


def new_authority(folder: Path, called: str = "Odd CA") -> tuple[Issuer, Path]:
    """An authority, and the file with its certificate."""
    name, key = _named(called), new_key()
    signed = _signed(Issuer(name, key), name, key.public_key(), [_ca()])
    path = folder / "odd-ca.pem"
    path.write_bytes(_pem(signed))
    return Issuer(name, key), path


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def weak_key(bits: int = 1_024) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65_537, bits)


def huge_key(one: int, other: int) -> rsa.RSAPrivateKey:
    """A key of `one` + `other` bits, at once: of two Mersenne primes, which everybody knows."""
    p, q, e = 2**one - 1, 2**other - 1, 65_537
    d = pow(e, -1, (p - 1) * (q - 1))
    numbers = rsa.RSAPrivateNumbers(
        p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), rsa.RSAPublicNumbers(e, p * q)
    )
    return numbers.private_key(unsafe_skip_rsa_key_validation=True)


def issued(
    folder: Path,
    issuer: Issuer,
    names: Sequence[str],
    *,
    common_name: str = "x",
    key: Key | None = None,
    usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH,
) -> tuple[Path, Path]:
    """A certificate for these DNS names; return the files of its chain and its key."""
    key = key or new_key()
    extensions: list[x509.ExtensionType] = [x509.ExtendedKeyUsage([usage])]
    if names:
        extensions.append(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]))
    leaf = _signed(issuer, _named(common_name), key.public_key(), extensions)
    stem = folder / f"odd-{leaf.serial_number:x}"
    chain, private = stem.with_suffix(".pem"), stem.with_suffix(".key")
    chain.write_bytes(b"".join(map(_pem, [leaf, *issuer.between])))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return chain, private


def below(issuer: Issuer, depth: int, key: Key | None = None) -> Issuer:
    """An issuer that stands so many certificates below another."""
    for number in range(depth):
        issuer = _next(issuer, number, key or new_key())
    return issuer


def _next(above: Issuer, number: int, key: Key) -> Issuer:
    name = _named(f"CA {number}")
    signed = _signed(above, name, key.public_key(), [_ca()])
    return Issuer(name, key, (signed, *above.between))


def revoked(issuer: Issuer, chains: Sequence[Path], *, ended: bool = False) -> bytes:
    """A list of revoked certificates, PEM."""
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.name)
        .last_update(now - 2 * _DAY)
        .next_update(now - _DAY if ended else now + _DAY)
    )
    for chain in chains:
        serial = x509.load_pem_x509_certificate(chain.read_bytes()).serial_number
        made = made.add_revoked_certificate(
            x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now).build()
        )
    return made.sign(issuer.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _ca() -> x509.ExtensionType:
    return x509.BasicConstraints(ca=True, path_length=None)


def _signed(
    issuer: Issuer,
    name: x509.Name,
    key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey,
    extensions: Sequence[x509.ExtensionType],
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.name)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + _DAY)
    )
    for extension in extensions:
        made = made.add_extension(extension, isinstance(extension, x509.BasicConstraints))
    return made.sign(issuer.key, hashes.SHA256())


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
