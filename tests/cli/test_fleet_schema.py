"""The JSON Schema of documents, judged by a validator that is not ours."""

from __future__ import annotations

import contextlib
from typing import Any

import fastjsonschema
import pytest
from hypothesis import given
from tdc.manager.cli.errors import WrongUsage
from tdc.manager.cli.fleet_file import fleet_of
from tdc.manager.cli.fleet_schema import document_schema
from tdc.shared.settings.canonical import plain_settings
from tdc.shared.settings.schema import SCHEMA
from tdc.shared.settings.values import Settings

from tests.cli.conftest import Tdc
from tests.pure.setting_values import any_settings

ANYTHING: tuple[object, ...] = (
    *(None, True, 0, 7, "", "none", "usedns", "a@b.example", "a.example", "1.2", "info"),
    *(["a.example"], ["a@b.example"], [], {}),
)

_valid = fastjsonschema.compile(document_schema())


def _document(settings: object) -> dict[str, Any]:
    machine = {"settings": settings}
    return {"clusters": {"emea": {"groups": {"Main_Group": {"machines": {"mx1": machine}}}}}}


@given(any_settings)
def test_what_export_prints_is_valid(settings: Settings) -> None:
    _valid(_document(plain_settings(settings)))


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"clusters": None},
        {"clusters": {"emea": None}},
        {"clusters": {"emea": {"settings": None, "groups": {"branch": None}}}},
        _document({"smtp_route": "mx.example:25", "report_from": "", "intake_address": "none"}),
        _document({"tls.pins": ["SHA256:" + "AB" * 32], "policies": []}),
        _document({"policies": [{"name": "a", "action": "default", "intake_address": None}]}),
    ],
)
def test_what_apply_takes_is_valid(document: dict[str, Any]) -> None:
    fleet_of(document, "fleet.yaml")
    _valid(document)


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"cluster": {}},
        {"clusters": []},
        {"clusters": {"emea": {"machines": {}}}},
        {"clusters": {"emea": {"groups": {"Main_Group": {"groups": {}}}}}},
        _document({"enabeld": True}),
        _document({"enabled": "yes"}),
        _document({"enabled": "none"}),
        _document({"retry.initial": 0}),
        _document({"retry.initial": "5m"}),
        _document({"log.level": "loud"}),
        _document({"smtp_route": []}),
        _document({"incoming_domains": "example.com"}),
        _document({"remote_ip_header": "Received"}),
        _document({"tls.pins": ["sha256:00"]}),
        _document({"intake_address": "nobody"}),
        _document({"policies": [{"name": "a", "action": "custom"}]}),
        _document({"policies": [{"name": "a", "action": "custom", "intake_address": None}]}),
        _document({"policies": [{"name": "a", "action": "no-scan", "intake_address": "a@b.c"}]}),
        _document({"policies": [{"name": "-a", "action": "default"}]}),
        _document({"policies": [{"name": "a", "action": "default", "sender": []}]}),
    ],
)
def test_what_is_typed_wrongly_is_marked_and_refused(document: dict[str, Any]) -> None:
    with pytest.raises(fastjsonschema.JsonSchemaException):
        _valid(document)
    with pytest.raises(WrongUsage):
        fleet_of(document, "fleet.yaml")


@given(any_settings)
def test_nothing_that_apply_takes_is_marked(settings: Settings) -> None:
    """Whatever an edit of a valid document makes of it."""
    for name in SCHEMA:
        for value in ANYTHING:
            document = _document(plain_settings(settings) | {name: value})
            with contextlib.suppress(WrongUsage):
                fleet_of(document, "fleet.yaml")
                _valid(document)


def test_tdc_prints_it_without_a_manager(tdc: Tdc) -> None:
    printed = tdc("export", "--schema")
    assert (printed.code, printed.json) == (0, document_schema())
    assert tdc("export", "--schema", "--revision", "3").code == 2
