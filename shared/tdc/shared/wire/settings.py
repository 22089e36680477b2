"""tdc.v1 settings and levels <-> frozen values; what can't be represented is refused.

A setting's protobuf field is `Setting.field` of its row, so a new setting changes nothing here.
"""

from __future__ import annotations

from collections.abc import Mapping

from tdc.shared.settings.check import check_value
from tdc.shared.settings.schema import SCHEMA, Kind, Setting, SettingError
from tdc.shared.settings.values import Level, Policy, Settings, Value
from tdc.shared.wire.errors import BadMessage
from tdc.v1 import fleet_pb2, settings_pb2

_LIST_KINDS = {Kind.TEXT_LIST, Kind.ROUTE}

LEVEL_TO_WIRE: Mapping[Level, fleet_pb2.Level] = {
    Level.MACHINE: fleet_pb2.LEVEL_MACHINE,
    Level.GROUP: fleet_pb2.LEVEL_GROUP,
    Level.CLUSTER: fleet_pb2.LEVEL_CLUSTER,
    Level.DEFAULT: fleet_pb2.LEVEL_DEFAULT,
}
LEVEL_FROM_WIRE: Mapping[int, Level] = {wire: level for level, wire in LEVEL_TO_WIRE.items()}


def level_from_wire(number: int) -> Level:
    """Read a level; raises BadMessage for one that this version does not know."""
    try:
        return LEVEL_FROM_WIRE[number]
    except KeyError:
        raise BadMessage(f"level {number} is not one that this version knows") from None


def settings_to_wire(values: Mapping[str, Value | None]) -> settings_pb2.Settings:
    """The message in which each setting that has a value is present."""
    message = settings_pb2.Settings()
    for name, value in values.items():
        if value is not None:
            _write(message, SCHEMA[name], value)
    return message


def value_to_wire(name: str, value: Value | None) -> settings_pb2.Settings:
    """A message with this one setting; empty if the value is None."""
    return settings_to_wire({name: value})


def settings_from_wire(message: settings_pb2.Settings) -> Settings:
    """The settings present in a message, each checked; raises SettingError.

    An unknown field means that the sender is newer. It is refused: to ignore it would be to run
    settings that nobody wanted.
    """
    if _has_unknown_fields(message):
        raise SettingError("these settings have fields that this version does not know")
    return Settings.of(
        {
            row.name: check_value(row.name, _read(message, row))
            for row in SCHEMA.values()
            if message.HasField(row.field)
        }
    )


def _write(message: settings_pb2.Settings, row: Setting, value: Value) -> None:
    if not isinstance(value, tuple):
        setattr(message, row.field, value)
        return
    listed = getattr(message, row.field)
    listed.SetInParent()  # an empty list is present too
    listed.items.extend(
        _policy_to_wire(item) if isinstance(item, Policy) else item for item in value
    )


def _read(message: settings_pb2.Settings, row: Setting) -> object:
    value = getattr(message, row.field)
    if row.kind is Kind.POLICIES:
        return tuple(_policy_from_wire(policy) for policy in value.items)
    return tuple(value.items) if row.kind in _LIST_KINDS else value


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
