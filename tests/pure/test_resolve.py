"""Resolution: per setting, machine before group before cluster before default."""

from __future__ import annotations

import pytest
from hypothesis import given
from tdc.manager.levels.fleet import Cluster, UnknownLevel
from tdc.manager.levels.resolve import explain, resolve, resolve_values
from tdc.shared.connector.settings import ConnectorSettings
from tdc.shared.settings.schema import SCHEMA, SettingError
from tdc.shared.settings.values import NONE, Level, Origin, same_value
from tdc.shared.wire.settings import settings_from_wire, value_to_wire

from tests.pure.dumb_levels import Dumb
from tests.stage.clusters import (
    CLUSTER,
    after,
    empty_fleet,
    fleets,
    group,
    machine,
    machine_names,
    put,
    setting_names,
)


@given(fleets(), machine_names)
def test_what_is_in_force_is_what_the_dumb_model_says(cluster: Cluster, name: str) -> None:
    assert resolve(cluster, name).values() == Dumb.of(cluster).effective(name)


@given(fleets(), machine_names, setting_names)
def test_an_origin_names_the_nearest_level_that_has_the_setting(
    cluster: Cluster, name: str, setting: str
) -> None:
    own = cluster.machines[name]
    chain = [
        (Level.MACHINE, name, own.stored),
        (Level.GROUP, own.group, cluster.groups[own.group].stored),
        (Level.CLUSTER, cluster.name, cluster.stored),
    ]
    expected = Origin(Level.DEFAULT, "", 0)
    for level, at, stored in reversed(chain):
        if setting in stored.settings:
            expected = Origin(level, at, stored.set_by[setting])
    assert resolve(cluster, name).settings[setting].origin == expected


@given(fleets(), machine_names, setting_names)
def test_explain_shows_the_whole_chain_and_one_winner_which_is_in_force(
    cluster: Cluster, name: str, setting: str
) -> None:
    steps = explain(cluster, name, setting)
    levels = [step.level for step in steps]
    assert levels == [Level.MACHINE, Level.GROUP, Level.CLUSTER, Level.DEFAULT]
    (winner,) = [step for step in steps if step.wins]
    in_force = resolve(cluster, name).settings[setting]
    assert same_value(winner.value, in_force.value)
    assert (winner.level, winner.name, winner.revision) == (
        in_force.origin.level,
        in_force.origin.name,
        in_force.origin.revision,
    )
    for step in steps[:-1]:
        assert step.present == (step.value is not None) == (step.revision > 0)


@given(fleets(), machine_names, machine_names)
def test_hashes_are_equal_exactly_where_the_values_are(
    cluster: Cluster, one: str, other: str
) -> None:
    """Names, origins and revisions have no part in the hash."""
    first, second = resolve(cluster, one), resolve(cluster, other)
    assert (first.content_hash == second.content_hash) == (first.values() == second.values())


def test_every_setting_of_the_schema_is_in_force_somehow() -> None:
    effective = resolve(empty_fleet(), "mx1")
    assert list(effective.settings) == list(SCHEMA)
    assert effective.values() == {name: row.default for name, row in SCHEMA.items()}


def test_false_present_at_a_level_hides_true_above_it() -> None:
    """Presence is explicit: false is not the same as unset."""
    cluster = after(empty_fleet(), put(CLUSTER, enabled=True), put(group("g1"), enabled=False))
    assert resolve(cluster, "mx1").values()["enabled"] is False
    assert resolve(cluster, "mx3").values()["enabled"] is True


def test_a_nearer_level_may_say_that_there_is_none() -> None:
    """Present and none hides what is above; the agent has no value, and other hashes differ."""
    cluster = after(
        empty_fleet(),
        put(CLUSTER, report_from="tdc@corp.example", remote_ip_header="X-Ip"),
        put(machine("mx1"), report_from=NONE),
    )
    one, other = resolve(cluster, "mx1"), resolve(cluster, "mx2")
    assert one.settings["report_from"].value == NONE
    assert one.settings["report_from"].origin.level is Level.MACHINE
    assert other.settings["report_from"].value == "tdc@corp.example"
    assert one.content_hash != other.content_hash
    connector = ConnectorSettings.from_values(one.values())
    assert connector.report_from is None
    assert connector.remote_ip_header == "X-Ip"
    assert settings_from_wire(value_to_wire("report_from", NONE))["report_from"] == NONE


def test_an_empty_list_present_at_a_level_replaces_the_list_above_as_a_whole() -> None:
    cluster = after(
        empty_fleet(),
        put(CLUSTER, incoming_domains=("a.example", "b.example")),
        put(group("g1"), incoming_domains=("c.example",)),
        put(machine("mx2"), incoming_domains=()),
    )
    in_force = {name: resolve(cluster, name).values()["incoming_domains"] for name in MX}
    assert in_force == {"mx1": ("c.example",), "mx2": (), "mx3": ("a.example", "b.example")}


MX = ("mx1", "mx2", "mx3")


def test_values_resolve_without_a_cluster_around_them() -> None:
    cluster = after(
        empty_fleet(), put(CLUSTER, log__level="debug"), put(machine("mx1"), enabled=True)
    )
    own = cluster.machines["mx1"].stored.settings
    above = cluster.groups["g1"].stored.settings
    values = resolve_values(own, above, cluster.stored.settings)
    assert values == resolve(cluster, "mx1").values()


def test_an_unknown_machine_or_setting_is_named_in_the_error() -> None:
    with pytest.raises(UnknownLevel, match="cluster c1 has no machine mx77"):
        resolve(empty_fleet(), "mx77")
    with pytest.raises(SettingError, match="unknown setting 'enable'; did you mean enabled"):
        explain(empty_fleet(), "mx1", "enable")
