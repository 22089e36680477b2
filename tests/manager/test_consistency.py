"""What is worth a look in a cluster, over the API."""

from __future__ import annotations

from tdc.v1 import operators_pb2

from tests.stage.manager import Api, add_group, add_machine, enrolled, put


async def test_levels_and_machines_are_looked_through(api: Api) -> None:
    """A machine that never enrolled is not called late."""
    await api.create_cluster("c1")
    revision = await api.commit(
        add_group("g1"),
        add_machine("mx1", "g1"),
        add_machine("mx2", "g1"),
        put("group", "g1", log__level="debug"),
        put("machine", "mx1", log__level="debug"),
    )
    await enrolled(api, "mx2")
    found = await api.settings.CheckConsistency(operators_pb2.CheckConsistencyRequest())
    assert (found.cluster, found.revision) == ("c1", revision)
    assert [(each.kind, each.name, each.setting) for each in found.findings] == [
        ("not-in-sync", "mx2", ""),
        ("same", "mx1", "log.level"),
    ]
    late, same = found.findings
    assert late.HasField("since")
    assert "offline" in late.text
    assert same.remedy == "tdc settings unset machine mx1 log.level --cluster c1"
