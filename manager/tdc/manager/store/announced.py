"""PURE. What a manager says of itself in the store: who it is, and where the others reach it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tdc.manager.store.encoding import Damaged, moment_of, text_of
from tdc.manager.store.keys import manager_key
from tdc.manager.store.seal import Edited, is_sealed, pack_sealed, unpack_sealed


@dataclass(frozen=True, slots=True)
class Announced:
    """One manager. Times are Unix seconds, by its clock.

    `id` stays the same when it is started again, `instance` does not. `address` (host:port) is its
    port for operators, agents and other managers. `ca` is the number of the last step of a rotation
    of the CA that it has followed; of an older manager, which can't, it is -1.
    """

    id: str
    name: str
    address: str
    version: str
    instance: str
    started: float
    certificate_ends: float
    ca: int = 0


def pack_announced(each: Announced) -> bytes:
    """The bytes of its key."""
    return pack_sealed(
        manager_key(each.id),
        {
            "name": each.name,
            "address": each.address,
            "version": each.version,
            "instance": each.instance,
            "started": each.started,
            "certificate_ends": each.certificate_ends,
            "ca": each.ca,
        },
    )


def read_announced(manager: str, raw: bytes) -> Announced:
    """Read what the manager with this id says; raises Damaged."""
    document = unpack_sealed(manager_key(manager), raw)
    if not is_sealed(document):
        raise Edited("it has lost its seal")
    return Announced(
        id=manager,
        name=text_of(document, "name"),
        address=text_of(document, "address"),
        version=text_of(document, "version"),
        instance=text_of(document, "instance"),
        started=moment_of(document, "started"),
        certificate_ends=moment_of(document, "certificate_ends"),
        ca=_number_of(document),
    )


def _number_of(document: Mapping[str, object]) -> int:
    number = document.get("ca", -1)
    return number if isinstance(number, int) else -1


__all__ = ["Announced", "Damaged", "pack_announced", "read_announced"]
