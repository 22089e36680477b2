"""PURE. The identity in a certificate, as one URI: how it is written and how strictly it is read.

``tdc://machine/CLUSTER/MACHINE/ENROLMENT``, ``tdc://operator/NAME`` or ``tdc://manager/ID``. Each
part is percent-encoded, so no name can contain a separator. A URI that is not spelled exactly as
the writer spells it is refused, so that one identity never has two spellings.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import quote, unquote

_SCHEME = "tdc://"
_MAX_LENGTH = 2_000


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator, by the name in the certificate.

    `fingerprint` is the certificate's SHA-256 (hexadecimal), `issued` when it was made, and `ends`
    when it expires (Unix seconds); empty and 0 where no certificate stands behind it. `issuer` is
    how the certificate names the CA that it is by (hexadecimal), of each kind of peer.
    """

    name: str
    fingerprint: str = ""
    ends: float = 0.0
    issued: float = 0.0
    issuer: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"operator {self.name}"


@dataclass(frozen=True, slots=True)
class MachinePeer:
    """A machine, and the id of the enrolment that issued its certificate."""

    cluster: str
    machine: str
    enrolment: str
    issuer: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"machine {self.machine} of cluster {self.cluster}"


@dataclass(frozen=True, slots=True)
class ManagerPeer:
    """A manager of the same CA, by its id: it has the CA's key, so it is trusted as we are."""

    id: str
    issuer: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"manager {self.id}"


Peer = Operator | MachinePeer | ManagerPeer


MOST_AUTHORITIES = 4
"""CAs that a manager names to a machine: one, or two while one is replaced."""


@dataclass(frozen=True, slots=True)
class Trust:
    """By which CAs managers are trusted: SHA-256 of each (hexadecimal), the one that signs first.

    Machines that are told so spread over `spread` seconds what they do about it.
    """

    trusted: tuple[str, ...]
    spread: float = 0.0


class NotAnIdentity(ValueError):
    """The URI names no machine, operator or manager."""


def identity_uri(peer: Peer) -> str:
    """Write the URI of a peer; raises NotAnIdentity if a name is empty or too long."""
    match peer:
        case Operator(name):
            parts = ["operator", name]
        case ManagerPeer(manager):
            parts = ["manager", manager]
        case MachinePeer(cluster, machine, enrolment):
            parts = ["machine", cluster, machine, enrolment]
    if not all(parts):
        raise NotAnIdentity("a name in an identity can't be empty")
    uri = _SCHEME + "/".join(quote(part, safe="") for part in parts)
    if len(uri) > _MAX_LENGTH:
        raise NotAnIdentity("a name in an identity is too long")
    return uri


def parse_identity(uri: str) -> Peer:
    """Read a peer's URI; raises NotAnIdentity unless `identity_uri` would write it the same."""
    if not uri.startswith(_SCHEME) or len(uri) > _MAX_LENGTH:
        raise NotAnIdentity("the certificate's URI is not one that a manager writes")
    match [unquote(part) for part in uri.removeprefix(_SCHEME).split("/")]:
        case ["operator", name]:
            peer: Peer = Operator(name)
        case ["machine", cluster, machine, enrolment]:
            peer = MachinePeer(cluster, machine, enrolment)
        case ["manager", manager]:
            peer = ManagerPeer(manager)
        case _:
            raise NotAnIdentity("the certificate's URI names no machine, operator or manager")
    if identity_uri(peer) != uri:
        raise NotAnIdentity("the certificate's URI is not spelled as the manager spells it")
    return peer
