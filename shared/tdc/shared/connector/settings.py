"""PURE. The effective settings as the connector uses them: one typed field for each setting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from tdc.shared.settings.schema import SCHEMA, default_values
from tdc.shared.settings.values import Policy, Value, VerificationMethod, WhenFull


@dataclass(frozen=True, slots=True)
class ConnectorSettings:
    """What is in force on this machine. Field names are setting names with ``.`` as ``_``.

    Durations are seconds, sizes bytes. `smtp_route` is ``("usedns",)`` or hops in order.
    """

    enabled: bool
    intake_address: str | None
    incoming_domains: tuple[str, ...]
    policies: tuple[Policy, ...]
    smtp_route: tuple[str, ...]
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
        """Make them from effective values; raises KeyError if one of the schema is missing."""
        return cls(**{row.field: _typed(values[row.name]) for row in SCHEMA.values()})

    @classmethod
    def defaults(cls) -> ConnectorSettings:
        """Return the built-in defaults: nothing is copied."""
        return cls.from_values(default_values())


def _typed(value: Value | None) -> Any:  # the schema has checked each type
    return value


assert {row.field for row in SCHEMA.values()} == {field.name for field in fields(ConnectorSettings)}
