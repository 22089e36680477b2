"""PURE. Settings as plain data, as canonical bytes, and the content hash over those.

The plain form is what JSON contracts, stored values and the last-known-good file share:
setting name -> flag, number, text, list of texts, or list of policy objects. The route
``usedns`` is the text ``"usedns"``, not a list of one; that there is no value is the text
``"none"``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from tdc.shared.settings.schema import USE_DNS
from tdc.shared.settings.values import NONE, NONE_WORD, Policy, Value

PlainPolicy = dict[str, str | list[str]]
"""A policy as plain data: the fields that it has."""
Plain = bool | int | str | list[str | PlainPolicy] | None
"""A value as plain data; None is absent."""


def plain(value: Value | None) -> Plain:
    """A value in its plain form; `check.check_value` reads it back."""
    if not isinstance(value, tuple):
        return NONE_WORD if value == NONE else value
    if value == (USE_DNS,):
        return USE_DNS
    policies = [item for item in value if isinstance(item, Policy)]
    if policies:
        return [_plain_policy(policy) for policy in policies]
    return [item for item in value if isinstance(item, str)]


def _plain_policy(policy: Policy) -> PlainPolicy:
    fields: PlainPolicy = {
        "name": policy.name,
        "action": str(policy.action),
        "senders": list(policy.senders),
        "recipients": list(policy.recipients),
    }
    if policy.intake_address is not None:
        fields["intake_address"] = policy.intake_address
    return fields


def plain_settings(values: Mapping[str, Value | None]) -> dict[str, Plain]:
    """Settings in their plain form, in name order."""
    return {name: plain(values[name]) for name in sorted(values)}


def canonical_bytes(values: Mapping[str, Value | None]) -> bytes:
    """The one byte string for these values: UTF-8 JSON, keys sorted, no spaces."""
    return json.dumps(
        plain_settings(values), sort_keys=True, separators=(",", ":"), ensure_ascii=False
    ).encode()


def content_hash(values: Mapping[str, Value | None]) -> str:
    """SHA-256 of the canonical bytes, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical_bytes(values)).hexdigest()
