"""How far one must reach for an operation: a group is no cluster, a cluster no installation."""

from __future__ import annotations

import pytest
from tdc.manager.intent.permissions import Extent
from tdc.manager.people.reach import Reach

GROUP = Reach(groups=frozenset({("c1", "g1")}))
CLUSTER = Reach(clusters=frozenset({"c1"}))
ALL = Reach(everywhere=True)


@pytest.mark.parametrize(
    ("extent", "reaches"),
    [
        (Extent.INSTALLATION, [ALL]),
        (Extent.CLUSTERS, [ALL, CLUSTER]),
        (Extent.GROUPS, [ALL, CLUSTER, GROUP]),
        (Extent.OWN, [ALL, CLUSTER, GROUP]),
    ],
)
def test_an_extent_suits_who_reaches_as_far(extent: Extent, reaches: list[Reach]) -> None:
    assert [each for each in (ALL, CLUSTER, GROUP) if extent.suits(each)] == reaches
