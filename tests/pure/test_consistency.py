"""What a cluster's settings hold that hides something, or does nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tdc.manager.levels.changes import UnsetValues
from tdc.manager.levels.consistency import Kind, findings_of, other_versions
from tdc.manager.levels.edit import apply_edits
from tdc.manager.levels.fleet import Cluster
from tdc.shared.connector.selection import select
from tdc.shared.mail.envelope import Envelope
from tdc.shared.settings.values import Level, Policy, PolicyAction

from tests.pure.dumb_levels import Dumb
from tests.stage.clusters import CLUSTER, after, enabled_fleet, fleets, group, machine, put
from tests.stage.delivery import make_settings


def _in_force(cluster: Cluster) -> dict[str, object]:
    dumb = Dumb.of(cluster)
    return {name: dumb.effective(name) for name in dumb.group_of}


@given(fleets())
def test_to_unset_what_is_the_same_changes_nothing_in_force(cluster: Cluster) -> None:
    for finding in findings_of(cluster):
        if finding.kind in (Kind.SAME, Kind.OVERRIDE):
            unset = apply_edits(cluster, [UnsetValues(finding.key, (finding.setting,))]).cluster
            same = _in_force(unset) == _in_force(cluster)
            if finding.kind is Kind.SAME:
                assert same, finding
            elif finding.key.level is Level.MACHINE:
                assert not same, finding


@given(fleets())
def test_each_value_at_a_level_that_hides_another_is_found(cluster: Cluster) -> None:
    found = {(each.key, each.setting) for each in findings_of(cluster) if each.setting}
    for name, its in cluster.machines.items():
        above = {*cluster.groups[its.group].stored.settings, *cluster.stored.settings}
        for setting in its.stored.settings:
            assert (machine(name), setting) in found or setting not in above


def test_each_is_told_with_the_level_that_is_hidden_and_what_undoes_it() -> None:
    cluster = after(
        enabled_fleet(),
        put(group("g1"), retry__initial=60, log__level="debug"),
        put(machine("mx1"), log__level="debug"),
        put(machine("mx2"), log__level="error"),
    )
    found = {(str(each.key), each.setting): each for each in findings_of(cluster)}
    same, over = found["machine mx1", "log.level"], found["machine mx2", "log.level"]
    assert (same.kind, same.text) == (
        Kind.SAME,
        "it sets log.level to what it would have from group g1",
    )
    assert (over.kind, over.text) == (Kind.OVERRIDE, "it overrides log.level of group g1")
    assert over.remedy == "tdc settings unset machine mx2 log.level --cluster c1"
    assert found["group g1", "retry.initial"].text.endswith("by default")
    assert ("group g1", "log.level") not in found, "nothing above sets it"


_patterns = st.lists(
    st.sampled_from(["a.example", "b.example", "x@a.example", "Y@a.example", "x@b.example"]),
    max_size=3,
    unique=True,
).map(tuple)
_policies = st.lists(st.tuples(_patterns, _patterns), min_size=2, max_size=5).map(
    lambda rows: tuple(
        Policy(f"p{number}", PolicyAction.CUSTOM, *row, f"in{number}@intake.example")
        for number, row in enumerate(rows)
    )
)
_PATHS = ("", "x@a.example", "Y@a.example", "y@a.example", "x@b.example", "z@b.example", "z@c.test")


@given(_policies)
def test_a_policy_that_is_found_is_reached_by_no_message(policies: tuple[Policy, ...]) -> None:
    cluster = after(enabled_fleet(), put(CLUSTER, policies=policies))
    found = {
        each.text.split()[2] for each in findings_of(cluster) if each.kind is Kind.UNREACHED_POLICY
    }
    settings = make_settings(intake_address="in@intake.example", policies=policies)
    reached = {
        copy.intake.split("@")[0].replace("in", "p")
        for sender in _PATHS
        for recipient in _PATHS
        if recipient
        for copy in select(Envelope(sender, (recipient,)), 1, False, settings).copies
    }
    assert not found & reached


def test_a_policy_behind_one_that_matches_all_is_found() -> None:
    policies = (
        Policy("all", PolicyAction.DEFAULT),
        Policy("late", PolicyAction.NO_SCAN, senders=("a.example",)),
    )
    cluster = after(enabled_fleet(), put(CLUSTER, policies=policies))
    (found,) = (each for each in findings_of(cluster) if each.kind is Kind.UNREACHED_POLICY)
    assert "policy late is never reached: all before it" in found.text


@pytest.mark.parametrize(
    ("versions", "others"),
    [
        ([], []),
        ([("mx1", "1.0"), ("mx2", "1.0")], []),
        ([("mx1", "1.0"), ("mx2", "1.1"), ("mx3", "1.1"), ("mx4", "")], ["mx1"]),
        ([("mx1", "1.0"), ("mx2", "1.1")], ["mx1"]),
    ],
)
def test_versions_that_differ(versions: list[tuple[str, str]], others: list[str]) -> None:
    assert [each.key.name for each in other_versions(versions)] == others
