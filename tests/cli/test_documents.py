"""The JSON contract: its types, docs/cli.md and tdc.v1 name the same things."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tdc.shared.settings.schema import SCHEMA
from tdc.shared.wire import (
    answers,
    documents,
    queue_answers,
    queue_documents,
    settings_answers,
    settings_documents,
)
from tdc.v1 import agents_pb2

from tests.cli import samples

CONTRACTS = (
    Path(__file__)
    .parents[2]
    .joinpath("docs", "cli.md")
    .read_text(encoding="utf-8")
    .split("## JSON contracts")[1]
)
_TOTALS = set(agents_pb2.Counters.DESCRIPTOR.fields_by_name)
"""The reference calls them the machine's totals; tdc.v1 has their names."""

TYPES: list[type[msgspec.Struct]] = [
    kind
    for module in (documents, queue_documents, settings_documents)
    for name, kind in inspect.getmembers(module, inspect.isclass)
    if issubclass(kind, msgspec.Struct) and not name.startswith("_")
]
MADE: list[msgspec.Struct] = [
    *map(answers.cluster, samples.clusters().clusters),
    answers.cluster_detail(samples.clusters().clusters[0], samples.groups().groups),
    *map(answers.group, samples.groups().groups),
    *map(answers.machine, samples.machines().machines),
    answers.machine_detail(samples.machines().machines[0], None),
    settings_answers.level(samples.level_settings()),
    settings_answers.effective(samples.effective()),
    settings_answers.explanation(samples.explained()),
    answers.plan(samples.disable_plan()),
    answers.plan(samples.invalid_plan()),
    answers.committed(samples.committed()),
    *map(answers.commit, samples.history().commits),
    answers.whole_commit(samples.whole_commit()),
    *map(answers.status, samples.status().machines),
    *map(queue_answers.delivery, samples.delivery().rows),
    answers.whole_commit(samples.moved_commit()),
    answers.difference(samples.difference()),
    settings_answers.consistency(samples.consistency()),
    queue_answers.dead(samples.queue_row("mx1", 2, dead=2)),
    queue_answers.work(samples.move_request(), samples.worked(samples.queue_row("mx1", 2))),
    *settings_documents.setting_documents(),
]


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.__name__)
def test_every_key_is_in_the_reference(kind: type[msgspec.Struct]) -> None:
    """A key that docs/cli.md does not promise would be a contract that nobody knows of."""
    named = set(re.findall(r'"(\w+)"', CONTRACTS)) | set(re.findall(r"`(\w+)`", CONTRACTS))
    described = _TOTALS if kind is queue_documents.CountersDocument else set()
    assert set(kind.__struct_fields__) - named - described == set()


@pytest.mark.parametrize("made", MADE, ids=lambda made: type(made).__name__)
def test_a_document_reads_back_from_its_json(made: msgspec.Struct) -> None:
    """The types say what is printed: a client may read it with them."""
    printed: Any = json.loads(json.dumps(msgspec.to_builtins(made)))
    assert list(printed) == list(made.__struct_fields__)
    assert msgspec.convert(printed, type(made)) == made


def test_every_type_has_a_json_schema() -> None:
    """For an API description to be made from them."""
    _, parts = msgspec.json.schema_components(TYPES)
    assert {kind.__name__ for kind in TYPES} <= set(parts)


def test_delivery_has_every_field_of_the_agents_report() -> None:
    """A field that is added to tdc.v1 reaches the operators."""
    reported = set(agents_pb2.Destination.DESCRIPTOR.fields_by_name)
    assert reported <= set(queue_documents.DeliveryDocument.__struct_fields__)
    assert set(queue_documents.CountersDocument.__struct_fields__) == _TOTALS


def test_the_settings_that_exist_are_the_schemas() -> None:
    """In its order, each with its default in the plain form."""
    rows = settings_documents.setting_documents()
    assert [row.name for row in rows] == list(SCHEMA)
    assert next(row.default for row in rows if row.name == "smtp_route") == "usedns"
