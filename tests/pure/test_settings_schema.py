"""A setting is a proto field, a row of the schema, a field of ConnectorSettings: no more."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

import pytest
from google.protobuf.descriptor import FieldDescriptor
from tdc.shared.connector.settings import ConnectorSettings
from tdc.shared.settings.check import check_value
from tdc.shared.settings.schema import SCHEMA, Kind, Setting
from tdc.shared.settings.values import Policy, same_value
from tdc.v1 import settings_pb2

ROOT = Path(__file__).parents[2]
FIELDS = settings_pb2.Settings.DESCRIPTOR.fields_by_name
ROWS = pytest.mark.parametrize("row", SCHEMA.values(), ids=lambda row: row.name)

# What each kind is in tdc.v1 and in ConnectorSettings.
NUMBERS = {Kind.COUNT, Kind.SECONDS, Kind.BYTES}
TEXTS = {Kind.CHOICE, Kind.ADDRESS, Kind.TEXT}
LISTS = {Kind.TEXT_LIST: "TextList", Kind.ROUTE: "TextList", Kind.POLICIES: "PolicyList"}

# Rooms that pass settings on without knowing any of them. What a setting does is elsewhere: rules
# between settings in validate.py, the disable rule in levels, the rest in the agent.
PASS_ON = (
    *("shared/tdc/shared/wire", "shared/tdc/shared/sync", "shared/tdc/shared/settings/check.py"),
    *("shared/tdc/shared/settings/text.py", "shared/tdc/shared/settings/canonical.py"),
    *("manager/tdc/manager/cli", "manager/tdc/manager/rpc", "manager/tdc/manager/push"),
    *("manager/tdc/manager/store", "manager/tdc/manager/etcd", "manager/tdc/manager/view"),
    *("node_agent/tdc/node_agent/sync/apply.py", "node_agent/tdc/node_agent/sync/last_good.py"),
    "scripts/reference",
)


def test_the_three_name_the_same_settings() -> None:
    """A row without its field, or the other way round, would be a setting that does nothing."""
    rows = {row.field for row in SCHEMA.values()}
    assert rows == set(FIELDS)
    assert rows == {field.name for field in fields(ConnectorSettings)}
    assert len(rows) == len(SCHEMA)  # a.b and a_b would be one field


@ROWS
def test_the_proto_field_fits_the_row(row: Setting) -> None:
    """It tells present from absent, and holds every value that the row allows."""
    field = FIELDS[row.field]
    assert field.has_presence
    if row.kind in LISTS:
        assert field.message_type is not None
        assert field.message_type.name == LISTS[row.kind]
    elif row.kind in NUMBERS:
        assert field.type == FieldDescriptor.TYPE_INT64
        assert -(2**63) <= row.low <= row.high < 2**63
    elif row.kind in TEXTS:
        assert field.type == FieldDescriptor.TYPE_STRING
    else:
        assert field.type == FieldDescriptor.TYPE_BOOL


@ROWS
def test_the_connectors_field_fits_the_row(row: Setting) -> None:
    """It may be None exactly where the setting has no default."""
    hint = get_type_hints(ConnectorSettings)[row.field]
    if get_origin(hint) is Literal:
        assert get_args(hint) == row.choices
        return
    expected: object
    if row.kind in LISTS:
        expected = tuple[Policy, ...] if row.kind is Kind.POLICIES else tuple[str, ...]
    elif row.kind in NUMBERS:
        expected = int
    elif row.kind in TEXTS:
        expected = str if row.default is not None else str | None
    else:
        expected = bool
    assert hint == expected


@ROWS
def test_a_row_is_complete(row: Setting) -> None:
    """A sentence of help, a default that it allows itself, a form wherever text is free."""
    assert row.help.endswith(".")
    assert row.low <= row.high
    assert row.default is None or same_value(check_value(row.name, row.default), row.default)
    assert (row.form is not None) == (row.kind in {Kind.TEXT, Kind.TEXT_LIST})
    assert bool(row.choices) == (row.kind is Kind.CHOICE)


def _names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.keyword) and node.arg is not None:
            yield node.arg


@pytest.mark.parametrize("room", PASS_ON)
def test_what_only_passes_settings_on_names_none(room: str) -> None:
    """So that a new setting changes nothing there."""
    names = {row.name for row in SCHEMA.values()} | {row.field for row in SCHEMA.values()}
    names -= {field.name for field in fields(Policy)}  # a policy has an intake address too
    place = ROOT / room
    files = [place] if place.is_file() else sorted(place.rglob("*.py"))
    assert files
    for path in files:
        named = names & set(_names(ast.parse(path.read_text(encoding="utf-8"))))
        assert not named, path
