"""The certificate authority: made once by `tdc-manager init`, then the source of every identity.

In: public keys (from certificate requests) and names that the manager chose. Out: certificates.
Promise: only the public key of a request is used; every name in a certificate is ours. A
certificate is good for a client or for a server, never for both. The key file is 0600.
Failures: AuthorityMissing, AuthorityExists, AuthorityUnusable, RequestRefused.
"""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.x509.oid import ExtendedKeyUsageOID
from tdc.shared.edge import durable_file
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

_CERTIFICATE = "ca.pem"
_KEY = "ca-key.pem"
_MAX_REQUEST = 16_384
_CURVES = (ec.SECP256R1, ec.SECP384R1)
_RSA_LOW, _RSA_HIGH = 2_048, 4_096

_PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


class AuthorityMissing(Exception):
    """The folder has no CA yet: `tdc-manager init` makes it."""


class AuthorityExists(Exception):
    """The folder already has a CA; a new one would cut off every machine."""


class AuthorityUnusable(Exception):
    """The CA's files can't be read or written, or do not belong together."""


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
        if _parts(folder):
            raise AuthorityExists(
                f"{folder} already has a CA; a new one would cut off every machine"
            )
        key = ec.generate_private_key(ec.SECP256R1())
        authority = cls(_self_signed(key, clock()), key, clock)
        try:
            durable_file.make_folder(folder)
            # Key first: a certificate without its key would look like a CA that was damaged.
            durable_file.write(folder / _KEY, _key_pem(key))
            durable_file.write(folder / _CERTIFICATE, authority.ca_pem, mode=durable_file.READABLE)
        except durable_file.NotWritten as error:
            raise AuthorityUnusable(str(error)) from error
        return authority

    @classmethod
    def bring(cls, folder: Path, certificate_pem: bytes, key_pem: bytes) -> Authority:
        """Put the CA of another manager in `folder`; raises AuthorityExists, AuthorityUnusable."""
        there = _parts(folder)
        if there:
            raise AuthorityExists(f"{folder} already has a CA; nothing changed")
        try:
            durable_file.make_folder(folder)
            durable_file.write(folder / _KEY, key_pem)
            durable_file.write(folder / _CERTIFICATE, certificate_pem, mode=durable_file.READABLE)
        except durable_file.NotWritten as error:
            raise AuthorityUnusable(str(error)) from error
        return cls.load(folder)

    @classmethod
    def load(cls, folder: Path, *, clock: Clock = wall) -> Authority:
        """Read the CA of `folder`; raises AuthorityMissing or AuthorityUnusable."""
        _parts(folder)
        try:
            key_pem = durable_file.read(folder / _KEY)
            ca_pem = durable_file.read(folder / _CERTIFICATE)
        except durable_file.Missing:
            raise AuthorityMissing(f"{folder} has no CA: run `tdc-manager init` first") from None
        except durable_file.NotReadable as error:
            raise AuthorityUnusable(str(error)) from error
        try:
            key = serialization.load_pem_private_key(key_pem, password=None)
            certificate = x509.load_pem_x509_certificate(ca_pem)
        except ValueError as error:
            raise AuthorityUnusable(f"the CA in {folder} can't be read: {error}") from None
        same = _public_bytes(certificate.public_key()) == _public_bytes(key.public_key())
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not same:
            raise AuthorityUnusable(f"key and certificate of the CA in {folder} do not match")
        return cls(certificate, key, clock)

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
        der = self._certificate.public_bytes(serialization.Encoding.DER)
        return hashlib.sha256(der).hexdigest()

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

    def issue_manager(self, manager: str) -> Issued:
        """Make a key and issue the certificate by which a manager calls the others."""
        key = ec.generate_private_key(ec.SECP256R1())
        peer = ManagerPeer(manager)
        certificate_pem = self._issue_client(key.public_key(), peer, SERVER_LIFETIME)
        return Issued(certificate_pem, _key_pem(key))

    def issue_server(self, names: tuple[str, ...] = ()) -> Issued:
        """Make a key and issue a certificate chain (server, then CA) for a manager.

        `names` are host names and IP addresses; the name that our own clients ask for is always
        among them. The CA goes with it so that a joining machine can compare its fingerprint.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        all_names = [_server_name(name) for name in dict.fromkeys((SERVER_NAME, *names))]
        # It begins with the CA: a clock that was wrong when the manager started, or a slow clock of
        # a gateway, must not make a server that nobody trusts.
        begins = self._certificate.not_valid_before_utc.timestamp()
        certificate = self._sign(
            self._builder(key.public_key(), SERVER_LIFETIME, begins=begins)
            .subject_name(_common_name(SERVER_NAME))
            .add_extension(x509.SubjectAlternativeName(all_names), critical=False)
            .add_extension(_only(ExtendedKeyUsageOID.SERVER_AUTH), critical=True)
        )
        return Issued(certificate + self.ca_pem, _key_pem(key))

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


def _parts(folder: Path) -> bool:
    """Whether the folder has a CA; raises AuthorityUnusable if it has a part, or can't be read."""
    try:
        there = {name for name in (_KEY, _CERTIFICATE) if durable_file.exists(folder / name)}
    except durable_file.NotReadable as error:
        raise AuthorityUnusable(str(error)) from error
    if len(there) == 1:
        raise AuthorityUnusable(
            f"{folder} has only {there.pop()} of a CA: `tdc-manager init` was cut off, or a file "
            "was lost. Restore it from a backup; or, if no machine has been enrolled, remove "
            f"{folder} and run `tdc-manager init` again"
        )
    return bool(there)


def _self_signed(key: ec.EllipticCurvePrivateKey, now: float) -> x509.Certificate:
    name = _common_name("TDC manager CA")
    public = key.public_key()
    return (
        _with_dates(x509.CertificateBuilder(), now - BACKDATE, now + CA_LIFETIME)
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
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
