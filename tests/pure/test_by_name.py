"""Values by name, and changed copies of them: against plain dicts, copied whole."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tdc.manager.levels import by_name
from tdc.manager.levels.by_name import ByName, Draft

NAMES = st.sampled_from([f"mx{number:03}" for number in range(400)])
CHANGES = st.lists(st.dictionaries(NAMES, st.none() | st.integers(0, 3), max_size=300), max_size=5)


def _after(values: dict[str, int], changes: dict[str, int | None]) -> dict[str, int]:
    made = {name: value for name, value in values.items() if changes.get(name, 0) is not None}
    return made | {name: value for name, value in changes.items() if value is not None}


@given(st.dictionaries(NAMES, st.integers(0, 3), max_size=300), CHANGES)
def test_a_changed_copy_is_what_a_changed_dict_is(
    first: dict[str, int], steps: list[dict[str, int | None]]
) -> None:
    dumb, real = first, ByName.of(first)
    for changes in steps:
        before, dumb, earlier = dumb, _after(dumb, changes), real
        real = real.changed(changes)
        assert list(real.items()) == sorted(dumb.items())
        assert list(real) == list(real.keys()) == sorted(dumb)
        assert list(real.values()) == [dumb[name] for name in sorted(dumb)]
        assert len(real) == len(dumb)
        assert real == ByName.of(dumb) == dumb
        assert dict(earlier.items()) == before  # it has not changed
        for name in (*changes, "a", "mx0005", "z"):
            assert (name in real, real.get(name)) == (name in dumb, dumb.get(name))
        differing = {
            name for name in before.keys() | dumb.keys() if before.get(name) != dumb.get(name)
        }
        assert real.differing(earlier) == earlier.differing(real) == differing


@given(st.dictionaries(NAMES, st.integers(0, 3), max_size=300), CHANGES)
def test_a_draft_is_a_dict_under_edit(
    first: dict[str, int], steps: list[dict[str, int | None]]
) -> None:
    dumb, draft = dict(first), Draft(ByName.of(first))
    for changes in steps:
        for name, value in changes.items():
            if value is not None:
                dumb[name] = draft[name] = value
            else:
                assert dumb.pop(name, -1) == draft.pop(name, -1)
        assert (len(draft), list(draft)) == (len(dumb), sorted(dumb))
        assert {name: draft.get(name) for name in changes} == {
            name: dumb.get(name) for name in changes
        }
    assert ByName.of(draft) == dumb


def test_a_copy_shares_what_it_does_not_change() -> None:
    fleet = ByName.of({f"mx{number:05}": number for number in range(10_000)})
    copy = fleet.changed({"mx00042": -1})
    shared = {id(run) for run in fleet._runs} & {id(run) for run in copy._runs}
    assert len(shared) == len(fleet._runs) - 1
    assert copy.changed({"mx00042": -1}) is copy.changed({}) is copy
    assert ByName.of(copy) is copy


def test_runs_are_neither_too_long_nor_too_many_after_many_changes() -> None:
    grown = ByName[int]()
    for number in range(2_000):
        grown = grown.changed({f"mx{number:05}": number})
    assert max(map(len, grown._runs)) <= by_name.LONGEST
    for number in range(2_000):
        if number % 200:
            grown = grown.changed({f"mx{number:05}": None})
    assert len(grown) == 10
    assert len(grown._runs) <= 3
