"""What is worth a look in a cluster, over the API."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from tdc.v1 import operators_pb2

from tests.stage.manager import Api, add_group, add_machine, connected, enrolled, put
from tests.stage.managers import holds


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


async def test_an_operators_certificate_near_its_end_is_named_until_he_has_another(
    api: Api,
) -> None:
    await api.create_cluster("c1")

    async def used(days: float) -> str:
        issued = api.authority.issue_operator("eve", lifetime=days * 86_400)
        own = (issued.certificate_pem, issued.key_pem)
        async with connected(api.ports, api.authority, *own) as eve:
            await eve.fleet.ListClusters(operators_pb2.ListClustersRequest())
        return x509.load_pem_x509_certificate(issued.certificate_pem).fingerprint(SHA256()).hex()

    async def findings() -> list[operators_pb2.Finding]:
        found = await api.settings.CheckConsistency(operators_pb2.CheckConsistencyRequest())
        return [each for each in found.findings if each.kind == "operator-certificate"]

    async def warned() -> bool:
        status = await api.monitoring.GetStatus(operators_pb2.StatusRequest())
        return any("of operator eve expires" in each for each in status.warnings)

    async def named() -> bool:
        return bool(await findings())

    async def unnamed() -> bool:
        return not await findings()

    fingerprint = await used(10)
    await holds(named, timeout=20)
    (finding,) = await findings()
    assert fingerprint[:12] in finding.text
    assert finding.remedy.startswith("tdc-manager operator --folder DATA_FOLDER --operator eve")
    assert await warned()
    await used(100)
    await holds(unnamed, timeout=20)
    assert not await warned()
