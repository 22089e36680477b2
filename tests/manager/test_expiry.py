"""Certificates that end, and an etcd that is not safe: said in time, in status and in the log."""

from __future__ import annotations

from pathlib import Path

import pytest
from tdc.manager.identity.authority import Authority
from tdc.manager.identity.expiry import DAY, Ending, ExpiryWatch, end_of
from tdc.manager.options import Options
from tdc.manager.reach import cautions
from tdc.shared.edge.clock import wall
from tdc.v1 import operators_pb2

from tests.stage.manager import manager

NOW = 1_800_000_000.0


@pytest.mark.proves("F54")
def test_an_end_is_said_30_7_and_1_days_before_and_each_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = [NOW]
    end = NOW + 31 * DAY
    watch = ExpiryWatch(lambda: [Ending("the CA", end, "make a new one")], lambda: now[0])
    lines: dict[int, list[tuple[str, str]]] = {}
    for day in range(33):
        now[0] = NOW + day * DAY
        caplog.clear()
        for _ in range(3):
            watch.look()
        lines[31 - day] = [(each.levelname, each.message) for each in caplog.records]
        assert bool(watch.problems()) == (day >= 1)
    said = {left: each for left, each in lines.items() if each}
    assert sorted(said, reverse=True) == [30, 7, 1, 0]
    assert [said[left][0][0] for left in (30, 7, 1, 0)] == ["WARNING", "WARNING", "ERROR", "ERROR"]
    assert said[7][0][1].endswith("in 7 days: make a new one")
    assert "the CA expired" in said[0][0][1]
    assert all(len(each) == 1 for each in said.values())


@pytest.mark.proves("F54")
async def test_a_ca_that_ends_soon_is_in_the_status(tmp_path: Path) -> None:
    """Its ten years are nearly over: the manager serves, and every status says so."""
    made = wall() - 3_653 * DAY + 6.5 * DAY
    folder = tmp_path / "manager"
    folder.mkdir()
    Authority.create(folder / "ca", clock=lambda: made)
    bundle = folder / "operator"
    bundle.mkdir()
    issued = Authority.load(folder / "ca").issue_operator("ana")
    (bundle / "operator.pem").write_bytes(issued.certificate_pem)
    (bundle / "operator.key").write_bytes(issued.key_pem)
    assert end_of(folder / "ca" / "absent") is None
    async with manager(folder) as api:
        status = await api.monitoring.GetStatus(operators_pb2.StatusRequest())
    assert any("the CA of this manager expires" in each for each in status.warnings)
    assert any("in 6 days" in each for each in status.warnings)


@pytest.mark.proves("S7")
@pytest.mark.parametrize(
    ("given", "version", "words"),
    [
        ({}, "3.4.23", ["without TLS", "nothing shows", "3.4.23"]),
        ({"etcd_user": "m"}, "3.5.33", ["without TLS"]),
        ({"etcd_ca": Path("ca")}, "3.5.32", ["nothing shows", "3.5.32"]),
        ({"etcd_ca": Path("ca"), "etcd_user": "m"}, "3.6.13", ["3.6.13"]),
        ({"etcd_ca": Path("ca"), "etcd_user": "m"}, "3.6.14", []),
        ({"etcd_ca": Path("ca"), "etcd_user": "m"}, "3.7.0", []),
        ({"etcd_ca": Path("ca"), "etcd_user": "m"}, "", []),
        ({"etcd_ca": Path("ca"), "etcd_user": "m"}, "odd", ["odd"]),
    ],
)
def test_what_is_unsafe_about_an_etcd_is_said(
    given: dict[str, object], version: str, words: list[str]
) -> None:
    for endpoint in ("etcd.example:2379", "https://192.0.2.1:2379", "[2001:db8::1]:2379"):
        options = Options(Path(), etcd_endpoints=(endpoint,), **given)  # type: ignore[arg-type]
        found = list(cautions(options, version))
        assert len(found) == len(words)
        assert all(word in each for word, each in zip(words, found, strict=True))
    for endpoint in ("127.0.0.1:2379", "http://localhost:2379", "[::1]:2379"):
        options = Options(Path(), etcd_endpoints=(endpoint,), **given)  # type: ignore[arg-type]
        assert not list(cautions(options, version))
