"""Every query has a user, a plan without a walk over the queue, and every column a comment."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest
from tdc.node_agent.spool import database

FOLDER = Path(database.__file__).parent
SCHEMA = (FOLDER / "schema.sql").read_text()


def test_each_query_is_used_and_each_used_one_exists() -> None:
    source = (FOLDER / "database.py").read_text()
    used = set(re.findall(r'"([a-z_]+)"', source))
    assert set(database.queries()) - used == set()
    asked = set(re.findall(r'queries\(\)\["([a-z_]+)"\]', source))
    asked |= set(re.findall(r'_(?:run|insert)\("([a-z_]+)"', source))
    assert asked - set(database.queries()) == set()


@pytest.mark.parametrize("name", sorted(database.queries()))
def test_no_query_walks_over_the_tables(name: str) -> None:
    connection = sqlite3.connect(":memory:")
    connection.executescript(SCHEMA)
    text = database.queries()[name]
    plan = connection.execute(f"EXPLAIN QUERY PLAN {text}", (0,) * text.count("?")).fetchall()
    walks = [
        step
        for *_, step in plan
        if re.match(r"SCAN (c|copies|contents|finished|events)\b(?! USING COVERING INDEX)", step)
    ]
    assert walks == [], plan


@pytest.mark.parametrize("name", ["load_state", "nonsense", "oldest_of_state"])
def test_the_queue_is_read_from_its_index_alone(name: str) -> None:
    connection = sqlite3.connect(":memory:")
    connection.executescript(SCHEMA)
    text = database.queries()[name]
    plan = connection.execute(f"EXPLAIN QUERY PLAN {text}", (0,) * text.count("?")).fetchall()
    assert "USING COVERING INDEX copies_by_state" in plan[0][3]


def test_each_column_has_a_comment() -> None:
    columns = re.findall(r"^    \w+ +(?:TEXT|INTEGER|REAL|BLOB).*$", SCHEMA, flags=re.M)
    assert len(columns) == 25
    assert [column for column in columns if "-- " not in column] == []


def test_the_code_and_the_schema_name_the_same_version() -> None:
    assert f"PRAGMA user_version = {database.SCHEMA_VERSION};" in SCHEMA
    assert f"PRAGMA application_id = 0x{database.APPLICATION_ID:x};" in SCHEMA
