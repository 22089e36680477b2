"""What the tests' SMTP receiver keeps: messages as they came, and counts."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Received:
    """One message as it came in. `via` is DATA or BDAT; `content` is empty in count-only mode."""

    number: int
    sender: str
    recipients: tuple[str, ...]
    mail_parameters: tuple[str, ...]
    helo: str
    tls_version: str | None
    tls_cipher: str | None
    received_at: float
    size: int
    sha256: str
    connection: int
    via: str
    content: bytes = field(repr=False, default=b"")

    def facts(self) -> dict[str, Any]:
        """Return what stands in the JSON file."""
        return {
            item.name: getattr(self, item.name) for item in fields(self) if item.name != "content"
        }


@dataclass(slots=True)
class Counts:
    """What the sink has seen since its start."""

    connections: int = 0
    tls_connections: int = 0
    open_connections: int = 0
    most_connections: int = 0
    messages: int = 0
    bytes: int = 0
    mail_commands: int = 0
    mail_commands_without_tls: int = 0
    bytes_of_messages_seen_without_tls: int = 0
    quits: int = 0
