"""Who is calling: the identity in the certificate that TLS has verified, and nothing else.

In: the context of a call. Out: Operator or MachinePeer.
Promise: no header, address or field of a request has any influence.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import grpc.aio
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID
from tdc.manager.identity.authority import BACKDATE
from tdc.shared.sync.identity import NotAnIdentity, Operator, Peer, parse_identity
from tdc.shared.sync.values import Removed


class NotIdentified(Exception):
    """The connection has no certificate that identifies the caller."""


class Denied(Exception):
    """The certificate is valid, but its owner may not use it, or no longer.

    `removed` is what the agent of a removed machine is told; None where it was not removed.
    """

    def __init__(self, reason: str, removed: Removed | None = None) -> None:
        super().__init__(reason)
        self.removed = removed


def peer_of(context: grpc.aio.ServicerContext[Any, Any]) -> Peer:
    """Identify the caller; raises NotIdentified."""
    facts = context.auth_context()
    if list(facts.get("transport_security_type", [])) != [b"ssl"]:
        raise NotIdentified("the connection is not TLS")
    certificates = list(facts.get("x509_pem_cert", []))
    if len(certificates) != 1:
        raise NotIdentified("the connection carries no client certificate")
    return identity_of(certificates[0])


def identity_of(certificate_pem: bytes) -> Peer:
    """Read whose a verified certificate is; raises NotIdentified.

    It must have one subject alternative name, our URI, and be good for a client only
    (RFC 5280 4.2.1.6 and 4.2.1.12).
    """
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
        extensions = certificate.extensions
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        usage = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (ValueError, x509.ExtensionNotFound):
        raise NotIdentified("the certificate has no identity of this product") from None
    if list(usage) != [ExtendedKeyUsageOID.CLIENT_AUTH]:
        raise NotIdentified("the certificate is not a client certificate")
    match list(names):
        case [x509.UniformResourceIdentifier(value=uri)]:
            try:
                peer = replace(parse_identity(uri), issuer=_issuer_of(extensions))
            except NotAnIdentity as error:
                raise NotIdentified(str(error)) from None
            if isinstance(peer, Operator):
                fingerprint = certificate.fingerprint(hashes.SHA256()).hex()
                issued = certificate.not_valid_before_utc.timestamp() + BACKDATE
                ends = certificate.not_valid_after_utc.timestamp()
                return replace(peer, fingerprint=fingerprint, issued=issued, ends=ends)
            return peer
        case _:
            raise NotIdentified("the certificate does not name exactly one identity")


def _issuer_of(extensions: x509.Extensions) -> str:
    """How a certificate names the key of the CA that it is by; empty where it does not."""
    try:
        found = extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    except x509.ExtensionNotFound:
        return ""
    return (found.key_identifier or b"").hex()
