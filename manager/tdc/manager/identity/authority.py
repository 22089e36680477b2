"""A certificate authority: made by `tdc-manager init` or a rotation; the source of every identity.

In: public keys (from certificate requests) and names that the manager chose. Out: certificates.
Promise: only the public key of a request is used; every name in a certificate is ours. A
certificate is good for a client or for a server, never for both. The key file is 0600.
Failures: AuthorityUnusable, RequestRefused.
"""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.x509.oid import ExtendedKeyUsageOID
from tdc.manager.identity import ca_folder
from tdc.manager.identity.ca_folder import AuthorityUnusable
from tdc.manager.identity.ca_state import Pair
from tdc.shared.edge.clock import Clock, wall
from tdc.shared.edge.grpc_tls import SERVER_NAME
from tdc.shared.sync.identity import MachinePeer, ManagerPeer, Operator, Peer, identity_uri

DAY = 86_400.0
CA_LIFETIME = 3_653 * DAY
SERVER_LIFETIME = 800 * DAY  # a new one is made at every start of a manager
OPERATOR_LIFETIME = 365 * DAY
# Renewed by the machine itself at half life. Not shorter: without a manager nobody can renew, and
# an outage over a long weekend must not cost every machine a new join token. A shorter life would
# not help either: what ends a certificate at once is its enrolment, not its expiry.
MACHINE_LIFETIME = 14 * DAY
BACKDATE = 300.0  # seconds that a machine's clock may be slow

_MAX_REQUEST = 16_384
_CURVES = (ec.SECP256R1, ec.SECP384R1)
_RSA_LOW, _RSA_HIGH = 2_048, 4_096

_PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


class RequestRefused(Exception):
    """A certificate request that can't be read or has a weak key; the text says which."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate with its private key, both PEM."""

    certificate_pem: bytes
    key_pem: bytes


class Authority:
    """The CA in memory; see `create` and `load`. `ca_pem` is its certificate."""

    def __init__(
        self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey, clock: Clock
    ) -> None:
        self._certificate = certificate
        self._key = key
        self._clock = clock
        self.ca_pem = certificate.public_bytes(serialization.Encoding.PEM)

    @classmethod
    def create(cls, folder: Path, *, clock: Clock = wall) -> Authority:
        """Make a CA in `folder` (made 0700 if new); raises AuthorityExists, AuthorityUnusable."""
        made = cls.new(clock=clock)
        ca_folder.make(folder, made.pair)
        return made

    @classmethod
    def new(cls, *, clock: Clock = wall) -> Authority:
        """Make a CA in memory."""
        key = ec.generate_private_key(ec.SECP256R1())
        return cls(_self_signed(key, clock()), key, clock)

    @classmethod
    def load(cls, folder: Path, *, clock: Clock = wall) -> Authority:
        """The CA of `folder` that signs; raises AuthorityMissing or AuthorityUnusable."""
        return cls.of(ca_folder.read(folder).current, str(folder), clock=clock)

    @classmethod
    def of(cls, pair: Pair, where: str, *, clock: Clock = wall) -> Authority:
        """A CA that was read from `where`; raises AuthorityUnusable."""
        try:
            key = serialization.load_pem_private_key(pair.key.encode(), password=None)
            certificate = x509.load_pem_x509_certificate(pair.certificate.encode())
        except ValueError as error:
            raise AuthorityUnusable(f"the CA in {where} can't be read: {error}") from None
        same = _public_bytes(certificate.public_key()) == _public_bytes(key.public_key())
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not same:
            raise AuthorityUnusable(f"key and certificate of the CA in {where} do not match")
        return cls(certificate, key, clock)

    @property
    def pair(self) -> Pair:
        """Its certificate and key, PEM."""
        return Pair(self.ca_pem.decode(), _key_pem(self._key).decode())

    @property
    def ends(self) -> float:
        """When the CA's certificate ends, Unix seconds; no certificate of its lasts longer."""
        return self._certificate.not_valid_after_utc.timestamp()

    def key_for(self, purpose: str) -> bytes:
        """32 bytes that follow from the CA's key and no other, for this purpose alone."""
        secret = self._key.private_numbers().private_value.to_bytes(66)
        return HKDF(hashes.SHA256(), 32, salt=None, info=f"tdc {purpose}".encode()).derive(secret)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the CA's certificate, 64 hexadecimal digits: what join tokens carry."""
        return fingerprint_of(self.ca_pem)

    @property
    def key_id(self) -> str:
        """What each certificate of this CA names its issuer by (hexadecimal)."""
        identifier = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        return identifier.digest.hex()

    def bridge_to(self, later: Authority) -> str:
        """A certificate of a later CA by this one, PEM: who trusts this one trusts that one.

        Subject and issuer have the same name, so it is self-issued (RFC 5280 3.2), and the bound
        on the length of a path does not count it.
        """
        theirs = later._certificate
        begins = max(theirs.not_valid_before_utc, self._certificate.not_valid_before_utc)
        ends = min(theirs.not_valid_after_utc, self._certificate.not_valid_after_utc)
        signed_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return self._sign(
            _authority_builder(theirs.public_key(), begins.timestamp(), ends.timestamp())
            .issuer_name(self._certificate.subject)
            .add_extension(signed_by, critical=False)
        ).decode()

    @staticmethod
    def check_request(csr_pem: bytes | str) -> None:
        """Raise RequestRefused if `issue_machine` would."""
        _requested_key(csr_pem)

    def issue_machine(
        self,
        csr_pem: bytes | str,
        cluster: str,
        machine: str,
        enrolment: str,
        *,
        lifetime: float = MACHINE_LIFETIME,
    ) -> bytes:
        """Issue a machine's certificate, PEM, good for `lifetime` seconds.

        Raises RequestRefused.
        """
        peer = MachinePeer(cluster, machine, enrolment)
        return self._issue_client(_requested_key(csr_pem), peer, lifetime)

    def issue_operator(self, name: str, *, lifetime: float = OPERATOR_LIFETIME) -> Issued:
        """Make a key and issue a certificate for the operator `name`."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate_pem = self._issue_client(key.public_key(), Operator(name), lifetime)
        return Issued(certificate_pem, _key_pem(key))

    def issue_manager(self, manager: str, *, lifetime: float = SERVER_LIFETIME) -> Issued:
        """Make a key and issue the certificate by which a manager calls the others."""
        key = ec.generate_private_key(ec.SECP256R1())
        peer = ManagerPeer(manager)
        certificate_pem = self._issue_client(key.public_key(), peer, lifetime)
        return Issued(certificate_pem, _key_pem(key))

    def issue_server(
        self,
        names: tuple[str, ...] = (),
        *,
        lifetime: float = SERVER_LIFETIME,
        chain: bytes | None = None,
    ) -> Issued:
        """Make a key and issue a certificate chain (server, then `chain`) for a manager.

        `names` are host names and IP addresses; the name that our own clients ask for is always
        among them. By default the chain is the CA, so that a joining machine can compare its
        fingerprint.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        all_names = [_server_name(name) for name in dict.fromkeys((SERVER_NAME, *names))]
        # It begins with the CA: a clock that was wrong when the manager started, or a slow clock of
        # a gateway, must not make a server that nobody trusts.
        begins = self._certificate.not_valid_before_utc.timestamp()
        certificate = self._sign(
            self._builder(key.public_key(), lifetime, begins=begins)
            .subject_name(_common_name(SERVER_NAME))
            .add_extension(x509.SubjectAlternativeName(all_names), critical=False)
            .add_extension(_only(ExtendedKeyUsageOID.SERVER_AUTH), critical=True)
        )
        return Issued(certificate + (self.ca_pem if chain is None else chain), _key_pem(key))

    def _issue_client(self, key: _PublicKey, peer: Peer, lifetime: float) -> bytes:
        uri = x509.UniformResourceIdentifier(identity_uri(peer))
        # RFC 5280 4.2.1.6: an empty subject makes the alternative name critical.
        return self._sign(
            self._builder(key, lifetime)
            .subject_name(x509.Name([]))
            .add_extension(x509.SubjectAlternativeName([uri]), critical=True)
            .add_extension(_only(ExtendedKeyUsageOID.CLIENT_AUTH), critical=True)
        )

    def _builder(
        self, key: _PublicKey, lifetime: float, *, begins: float | None = None
    ) -> x509.CertificateBuilder:
        now = self._clock()
        begins = now - BACKDATE if begins is None else begins
        end = min(max(now, begins) + lifetime, self._certificate.not_valid_after_utc.timestamp())
        authority_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return (
            _with_dates(x509.CertificateBuilder(), begins, end)
            .issuer_name(self._certificate.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(authority=False), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(authority_key, critical=False)
        )

    def _sign(self, builder: x509.CertificateBuilder) -> bytes:
        certificate = builder.sign(self._key, hashes.SHA256())
        return certificate.public_bytes(serialization.Encoding.PEM)


def _requested_key(csr_pem: bytes | str) -> _PublicKey:
    """The public key of a request that proves to have its private key."""
    content = csr_pem.encode() if isinstance(csr_pem, str) else csr_pem
    if len(content) > _MAX_REQUEST:
        raise RequestRefused("the certificate request is too long")
    try:
        request = x509.load_pem_x509_csr(content)
        key = request.public_key()
        proven = request.is_signature_valid
    except Exception as error:  # the parser's errors are many (ValueError, UnsupportedAlgorithm, …)
        raise RequestRefused(f"the certificate request can't be read: {error}") from None
    if not proven:
        raise RequestRefused("the certificate request is not signed by its own key")
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, _CURVES):
        return key
    if isinstance(key, rsa.RSAPublicKey) and _RSA_LOW <= key.key_size <= _RSA_HIGH:
        return key
    raise RequestRefused(
        "the certificate request's key must be ECDSA P-256 or P-384, "
        f"or RSA of {_RSA_LOW} to {_RSA_HIGH} bits"
    )


def leads_to(bridges: Iterable[str], known: Iterable[Pair], last: Pair) -> bool:
    """Whether bridges (PEM, newest first) lead from one of the `known` CAs to the last one.

    Raises ValueError where one is no certificate.
    """
    proven = [_certificate_of(each.certificate) for each in known]
    for bridge in (_certificate_of(each) for each in reversed(tuple(bridges))):
        if any(_signed(bridge, by) for by in proven):
            proven.append(bridge)
    key = _public_bytes(_certificate_of(last.certificate).public_key())
    return any(_public_bytes(each.public_key()) == key for each in proven)


def _certificate_of(pem: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem.encode())


def _signed(certificate: x509.Certificate, by: x509.Certificate) -> bool:
    """Whether one CA's certificate is by another one; a machine's, say, is no CA's."""
    try:
        certificate.verify_directly_issued_by(by)
        usage = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (InvalidSignature, TypeError, ValueError, x509.ExtensionNotFound):
        return False
    return usage.ca


def fingerprint_of(ca_pem: bytes | str) -> str:
    """SHA-256 of a certificate, 64 hexadecimal digits; raises ValueError."""
    pem = ca_pem.encode() if isinstance(ca_pem, str) else ca_pem
    der = x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER)
    return hashlib.sha256(der).hexdigest()


_NAME = "TDC manager CA"


def _self_signed(key: ec.EllipticCurvePrivateKey, now: float) -> x509.Certificate:
    return (
        _authority_builder(key.public_key(), now - BACKDATE, now + CA_LIFETIME)
        .issuer_name(_common_name(_NAME))
        .sign(key, hashes.SHA256())
    )


def _authority_builder(public: Any, begins: float, ends: float) -> x509.CertificateBuilder:
    """A certificate of a CA, but for who issues it."""
    return (
        _with_dates(x509.CertificateBuilder(), begins, ends)
        .subject_name(_common_name(_NAME))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _with_dates(
    builder: x509.CertificateBuilder, begin: float, end: float
) -> x509.CertificateBuilder:
    return builder.not_valid_before(_moment(begin)).not_valid_after(_moment(end))


def _moment(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)


def _common_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def _only(usage: x509.ObjectIdentifier) -> x509.ExtendedKeyUsage:
    return x509.ExtendedKeyUsage([usage])


def _server_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name.strip("[]")))
    except ValueError:
        return x509.DNSName(name)


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _public_bytes(key: object) -> bytes:
    der, info = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(der, info)  # type: ignore[attr-defined,no-any-return]  # every public key has it
