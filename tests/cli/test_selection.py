"""One change for several levels: names, a pattern, a group; what is chosen is spelled out."""

from __future__ import annotations

import pytest
from tdc.v1 import fleet_pb2, operators_pb2

from tests.cli import samples
from tests.cli.conftest import Tdc
from tests.cli.scripted import ScriptedManager


def _rows(*names: str, cluster: str = "emea") -> list[operators_pb2.MachineRow]:
    return [operators_pb2.MachineRow(name=name, group="g1", cluster=cluster) for name in names]


@pytest.fixture
def planned(manager: ScriptedManager) -> ScriptedManager:
    machines = operators_pb2.ListMachinesResponse(machines=_rows("mx2", "mx1", "db1"))
    manager.answers.update(
        MakePlan=samples.disable_plan(), MakeCommit=samples.committed(), ListMachines=machines
    )
    return manager


def _levels(manager: ScriptedManager) -> list[str]:
    (asked,) = manager.asked("MakePlan")
    edits: list[fleet_pb2.Edit] = list(asked.edits)
    return [
        each.set.level.name if each.HasField("set") else each.unset.level.name for each in edits
    ]


@pytest.mark.parametrize(
    ("words", "levels"),
    [
        (("set", "machine", "mx1", "mx2", "log.level=debug"), ["mx1", "mx2"]),
        (("set", "machine", "--match", "mx*", "log.level=debug"), ["mx1", "mx2"]),
        (("set", "machine", "log.level=debug", "--in-group", "g1"), ["db1", "mx1", "mx2"]),
        (("unset", "machine", "mx1", "mx2", "log.level", "enabled"), ["mx1", "mx2"]),
        (("unset", "machine", "--match", "m?1", "log.level"), ["mx1"]),
        (("unset", "group", "enabled", "log.level"), ["enabled"]),
    ],
)
def test_each_level_that_was_chosen_is_an_edit_of_the_plan(
    tdc: Tdc, planned: ScriptedManager, words: tuple[str, ...], levels: list[str]
) -> None:
    assert tdc("settings", *words, "--yes").code == 0
    assert _levels(planned) == levels


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("set", "machine", "--match", "z*", "log.level=debug"), "No machine matches 'z*'"),
        (
            ("set", "machine", "log.level=debug"),
            "Name at least one machine, or choose some by --match.",
        ),
        (("set", "machine", "mx1", "mx1", "log.level=debug"), "mx1 is named twice"),
        (("set", "machine", "mx1", "enabled"), "'enabled' is not of the form setting=value"),
        (("set", "machine", "mx1", "--match", "mx*", "log.level=debug"), "instead of names"),
        (("set", "group", "--match", "g*", "log.level=debug"), "choose machines"),
        (("unset", "machine", "mx1"), "Name the settings to remove"),
        (("unset", "machine", "mx1", "log_level"), "unknown setting 'log_level'"),
        (("unset", "machine", "--match", "mx*", "log_level"), "unknown setting 'log_level'"),
    ],
)
def test_an_empty_or_doubtful_choice_changes_nothing(
    tdc: Tdc, planned: ScriptedManager, words: tuple[str, ...], says: str
) -> None:
    """Never all machines because none was named."""
    run = tdc("settings", *words, "--yes")
    assert run.code in (1, 2)
    assert says in run.err
    assert not planned.asked("MakePlan")


def test_machines_of_several_clusters_need_the_clusters_name(
    tdc: Tdc, planned: ScriptedManager
) -> None:
    rows = _rows("mx1") + _rows("mx2", cluster="apac")
    planned.answers["ListMachines"] = operators_pb2.ListMachinesResponse(machines=rows)
    run = tdc("settings", "set", "machine", "--match", "*", "log.level=debug", "--yes")
    assert "in clusters apac, emea: choose one with --cluster" in run.err
    assert not planned.asked("MakePlan")
