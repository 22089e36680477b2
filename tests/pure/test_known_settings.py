"""Programs of different versions: what is sent is fitted, and nothing is lost without a word."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st
from tdc.manager.levels.resolve import resolve_values
from tdc.manager.view.effective import Resolved
from tdc.shared.settings.canonical import content_hash
from tdc.shared.settings.known import (
    FIRST_KNOWN,
    KNOWN_HERE,
    fitted,
    hash_of,
    known_of,
    lacking,
)
from tdc.shared.settings.schema import SCHEMA, default_values
from tdc.shared.settings.values import NONE, Settings, Value
from tdc.shared.sync.acceptance import objection
from tdc.shared.sync.values import Wanted
from tdc.shared.wire.settings import settings_from_wire, settings_to_wire

from tests.pure.setting_values import any_settings

knowns = st.sets(st.sampled_from(sorted(SCHEMA))).map(frozenset)


def acts(value: Value | None) -> Value | None:
    """What an agent does by a value: that there is none, or is none, is the same to it."""
    return None if value == NONE else value


def test_what_a_program_knows_that_does_not_say_so_never_changes() -> None:
    """Agents of before protocol 4 are out there; a name more or less would stop or mislead them."""
    assert len(FIRST_KNOWN) == 24
    digest = hashlib.sha256(",".join(sorted(FIRST_KNOWN)).encode()).hexdigest()
    assert digest == "106271a8a458a52bd5788e4f7667d59b632e4e20e881767721a440b77ba7864b"


@given(any_settings, knowns)
def test_an_agent_gets_all_that_it_knows_or_nothing_at_all(
    levels: Settings, known: frozenset[str]
) -> None:
    values = resolve_values(levels)
    found = Resolved(content_hash(values), values).fitted(known_of(known))
    known = known_of(known)
    assert found.lacks == lacking(values, known)
    other_than_default = {
        name for name in SCHEMA if acts(values[name]) != acts(SCHEMA[name].default)
    }
    assert set(found.lacks) == other_than_default - known
    if not found.lacks:
        runs = default_values() | {name: found.values[name] for name in known}
        assert {name: acts(value) for name, value in runs.items()} == {
            name: acts(value) for name, value in values.items()
        }, "what it lacks acts as by its default"


@given(any_settings, knowns, knowns)
def test_both_ends_hash_what_both_know(
    levels: Settings, agents: frozenset[str], managers: frozenset[str]
) -> None:
    """The agent knows `agents`, the manager `managers`: each sees of the other what it has too."""
    both = agents & managers
    values = fitted(resolve_values(levels), both)
    wire = settings_from_wire(settings_to_wire(values))
    wanted = Wanted(1, content_hash(values), "s", wire)
    assert objection(wanted, both) == ""
    missing = {name for name in KNOWN_HERE - both if SCHEMA[name].default is not None}
    assert bool(missing) == ("incomplete" in objection(wanted))


@given(any_settings, st.sampled_from(sorted(SCHEMA)))
def test_of_what_both_know_nothing_may_be_missing(levels: Settings, name: str) -> None:
    values = fitted(resolve_values(levels), KNOWN_HERE - {name})
    settings = settings_from_wire(settings_to_wire(values))
    torn = Wanted(1, hash_of(settings), "s", settings)
    assert (name in objection(torn)) == (SCHEMA[name].default is not None)


def test_equal_sets_of_known_settings_are_one_object_and_share_a_result() -> None:
    some = sorted(KNOWN_HERE)[3:]
    assert (
        known_of(sorted(KNOWN_HERE)) is known_of([*KNOWN_HERE, "of.a.newer.version"]) is KNOWN_HERE
    )
    assert known_of(some) is known_of(list(reversed(some)))
    whole = Resolved("h", default_values())
    assert whole.fitted(KNOWN_HERE) is whole
    fit = whole.fitted(known_of(some))
    assert fit is whole.fitted(known_of(some))
    assert fit.wanted("c1", 5, "s", "") is fit.wanted("c1", 5, "s", "")
    for count in range(1_000):  # whatever agents say, it takes no more room
        whole.fitted(frozenset({*some, f"x{count}"}))
    assert len(whole._fitted) <= 64
