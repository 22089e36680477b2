"""Every query has a user, a plan without a walk over the queue, and every column a comment."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest
from tdc.node_agent.spool import database
from tdc.node_agent.spool.queries import queries, schema

FOLDER = Path(database.__file__).parent


def test_each_query_is_used_and_each_used_one_exists() -> None:
    source = "\n".join(path.read_text() for path in FOLDER.glob("*.py"))
    used = set(re.findall(r'"([a-z_]+)"', source))
    assert set(queries()) - used == set()
    asked = set(re.findall(r'queries\(\)\["([a-z_]+)"\]', source))
    asked |= set(re.findall(r'\.(?:run|_insert|ask)\("([a-z_]+)"', source))
    assert len(asked) > 20
    assert asked - set(queries()) == set()


def plan_of(name: str) -> list[str]:
    connection = sqlite3.connect(":memory:")
    connection.create_function("move_check", 2, lambda *_: None)
    connection.executescript(schema())
    text = queries()[name]
    numbers = [int(number) for number in re.findall(r"\?(\d)", text)]
    count = max(numbers, default=0) or text.count("?")
    return [step for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {text}", (0,) * count)]


@pytest.mark.parametrize("name", sorted(queries()))
def test_no_query_walks_over_the_tables(name: str) -> None:
    walks = [
        step
        for step in plan_of(name)
        if re.match(r"SCAN (c|copies|contents|finished|events)\b(?! USING COVERING INDEX)", step)
    ]
    assert walks == [], plan_of(name)


@pytest.mark.parametrize(
    "name", ["load_state", "nonsense", "oldest_of_state", "dead_mids", "some_dropped"]
)
def test_the_queue_is_read_from_its_index_alone(name: str) -> None:
    assert "USING COVERING INDEX copies_by_state" in plan_of(name)[0]


def test_each_column_has_a_comment() -> None:
    columns = re.findall(r"^    \w+ +(?:TEXT|INTEGER|REAL|BLOB).*$", schema(), flags=re.M)
    assert len(columns) == 41
    assert [column for column in columns if "-- " not in column] == []


def test_the_code_and_the_schema_name_the_same_version() -> None:
    assert f"PRAGMA user_version = {database.SCHEMA_VERSION};" in schema()
    assert f"PRAGMA application_id = 0x{database.APPLICATION_ID:x};" in schema()
