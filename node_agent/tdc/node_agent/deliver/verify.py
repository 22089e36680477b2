"""Who the intake is: the certificate judged by chain and name (webpki), or by fingerprint.

The MX answer is not authenticated, so a certificate for whatever host the DNS named proves
nothing. The name must be one that the operator configured, or be bound to the intake domain.
"""

from __future__ import annotations

import hashlib
import ssl
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from tdc.node_agent.deliver.mx import Candidate
from tdc.node_agent.deliver.tls import intake_context
from tdc.shared.connector.intake import Intake

# X509_V_ERR_*, as OpenSSL numbers them.
_CHAIN_FAULTS = {
    3: "presents a certificate of a CA without a list of revoked certificates in ca_file: add it",
    9: "presents a certificate that is not valid yet: check its dates and this machine's clock",
    10: "presents an expired certificate: it must be renewed there, or this machine's clock is off",
    12: "can't be verified: the list of revoked certificates in ca_file is out of date: renew it",
    18: "presents a self-signed certificate: use a trusted one, or tls.verification pinned",
    19: "presents a chain with an unknown CA: check the trust store or ca_file",
    20: "presents a certificate of an unknown CA: check the trust store, ca_file, or whether the "
    "intake sends its intermediate certificates",
    22: "presents a chain that is too long",
    23: "presents a certificate that its CA has revoked",
    26: "presents a certificate that is not for servers",
    66: "presents a certificate with a key that is too weak",
    67: "presents a chain with a key that is too weak",
    68: "presents a certificate with a signature that is too weak",
}


class TlsRefused(Exception):
    """We leave this peer; the text says what it did and what to check."""


@dataclass(frozen=True, slots=True)
class TlsPolicy:
    """The settings `tls.*` for one intake domain, and the agent's trusted certificates."""

    domain: str
    minimum_version: str
    pins: frozenset[str] | None  # None: webpki
    names: tuple[str, ...]
    ca_file: Path | None

    @classmethod
    def of(cls, intake: Intake, domain: str, ca_file: Path | None) -> TlsPolicy:
        """Take them out of the intake's facts."""
        pinned = intake.tls_verification == "pinned"
        return cls(
            domain=domain,
            minimum_version=intake.tls_minimum_version,
            pins=frozenset(intake.tls_pins) if pinned else None,
            names=intake.tls_names,
            ca_file=ca_file,
        )

    def context(self) -> ssl.SSLContext:
        """The context for the handshake; raises tls.NoTrust."""
        return intake_context(self.minimum_version, self.ca_file, chain=self.pins is None)


def handshake_fault(error: Exception, policy: TlsPolicy) -> str:
    """Explain a failed handshake, as the rest of a sentence that begins with the host."""
    if isinstance(error, ssl.SSLCertVerificationError):
        known = _CHAIN_FAULTS.get(error.verify_code)
        return known or f"presents a certificate that is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        if error.reason in _VERSION_REASONS:
            return f"does not support TLS {policy.minimum_version} or newer ({error.reason})"
        if error.reason == "WRONG_VERSION_NUMBER":
            return "sent plain text instead of TLS"
        return f"failed the TLS handshake: {error.reason or error}"
    why = str(error) or "connection closed"
    return f"ended the TLS handshake ({why}); it may not support TLS {policy.minimum_version}"


_VERSION_REASONS = {
    "UNSUPPORTED_PROTOCOL",
    "TLSV1_ALERT_PROTOCOL_VERSION",
    "NO_PROTOCOLS_AVAILABLE",
    "WRONG_SSL_VERSION",
}


def verify_peer(peer: ssl.SSLObject, candidate: Candidate, policy: TlsPolicy) -> None:
    """Judge the certificate of a finished handshake; raises TlsRefused."""
    if peer.version() not in ("TLSv1.2", "TLSv1.3"):
        raise TlsRefused(f"uses {peer.version()}, which is older than TLS 1.2")
    der = peer.getpeercert(binary_form=True)
    if not der:
        raise TlsRefused("presents no certificate")
    if policy.pins is not None:
        _verify_pin(der, policy.pins)
        return
    names, addresses = _names_of(peer.getpeercert() or {})
    if not _name_matches(names, addresses, candidate, policy):
        shown = ", ".join(sorted(names)[:5]) or "no name"
        raise TlsRefused(
            f"presents a certificate for {shown}, not for {_wanted(policy)}: check tls.names"
        )


def _verify_pin(der: bytes, pins: frozenset[str]) -> None:
    pin = f"sha256:{hashlib.sha256(der).hexdigest()}"
    if pin not in pins:
        raise TlsRefused(f"presents a certificate that is not in tls.pins: {pin}")


def _wanted(policy: TlsPolicy) -> str:
    if policy.names:
        return ", ".join(policy.names)
    return f"{policy.domain} or its MX at or below that domain"


def _names_of(certificate: dict[str, Any]) -> tuple[set[str], set[str]]:
    alternatives = certificate.get("subjectAltName", ())
    names = {value.lower().rstrip(".") for kind, value in alternatives if kind == "DNS"}
    return names, {value for kind, value in alternatives if kind == "IP Address"}


def _name_matches(
    names: set[str], addresses: set[str], candidate: Candidate, policy: TlsPolicy
) -> bool:
    if policy.names:
        return any(_configured(wanted, names) for wanted in policy.names)
    if covers(names, policy.domain):
        return True
    if not candidate.by_mx:  # the operator's own route names the host
        return covers(names, candidate.host) or any(
            _is_same_address(address, candidate.host) for address in addresses
        )
    return is_below(candidate.host, policy.domain) and covers(names, candidate.host)


def _is_same_address(one: str, other: str) -> bool:
    """Compare as addresses: OpenSSL writes an IPv6 address in full, an operator rarely."""
    try:
        return ip_address(one.strip()) == ip_address(other)
    except ValueError:
        return False


def _configured(wanted: str, names: set[str]) -> bool:
    if wanted.startswith("."):
        return any(name.removeprefix("*").endswith(wanted) for name in names)
    return covers(names, wanted)


def is_below(host: str, domain: str) -> bool:
    """Say whether a host is the domain or a name below it."""
    return host == domain or host.endswith(f".{domain}")


def covers(names: set[str], host: str) -> bool:
    """Say whether one of a certificate's names stands for a host (RFC 6125 6.4).

    A wildcard is the whole left-most label, stands for exactly one label, and never for a
    whole top-level domain.
    """
    _, _, parent = host.partition(".")
    return host in names or ("." in parent and f"*.{parent}" in names)
