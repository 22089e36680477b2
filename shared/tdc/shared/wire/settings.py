"""tdc.v1 settings <-> frozen values; refuses what can't be represented.

The only place where a setting's name becomes a protobuf field and back.
"""

from __future__ import annotations

from collections.abc import Mapping

from tdc.shared.connector.settings import field_name
from tdc.shared.settings.check import check_value
from tdc.shared.settings.schema import SCHEMA, Kind, SettingError
from tdc.shared.settings.values import Level, Policy, Settings, Value
from tdc.v1 import fleet_pb2, settings_pb2

_LIST_KINDS = {Kind.TEXT_LIST, Kind.ROUTE}

LEVEL_TO_WIRE: Mapping[Level, fleet_pb2.Level] = {
    Level.MACHINE: fleet_pb2.LEVEL_MACHINE,
    Level.GROUP: fleet_pb2.LEVEL_GROUP,
    Level.CLUSTER: fleet_pb2.LEVEL_CLUSTER,
    Level.DEFAULT: fleet_pb2.LEVEL_DEFAULT,
}
LEVEL_FROM_WIRE: Mapping[int, Level] = {wire: level for level, wire in LEVEL_TO_WIRE.items()}


def settings_to_wire(values: Mapping[str, Value | None]) -> settings_pb2.Settings:
    """Return the message in which each setting with a value is present."""
    message = settings_pb2.Settings()
    for name, value in values.items():
        if value is not None:
            _put(message, name, value)
    return message


def value_to_wire(name: str, value: Value | None) -> settings_pb2.Settings:
    """Return a message with this one setting, or with none if the value is None."""
    return settings_to_wire({name: value})


def settings_from_wire(message: settings_pb2.Settings) -> Settings:
    """Return the settings present in `message`, each checked; raises SettingError.

    A field that this version does not know means a newer sender: refused, never ignored.
    """
    if _has_unknown_fields(message):
        raise SettingError("the settings have fields that this version does not know")
    return Settings.of(
        {
            name: check_value(name, _take(message, name))
            for name in SCHEMA
            if message.HasField(field_name(name))
        }
    )


def _put(message: settings_pb2.Settings, name: str, value: Value) -> None:
    kind = SCHEMA[name].kind
    if kind is Kind.POLICIES and isinstance(value, tuple):
        message.policies.SetInParent()
        message.policies.items.extend(
            _policy_to_wire(policy) for policy in value if isinstance(policy, Policy)
        )
    elif kind in _LIST_KINDS and isinstance(value, tuple):
        field = getattr(message, field_name(name))
        field.SetInParent()
        field.items.extend(value)
    else:
        setattr(message, field_name(name), value)


def _take(message: settings_pb2.Settings, name: str) -> object:
    field = getattr(message, field_name(name))
    kind = SCHEMA[name].kind
    if kind is Kind.POLICIES:
        return tuple(_policy_from_wire(policy) for policy in field.items)
    return tuple(field.items) if kind in _LIST_KINDS else field


def _policy_to_wire(policy: Policy) -> settings_pb2.Policy:
    return settings_pb2.Policy(
        name=policy.name,
        action=str(policy.action),
        senders=policy.senders,
        recipients=policy.recipients,
        intake_address=policy.intake_address,
    )


def _policy_from_wire(policy: settings_pb2.Policy) -> dict[str, object]:
    fields: dict[str, object] = {
        "name": policy.name,
        "action": policy.action,
        "senders": tuple(policy.senders),
        "recipients": tuple(policy.recipients),
    }
    if policy.HasField("intake_address"):
        fields["intake_address"] = policy.intake_address
    return fields


def _has_unknown_fields(message: settings_pb2.Settings) -> bool:
    known = settings_pb2.Settings()
    known.CopyFrom(message)
    known.DiscardUnknownFields()
    return known.ByteSize() != message.ByteSize()
