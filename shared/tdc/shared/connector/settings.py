"""PURE. Effective settings as the connector uses them: one typed field for each setting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from tdc.shared.settings.schema import SCHEMA, default_values
from tdc.shared.settings.values import NONE, Policy, Value, VerificationMethod, WhenFull


@dataclass(frozen=True, slots=True)
class ConnectorSettings:
    """What is in force on this machine; each field is `Setting.field` of its row.

    Durations are seconds, sizes bytes. `smtp_route` is ``("usedns",)`` or hops in order.
    """

    enabled: bool
    intake_address: str | None
    incoming_domains: tuple[str, ...]
    policies: tuple[Policy, ...]
    smtp_route: tuple[str, ...]
    smtp_route_private: bool
    tls_minimum_version: str
    tls_verification: VerificationMethod
    tls_names: tuple[str, ...]
    tls_pins: tuple[str, ...]
    delivery_max_connections: int
    delivery_messages_per_connection: int
    retry_initial: int
    retry_maximum: int
    retry_lifetime: int
    spool_max_messages: int
    spool_max_bytes: int
    spool_when_full: WhenFull
    max_message_size: int
    report_from: str | None
    report_envelope_sender: str | None
    remote_ip_header: str | None
    log_level: str
    log_format: str

    @classmethod
    def from_values(cls, values: Mapping[str, Value | None]) -> ConnectorSettings:
        """Typed settings from effective values; raises KeyError if a setting is missing.

        That a level says "none" and that no level says anything are the same here.
        """
        return cls(**{row.field: _typed(values[row.name]) for row in SCHEMA.values()})

    @classmethod
    def defaults(cls) -> ConnectorSettings:
        """The built-in defaults: nothing is copied."""
        return cls.from_values(default_values())

    def without_copies(self) -> ConnectorSettings:
        """The same, but no copy is taken; what is queued goes on."""
        return replace(self, enabled=False)


def _typed(value: Value | None) -> Any:  # its type was checked by the schema
    return None if value == NONE else value


assert {row.field for row in SCHEMA.values()} == {field.name for field in fields(ConnectorSettings)}
