"""This machine's identity on disk: key, certificate, and the CA it trusts.

``machine.key`` (0600), ``machine.pem``, ``ca.pem``. A certificate is replaced by an atomic rename
and keeps its key, so key and certificate match at every moment. Nothing here ever deletes an
identity: a manager with a fault must not be able to make a machine forget who it is.
"""

from __future__ import annotations

import datetime
import socket
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tdc.node_agent.log.lines import TdcLog
from tdc.shared.edge import durable_file
from tdc.shared.sync.identity import MachinePeer, NotAnIdentity, parse_identity

KEY, CERTIFICATE, AUTHORITY = "machine.key", "machine.pem", "ca.pem"


class NotEnrolled(Exception):
    """There is no identity in the folder: run `tdc-agent enrol`."""


class IdentityUnusable(Exception):
    """The identity's files can't be read or do not match; enrol again."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this machine is, PEM throughout. `begins` and `ends` are Unix seconds."""

    key_pem: bytes
    certificate_pem: bytes
    ca_pem: bytes
    cluster: str
    machine: str
    begins: float
    ends: float

    def renew_at(self, jitter: float) -> float:
        """When to renew: at 45 to 55 % of the life, by `jitter` in [0, 1)."""
        life = self.ends - self.begins
        return self.begins + life * (0.45 + 0.1 * jitter)


def make_identity(key_pem: bytes, certificate_pem: bytes, ca_pem: bytes) -> Identity:
    """Check that the parts match; raises IdentityUnusable."""
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
        authority = x509.load_pem_x509_certificate(ca_pem)
        key = serialization.load_pem_private_key(key_pem, password=None)
        certificate.verify_directly_issued_by(authority)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        (uri,) = names.value.get_values_for_type(x509.UniformResourceIdentifier)
        peer = parse_identity(uri)
        same_key = certificate.public_key() == key.public_key()
    except (NotAnIdentity, ValueError, TypeError, x509.ExtensionNotFound) as error:
        raise IdentityUnusable(f"can't use the machine's certificate: {error}") from None
    except Exception as error:  # a signature that does not verify, an algorithm not known
        raise IdentityUnusable(f"the machine's certificate is not from its CA: {error!r}") from None
    if not isinstance(peer, MachinePeer) or not same_key:
        raise IdentityUnusable("the machine's key and certificate do not match")
    return Identity(
        key_pem,
        certificate_pem,
        ca_pem,
        peer.cluster,
        peer.machine,
        certificate.not_valid_before_utc.timestamp(),
        certificate.not_valid_after_utc.timestamp(),
    )


def load(folder: Path) -> Identity:
    """Read the identity in `folder`; raises NotEnrolled, IdentityUnusable."""
    try:
        parts = [durable_file.read(folder / name) for name in (KEY, CERTIFICATE, AUTHORITY)]
    except durable_file.Missing:
        raise NotEnrolled(
            f"this machine is not enrolled (no identity in {folder}): run `tdc-agent enrol`"
        ) from None
    except durable_file.NotReadable as error:
        raise IdentityUnusable(str(error)) from None
    try:
        return make_identity(*parts)
    except IdentityUnusable as error:
        raise IdentityUnusable(
            f"{str(error).rstrip('.')} ({folder}): enrol this machine again with `tdc-agent enrol`"
        ) from None


def name_or_hostname(folder: Path, log: TdcLog) -> str:
    """The machine's name in its certificate; without a usable one, this host's name.

    Why the certificate is of no use, the settings stream logs.
    """
    try:
        return load(folder).machine
    except (NotEnrolled, IdentityUnusable):
        name = socket.gethostname()
        log.warning(f"no usable certificate: this machine is called by its host name, {name}")
        return name


def save(folder: Path, identity: Identity) -> None:
    """Write a new identity; raises durable_file.NotWritten."""
    durable_file.make_folder(folder)
    durable_file.write(folder / KEY, identity.key_pem)
    durable_file.write(folder / AUTHORITY, identity.ca_pem, mode=durable_file.READABLE)
    save_certificate(folder, identity)


def save_certificate(folder: Path, identity: Identity) -> None:
    """Replace the certificate by a renewed one of the same key; raises NotWritten."""
    durable_file.write(folder / CERTIFICATE, identity.certificate_pem, mode=durable_file.READABLE)


def new_key() -> bytes:
    """Make a key for this machine; PEM. It never leaves the machine."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def request_for(key_pem: bytes) -> str:
    """A certificate request, PEM: it holds nothing but the public key."""
    key = serialization.load_pem_private_key(key_pem, password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey), "new_key makes no other kind"
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return request.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def day(seconds: float) -> str:
    """Unix time in words, for a log line."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%d %b %Y %H:%M UTC")
