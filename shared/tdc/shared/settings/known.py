"""PURE. Which settings an older or newer program knows, and what can be sent to it.

The problem. Managers and agents are upgraded one by one, in any order. A setting of a newer version
must neither stop the older agents, nor be dropped on the way to them without a word.

The rule. Each end says which settings it knows. What is sent is *fitted* to that: a setting that
the agent doesn't know is left out where its value is the default, because an agent that lacks a
setting acts as by its default (`schema` says so of every new row). Where it has another value
nothing is sent: the machine keeps what it runs and is shown to lack the setting. Content hashes go
over the settings that both ends know.

Only names are compared. A new choice of an old setting is refused by an older agent as a bad value,
and shown as rejected.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

from tdc.shared.settings.canonical import content_hash
from tdc.shared.settings.schema import SCHEMA
from tdc.shared.settings.values import NONE, Value, same_value

FIRST_KNOWN: frozenset[str] = frozenset(
    {
        "delivery.max_connections",
        "delivery.messages_per_connection",
        "enabled",
        "incoming_domains",
        "intake_address",
        "log.format",
        "log.level",
        "max_message_size",
        "policies",
        "remote_ip_header",
        "report_envelope_sender",
        "report_from",
        "retry.initial",
        "retry.lifetime",
        "retry.maximum",
        "smtp_route",
        "smtp_route.private",
        "spool.max_bytes",
        "spool.max_messages",
        "spool.when_full",
        "tls.minimum_version",
        "tls.names",
        "tls.pins",
        "tls.verification",
    }
)
"""What a program knows that does not say it: those of before protocol 4. It never changes."""

KNOWN_HERE: frozenset[str] = frozenset(SCHEMA)
"""The settings that this version knows."""

MOST_KNOWN = 1_000
"""Names that a program may say it knows."""


def known_of(names: Iterable[str]) -> frozenset[str]:
    """Of our settings, those that a program knows which says `names`; it may say none.

    Equal answers are mostly one object: ten thousand agents are of a few versions.
    """
    found = (frozenset(names) or FIRST_KNOWN) & KNOWN_HERE
    return KNOWN_HERE if found == KNOWN_HERE else _one(found)


@lru_cache(maxsize=256)
def _one(found: frozenset[str]) -> frozenset[str]:
    return found


def lacking(values: Mapping[str, Value | None], known: frozenset[str]) -> tuple[str, ...]:
    """Name the settings outside `known` that have a value other than their default."""
    return tuple(
        name for name, value in values.items() if name not in known and not is_default(name, value)
    )


def fitted(values: Mapping[str, Value | None], known: frozenset[str]) -> dict[str, Value | None]:
    """Leave out what is not in `known`; only where `lacking` is empty is nothing lost by it."""
    return {name: value for name, value in values.items() if name in known}


def is_default(name: str, value: Value | None) -> bool:
    """Whether a setting acts the same as one that is not known; a setting of ours."""
    default = SCHEMA[name].default
    return same_value(value, default) or (default is None and value == NONE)


def unknown_there(lacks: Iterable[str], version: str) -> str:
    """Say which settings an agent lacks: a clause about its machine, without a full stop."""
    return f"its agent, version {version or 'unknown'}, does not know {', '.join(lacks)}"


def hash_of(values: Mapping[str, Value], known: frozenset[str] = KNOWN_HERE) -> str:
    """Hash effective settings over what both ends know; one without a value counts as None."""
    return content_hash({name: values.get(name) for name in SCHEMA if name in known})
