"""This machine's identity on disk: key, certificate, and the CA it trusts.

All three are in one file, ``identity.pem`` (0600), which one rename replaces: whenever the machine
dies, the whole old identity or the whole new one is there. Agents before that kept three files;
they are read while there is no ``identity.pem``, and removed once there is.
Nothing here deletes the identity in use: a manager with a fault must not be able to make a machine
forget who it is.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import os
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tdc.shared.edge import durable_file
from tdc.shared.edge.clock import monotonic
from tdc.shared.edge.os_words import os_reason
from tdc.shared.sync.identity import MachinePeer, NotAnIdentity, parse_identity

FILE = "identity.pem"
"""PEM in this order: the machine's key, its certificate, the CA; while it is replaced, both."""
BEFORE = ("machine.key", "machine.pem", "ca.pem")
"""The same in three files, as older agents kept it."""

LOCK_WAIT = 10.0
"""Seconds that a write waits for another program (`tdc-agent enrol`) that is writing."""

_BLOCK = re.compile(rb"-----BEGIN ([A-Z ]+)-----.*?-----END \1-----\n?", re.DOTALL)


class NotEnrolled(Exception):
    """There is no identity in the folder: run `tdc-agent enrol`."""


class IdentityUnusable(Exception):
    """The identity's files can't be read or do not match; enrol again."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this machine is, PEM throughout. `begins` and `ends` are Unix seconds.

    `enrolment` is the id of the enrolment that the certificate, and each renewed one, is of.
    `ca_pem` has each CA by which managers are trusted, and `trusted` the SHA-256 of each
    (hexadecimal); `issuer` is that of the one that the certificate is by.
    """

    key_pem: bytes
    certificate_pem: bytes
    ca_pem: bytes
    cluster: str
    machine: str
    enrolment: str
    begins: float
    ends: float
    trusted: tuple[str, ...] = ()
    issuer: str = ""

    def renew_at(self, jitter: float) -> float:
        """When to renew: at 45 to 55 % of the life, by `jitter` in [0, 1)."""
        life = self.ends - self.begins
        return self.begins + life * (0.45 + 0.1 * jitter)


def make_identity(key_pem: bytes, certificate_pem: bytes, ca_pem: bytes) -> Identity:
    """Check that the parts match; raises IdentityUnusable."""
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
        authorities = x509.load_pem_x509_certificates(ca_pem)
        key = serialization.load_pem_private_key(key_pem, password=None)
        issuer = _issuer_of(certificate, authorities)
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
        peer.enrolment,
        certificate.not_valid_before_utc.timestamp(),
        certificate.not_valid_after_utc.timestamp(),
        tuple(map(_fingerprint, authorities)),
        _fingerprint(issuer),
    )


def _issuer_of(
    certificate: x509.Certificate, authorities: Sequence[x509.Certificate]
) -> x509.Certificate:
    """Which of them a certificate is by; raises if none is it."""
    *others, last = authorities
    for each in others:
        with contextlib.suppress(Exception):  # as many kinds as there are signatures
            certificate.verify_directly_issued_by(each)
            return each
    certificate.verify_directly_issued_by(last)
    return last


def _fingerprint(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(hashes.SHA256()).hex()


def load(folder: Path) -> Identity:
    """Read the identity in `folder`; raises NotEnrolled, IdentityUnusable."""
    try:
        parts = _parts(folder)
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


def _parts(folder: Path) -> tuple[bytes, bytes, bytes]:
    """Key, certificate and CA, PEM; raises Missing, NotReadable. What is damaged comes empty."""
    try:
        whole = durable_file.read(folder / FILE)
    except durable_file.Missing:
        key, certificate, authority = (durable_file.read(folder / name) for name in BEFORE)
        return key, certificate, authority
    blocks = [match[0] for match in _BLOCK.finditer(whole)]
    key, certificate, *authorities = [*blocks, b"", b""]
    return key, certificate, b"".join(authorities)


def name(folder: Path) -> str | None:
    """The machine's name in its certificate; None without a usable one.

    Why there is none, the settings stream logs.
    """
    try:
        return load(folder).machine
    except (NotEnrolled, IdentityUnusable):
        return None


def save(folder: Path, identity: Identity) -> None:
    """Put a new identity in place of what is there, as one; raises durable_file.NotWritten."""
    durable_file.make_folder(folder)
    with _locked(folder):
        _write(folder, identity)


def save_renewed(folder: Path, held: Identity, renewed: Identity) -> bool:
    """Replace `held` by `renewed`; False if another is there by now, which then stays.

    The machine may be enrolled again while a renewal is under way. Raises NotWritten.
    """
    with _locked(folder):
        try:
            if load(folder) != held:
                return False
        except (NotEnrolled, IdentityUnusable):
            return False
        _write(folder, renewed)
    return True


def _write(folder: Path, identity: Identity) -> None:
    parts = (identity.key_pem, identity.certificate_pem, identity.ca_pem)
    durable_file.write(folder / FILE, b"".join(part.rstrip(b"\n") + b"\n" for part in parts))
    for name in BEFORE:
        with contextlib.suppress(OSError):  # `FILE` is read first, whatever lies beside it
            (folder / name).unlink()


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Be the only writer in `folder`; raises NotWritten if another one does not end."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise durable_file.NotWritten(f"{folder} can't be opened: {os_reason(error)}") from error
    try:
        _lock(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path) -> None:
    give_up = monotonic() + LOCK_WAIT
    while not _got_lock(descriptor, folder):
        if monotonic() > give_up:
            raise durable_file.NotWritten(
                f"{folder} can't be written: another program has been writing there for "
                f"{LOCK_WAIT:g} s. Look for a `tdc-agent enrol` that hangs, end it and try again"
            )
        threading.Event().wait(0.05)


def _got_lock(descriptor: int, folder: Path) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise durable_file.NotWritten(f"{folder} can't be locked: {os_reason(error)}") from error
    return True


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
