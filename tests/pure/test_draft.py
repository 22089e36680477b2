"""A draft's rows: what they were, what they are to be, and who came in between."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tdc.manager.levels import draft as drafts
from tdc.manager.levels.changes import (
    AddGroup,
    AddMachine,
    EditRefused,
    RemoveGroup,
    RemoveMachine,
    RenameGroup,
    RenameMachine,
    SetValues,
    UnsetValues,
)
from tdc.manager.levels.draft import MAX_ROWS, UNDO, Draft, Row, RowState, Wish
from tdc.manager.levels.fleet import LevelKey, UnknownLevel, new_cluster
from tdc.manager.levels.identities import identity_of

from tests.stage.clusters import CLUSTER, after, empty_fleet, group, machine, put

EMPTY = Draft("c1", "ana")
DAY = UNDO
LEVELS = [CLUSTER, group("g1"), machine("mx1"), machine("mx2")]
SETTINGS = ["max_message_size", "retry.initial", "retry.maximum"]


def drafted(*wanted: Wish, draft: Draft = EMPTY, now: float = 1.0) -> Draft:
    return drafts.drafted(draft, empty_fleet(), wanted, now)


def states(draft: Draft, *commits: SetValues | UnsetValues | RemoveMachine) -> list[str]:
    return [str(each.state) for each in drafts.standings(draft, after(empty_fleet(), *commits))]


def test_a_setting_of_another_level_or_name_is_no_conflict_and_the_same_one_is() -> None:
    mine = drafted((group("g1"), "retry.initial", 30))
    assert states(mine, put(group("g2"), retry__initial=5)) == ["open"]
    assert states(mine, put(group("g1"), retry__maximum=900)) == ["open"]
    assert states(mine, put(group("g1"), retry__initial=5)) == ["conflict"]
    assert states(mine, put(group("g1"), retry__initial=30)) == ["done"], "they wanted the same"


def test_a_row_of_a_level_that_was_removed_is_gone() -> None:
    mine = drafted((machine("mx1"), "retry.initial", 30))
    assert states(mine, RemoveMachine("mx1")) == ["gone"]


def test_a_row_of_a_machine_that_has_another_name_is_gone_and_says_so() -> None:
    """Also where another machine has got the name, with just the settings that it had."""
    mine = drafted((machine("mx1"), "retry.initial", 30))
    edge = after(empty_fleet(), RenameMachine("mx1", "edge1"))
    for cluster, reason in (
        (edge, "machine mx1 is called edge1 now"),
        (after(edge, AddMachine("mx1", "g1")), "machine mx1 is called edge1 now"),
        (after(empty_fleet(), RemoveMachine("mx1")), "machine mx1 is no longer there"),
        (
            after(after(empty_fleet(), RemoveMachine("mx1")), AddMachine("mx1", "g1")),
            "machine mx1 was removed: the one that has its name now is another",
        ),
    ):
        (standing,) = drafts.standings(mine, cluster)
        assert (standing.state, standing.reason) == (RowState.GONE, reason)
        assert drafts.edits_of([standing]) == ()
    (standing,) = drafts.standings(mine, after(edge, RenameMachine("edge1", "mx1")))
    assert (standing.state, standing.reason) == (RowState.OPEN, "")


def test_a_row_of_a_group_whose_name_another_has_is_gone_and_says_so() -> None:
    start = empty_fleet()
    mine = drafted((group("g1"), "retry.initial", 30))
    renamed = after(start, RenameGroup("g1", "edge"))
    removed = after(start, RemoveGroup("g1", "g2"))
    for cluster, reason in (
        (renamed, "group g1 is called edge now"),
        (after(renamed, AddGroup("g1")), "group g1 is called edge now"),
        (after(renamed, RenameGroup("g2", "g1")), "group g1 is called edge now"),
        (removed, "group g1 is no longer there"),
        (
            after(removed, AddGroup("g1")),
            "group g1 was removed: the one that has its name now is another",
        ),
    ):
        for draft in (mine, drafts.restored(drafts.discarded(mine, 2.0), 3.0)):
            (standing,) = drafts.standings(draft, cluster)
            assert (standing.state, standing.reason) == (RowState.GONE, reason)
            assert drafts.edits_of([standing]) == ()
    (standing,) = drafts.standings(mine, after(renamed, RenameGroup("edge", "g1")))
    assert (standing.state, standing.reason) == (RowState.OPEN, "")


def test_a_row_of_a_cluster_is_for_none_that_is_created_by_its_name() -> None:
    mine = drafted((CLUSTER, "retry.initial", 30))
    (standing,) = drafts.standings(mine, new_cluster("c1", revision=9))
    reason = "cluster c1 was removed: the one that has its name now is another"
    assert (standing.state, standing.reason) == (RowState.GONE, reason)


def test_a_row_is_for_the_machine_that_has_the_name_once_it_is_drafted_again_or_kept() -> None:
    start = after(empty_fleet(), put(machine("mx1"), retry__initial=7))
    mine = drafts.drafted(EMPTY, start, [(machine("mx1"), "retry.initial", 30)], 1.0)
    other = after(after(start, RenameMachine("mx1", "edge1")), AddMachine("mx1", "g1"))
    again = drafts.drafted(mine, other, [(machine("mx1"), "retry.initial", 40)], 2.0)
    kept = drafts.kept(mine, other, machine("mx1"), [], 2.0)
    for draft, yours in ((again, 40), (kept, 30)):
        (standing,) = drafts.standings(draft, other)
        row = standing.row
        assert (standing.state, row.was, row.yours) == (RowState.OPEN, None, yours)
        assert row.which == identity_of(other.machines["mx1"])


def test_a_setting_drafted_twice_keeps_what_it_was_first() -> None:
    """Else a draft that is changed after somebody's commit would swallow the conflict."""
    mine = drafted((CLUSTER, "retry.initial", 30))
    theirs = after(empty_fleet(), put(CLUSTER, retry__initial=5))
    mine = drafts.drafted(mine, theirs, [(CLUSTER, "retry.initial", 40)], 2.0)
    (standing,) = drafts.standings(mine, theirs)
    assert (standing.state, standing.row.was, standing.theirs, standing.row.yours) == (
        RowState.CONFLICT, None, 5, 40,
    )  # fmt: skip


def test_yours_stands_on_theirs_once_it_is_kept_and_only_what_was_named() -> None:
    wanted = [(CLUSTER, "retry.initial", 30), (CLUSTER, "retry.maximum", 900)]
    theirs = after(empty_fleet(), put(CLUSTER, retry__initial=5, retry__maximum=6))
    mine = drafts.kept(drafted(*wanted), theirs, CLUSTER, ["retry.initial"], 2.0)
    assert [each.state for each in drafts.standings(mine, theirs)] == ["open", "conflict"]
    mine = drafts.kept(mine, theirs, CLUSTER, [], 3.0)
    edits = drafts.edits_of(drafts.standings(mine, theirs))
    assert edits == (put(CLUSTER, retry__initial=30, retry__maximum=900),)


def test_a_row_left_out_is_theirs() -> None:
    mine = drafted((CLUSTER, "retry.initial", 30), (CLUSTER, "retry.maximum", 900))
    left = drafts.without(mine, CLUSTER, ["retry.initial"], 2.0)
    assert [row.setting for row in left.rows] == ["retry.maximum"]
    assert drafts.without(mine, CLUSTER, [], 2.0).rows == ()
    for key, names in ((group("g1"), []), (CLUSTER, ["log.level"])):
        with pytest.raises(EditRefused, match="tdc draft show"):
            drafts.without(mine, key, names, 2.0)


def test_what_is_discarded_comes_back_within_a_day_and_never_over_another_draft() -> None:
    mine = drafted((CLUSTER, "retry.initial", 30))
    aside = drafts.discarded(mine, 10.0)
    assert (aside.rows, aside.is_empty) == ((), False)
    assert drafts.restored(drafts.aged(aside, 9.9 + DAY), 20.0).rows == mine.rows
    with pytest.raises(EditRefused, match="discarded no draft"):
        drafts.restored(drafts.aged(aside, 10.0 + DAY), 10.0 + DAY)
    with pytest.raises(EditRefused, match="another draft"):
        drafts.restored(drafted((CLUSTER, "retry.maximum", 900), draft=aside), 20.0)
    for nothing in (drafts.discarded, lambda draft, now: drafts.shared(draft, now, on=True)):
        with pytest.raises(EditRefused, match="has no draft of cluster c1"):
            nothing(EMPTY, 1.0)


def test_a_draft_has_only_levels_that_there_are_and_a_bound() -> None:
    with pytest.raises(UnknownLevel):
        drafted((group("nowhere"), "retry.initial", 30))
    row = Row(CLUSTER, "retry.initial", None, 30, 1.0)
    full = Draft("c1", "ana", tuple(replace(row, setting=f"s{n}") for n in range(MAX_ROWS)))
    with pytest.raises(EditRefused, match="at most 2000 settings, this one would have 2001"):
        drafted((CLUSTER, "retry.initial", 30), draft=full)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(LEVELS),
            st.sampled_from(SETTINGS),
            st.none() | st.integers(1, 500),
        ),
        max_size=12,
    ),
    st.lists(
        st.tuples(st.sampled_from(LEVELS), st.sampled_from(SETTINGS), st.integers(1, 500)),
        max_size=4,
    ),
)
def test_what_is_committed_is_each_last_wish_and_nothing_else(
    wanted: list[Wish], before: list[tuple[LevelKey, str, int]]
) -> None:
    """The model: a dictionary of the last wishes, on the cluster as it was."""
    values = [put(key, **{name.replace(".", "__"): value}) for key, name, value in before]
    start = after(empty_fleet(), *values)
    mine = drafts.drafted(EMPTY, start, wanted, 1.0)
    end = after(start, *drafts.edits_of(drafts.standings(mine, start)))
    model = {key: dict(start.stored_at(key).settings) for key in LEVELS}
    for key, name, value in wanted:
        if value is None:
            model[key].pop(name, None)
        else:
            model[key][name] = value
    assert {key: dict(end.stored_at(key).settings) for key in LEVELS} == model
    assert drafts.tidied(mine, end, 2.0).rows == ()
