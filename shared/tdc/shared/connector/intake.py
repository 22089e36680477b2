"""PURE. An intake as one thing: its address, and how reports get there.

A copy belongs to the intake that it was taken for, and is delivered by that intake's own facts as
they were last in force, whatever the settings say meanwhile. So mail is never shown to a host that
was not meant to have it: a copy for an address that is no longer in force does not follow the route
of the new one.
"""

from __future__ import annotations

from dataclasses import dataclass

from tdc.shared.connector.settings import ConnectorSettings
from tdc.shared.settings.values import VerificationMethod


@dataclass(frozen=True, slots=True)
class Intake:
    """One intake, as the settings that named it last had it.

    `route` is ``("usedns",)`` or hops in order; `private` is `smtp_route.private`; the other
    fields are the settings `tls.*`.
    """

    address: str
    route: tuple[str, ...]
    private: bool
    tls_minimum_version: str
    tls_verification: VerificationMethod
    tls_names: tuple[str, ...]
    tls_pins: tuple[str, ...]

    @classmethod
    def of(cls, address: str, settings: ConnectorSettings) -> Intake:
        """The intake at `address`, by the facts that these settings have."""
        return cls(
            address,
            settings.smtp_route,
            settings.smtp_route_private,
            settings.tls_minimum_version,
            settings.tls_verification,
            settings.tls_names,
            settings.tls_pins,
        )


def intakes_in_force(settings: ConnectorSettings) -> tuple[Intake, ...]:
    """Each intake that these settings name: the intake address, then those of policies."""
    named = [settings.intake_address, *(policy.intake_address for policy in settings.policies)]
    return tuple(Intake.of(address, settings) for address in dict.fromkeys(filter(None, named)))


def split_hop(hop: str, default_port: int) -> tuple[str, int]:
    """Split host[:port] of a route; an IPv6 address stands in brackets."""
    if hop.startswith("["):
        host, _, rest = hop[1:].partition("]")
        return host, int(rest.removeprefix(":") or default_port)
    host, _, port = hop.partition(":")
    return host, int(port or default_port)
