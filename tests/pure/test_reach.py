"""How far somebody reaches: reaches narrow, and never widen."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tdc.manager.people.reach import EVERYWHERE, Reach, Role, reach_of

from tests.examples import examples

CLUSTERS, GROUPS = ("c1", "c2", "c3"), ("g1", "g2")
PLACES = [(cluster, group) for cluster in CLUSTERS for group in GROUPS]

reaches = st.one_of(
    st.just(EVERYWHERE),
    st.builds(
        Reach,
        clusters=st.frozensets(st.sampled_from(CLUSTERS)),
        groups=st.frozensets(st.sampled_from(PLACES)),
    ),
)


def held(reach: Reach) -> set[object]:
    """What a reach covers, one by one: every cluster as a whole, and every group."""
    whole = {each for each in CLUSTERS if reach.has_cluster(each)}
    return {*whole, *(place for place in PLACES if reach.has_group(*place))}


@examples(200)
@given(reaches, reaches)
def test_what_two_have_in_common_is_covered_by_both_and_by_nothing_else(
    one: Reach, other: Reach
) -> None:
    assert held(one & other) == held(one) & held(other)
    assert one & other == (one & other) & one
    assert (one & other) <= one


@examples(200)
@given(reaches, reaches)
def test_a_reach_is_within_another_if_all_that_it_covers_is(one: Reach, other: Reach) -> None:
    """Everywhere is more than all clusters that there are today."""
    if not one.everywhere:
        assert (one <= other) is (held(one) <= held(other))
    else:
        assert (one <= other) is other.everywhere


@examples(200)
@given(reaches)
def test_a_cluster_is_touched_if_anything_of_it_is_in_reach(reach: Reach) -> None:
    for cluster in CLUSTERS:
        there = reach.has_cluster(cluster) or any(reach.has_group(cluster, g) for g in GROUPS)
        assert reach.touches(cluster) is there


def test_naming_nothing_means_everywhere_and_an_empty_reach_nothing() -> None:
    assert reach_of([], []) == EVERYWHERE
    assert str(EVERYWHERE) == "the whole installation"
    assert held(Reach()) == set()
    assert str(Reach()) == "nothing"
    assert Reach().is_nothing
    assert not EVERYWHERE.is_nothing
    gone = Reach(gone=frozenset({("c1", ""), ("c2", "g1")}))
    assert gone.is_nothing
    assert held(gone) == set()
    assert str(gone) == "cluster c1 (not there), group g1 of cluster c2 (not there)"
    assert str(reach_of(["c2"], [("c1", "g1")])) == "cluster c2, group g1 of cluster c1"
    assert str(Role.HELP_DESK) == "help desk"
