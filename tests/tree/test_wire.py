"""The wire is never broken: what published_wire.txt lists stands as it is listed.

Agents and managers of different versions meet, so a field keeps its number, type and label for
ever, and a method its name and messages; additions are free. A line may change only by a row of
RENAMED: the name of a field is not sent, only its number is.
"""

from __future__ import annotations

from pathlib import Path

from tests.tree.wire_shape import wire_shape

PUBLISHED = (Path(__file__).parent / "published_wire.txt").read_text().splitlines()

# A line, what it reads now, and why: the words for a copy's fate are deferred and dead everywhere
# else, from SQL to CLI. Our JSON is made by our own code, never by protobuf's names.
RENAMED = {
    "tdc.v1.Counters 7: plain int64 soft_bounced": "tdc.v1.Counters 7: plain int64 deferred",
    "tdc.v1.Counters 8: plain int64 hard_bounced": "tdc.v1.Counters 8: plain int64 dead",
    "tdc.v1.Destination 8: plain int64 soft_bounced": "tdc.v1.Destination 8: plain int64 deferred",
    "tdc.v1.Destination 9: plain int64 hard_bounced": "tdc.v1.Destination 9: plain int64 dead",
}


def test_every_published_field_value_and_method_stands() -> None:
    assert len(PUBLISHED) > 200
    renamed = [RENAMED.get(line, line) for line in PUBLISHED]
    assert [line for line in renamed if line not in wire_shape()] == []


def test_every_renaming_is_of_a_published_line_and_changes_a_name_only() -> None:
    for old, new in RENAMED.items():
        assert old in PUBLISHED
        assert old.rpartition(" ")[0] == new.rpartition(" ")[0]
