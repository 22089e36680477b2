"""What a plan warns of: a route that agents will refuse, which a manager can't be sure of."""

from __future__ import annotations

import pytest
from tdc.manager.levels.changes import AddMachine
from tdc.manager.levels.fleet import new_cluster
from tdc.manager.levels.plan import make_plan

from tests.stage.clusters import CLUSTER, enabled_fleet, group, put


@pytest.mark.parametrize("hop", ["127.0.0.1:2525", "10.0.0.1", "[::1]:25", "[fd00::7]"])
def test_a_route_into_a_private_network_is_warned_of_and_can_be_committed(hop: str) -> None:
    plan = make_plan(enabled_fleet(), [put(CLUSTER, smtp_route=(hop,))])
    assert {each.machine for each in plan.warnings} == set(plan.after.machines)
    assert "set smtp_route.private=true" in plan.warnings[0].reason
    assert hop.partition("]")[0].strip("[").removesuffix(":2525") in plan.warnings[0].reason
    assert plan.problems == ()


def test_nothing_is_warned_of_that_is_allowed_or_not_known() -> None:
    fleet = enabled_fleet()
    allowed = put(CLUSTER, smtp_route=("10.0.0.1",), smtp_route__private=True)
    assert make_plan(fleet, [allowed]).warnings == ()
    for route in (("usedns",), ("relay.intake.example:25",), ("8.8.8.8",)):
        assert make_plan(fleet, [put(CLUSTER, smtp_route=route)]).warnings == ()
    assert make_plan(fleet, [put(CLUSTER, max_message_size=70_000)]).warnings == ()


def test_a_warning_is_no_part_of_the_fingerprint_and_a_later_change_is_warned_of_too() -> None:
    fleet = make_plan(
        enabled_fleet(), [put(CLUSTER, smtp_route=("10.0.0.1",), smtp_route__private=True)]
    ).after
    forbidden = make_plan(fleet, [put(group("g1"), smtp_route__private=False)])
    assert {each.machine for each in forbidden.warnings} == {
        name for name, machine in fleet.machines.items() if machine.group == "g1"
    }
    assert make_plan(fleet, [AddMachine("new", "g1")]).warnings == ()


def test_a_cluster_without_machines_is_warned_of_itself() -> None:
    plan = make_plan(new_cluster(CLUSTER.name), [put(CLUSTER, smtp_route=("10.0.0.1",))])
    [warning] = plan.warnings
    assert (warning.machine, warning.setting) == ("", "smtp_route")
    assert warning.reason.startswith(f"{CLUSTER}: smtp_route leads to 10.0.0.1 (private)")
