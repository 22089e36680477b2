"""A whole fleet in trouble: what an operator and a monitoring system see of it, and how soon."""

from __future__ import annotations

import asyncio
import resource
import signal
import time
from typing import Any

import pytest
from tdc.node_agent.spool.spool import Spool

from tests.demo.messages import Message
from tests.demo.send import SendRefused, send_all
from tests.fakes.listening import free_port
from tests.fakes.smtp_faults import Faults
from tests.fakes.smtp_sink import SmtpSink
from tests.stage.fleet import Gateway, RunningFleet
from tests.stage.settings_stream import until
from tests.surroundings import in_time

pytestmark = pytest.mark.system


def _kinds(row: dict[str, Any]) -> dict[str, str]:
    return {each["kind"]: each["severity"] for each in row["problems"]}


async def _send(gateway: Gateway, count: int) -> None:
    messages = [
        Message(str(n), "alice@partner.example", ("bob@corp.example",), b"Subject: x\r\n\r\nx\r\n")
        for n in range(count)
    ]
    await send_all("127.0.0.1", gateway.port, messages)


@pytest.mark.proves("P19", "F38")
async def test_trouble_shows_within_a_minute_and_dead_copies_after_a_restart(
    copying: RunningFleet,
) -> None:
    """Intake down: held. The spool then fills, originals pass: critical. Dead copies: a warning."""
    gateway = await copying.add_gateway("mx1", group="Main_Group")
    await copying.wait_for(lambda rows: rows["mx1"]["health"] == "ok")
    assert copying.run_tdc("status", "--check").returncode == 0

    copying.intake.faults = Faults(offer_starttls=False)
    began = time.monotonic()
    await _send(gateway, 3)
    await copying.wait_for(lambda rows: "held" in _kinds(rows["mx1"]), timeout=60)
    assert in_time(time.monotonic() - began, 60)
    row = (await copying.status())["mx1"]
    assert (row["state"], row["health"], row["copying"]) == ("in sync", "warning", True)
    [held] = [each for each in row["problems"] if each["kind"] == "held"]
    assert held["since"] is not None
    assert held["text"] in row["warnings"]
    assert "on hold since " in held["text"]
    assert copying.run_tdc("status", "--check").returncode == 1

    await copying.tdc("settings", "set", "cluster", "demo", "spool.max_messages=5", "--yes")
    await copying.in_sync()
    await _send(gateway, 6)
    await copying.wait_for(lambda rows: "spool-full" in _kinds(rows["mx1"]))
    await copying.wait_for(lambda rows: bool(rows["mx1"]["missed"]))
    row = (await copying.status())["mx1"]
    assert (row["state"], row["health"], row["copying"]) == ("in sync", "critical", False)
    assert "spool.max_messages is 5" in row["spool_full"]
    assert [(each["reason"], each["count"]) for each in row["missed"]] == [("spool-full", 4)]
    assert _kinds(row)["missed"] == "critical"
    checked = copying.run_tdc("status", "--check")
    assert checked.returncode == 2
    assert checked.stdout.startswith("TDC CRITICAL: 1 machine, 1 critical; mx1: the spool is full")
    assert " missed=4\n" in checked.stdout
    assert gateway.next_hop is not None
    await gateway.next_hop.wait_for(9)

    await gateway.agent.stop()
    spool = await Spool.open(gateway.folder / "state/spool")
    [copy] = await spool.claim(2**40, 1)
    await spool.dead(copy.mid, reason="refused for good")
    await spool.close()
    await gateway.agent.start()
    await copying.wait_for(lambda rows: _kinds(rows["mx1"]).get("dead") == "warning")
    assert (await copying.status())["mx1"]["dead"] == 1
    await gateway.agent.kill()
    await copying.wait_for(lambda rows: "offline" in _kinds(rows["mx1"]))
    await gateway.agent.start()

    copying.intake.faults = Faults()
    left = {"dead": "warning", "missed": "critical"}
    await copying.wait_for(
        lambda rows: rows["mx1"]["state"] == "in sync" and _kinds(rows["mx1"]) == left, timeout=60
    )
    row = (await copying.status())["mx1"]
    assert row["copying"]
    assert row["dead"] == 1
    assert row["delivered_at"] is not None
    assert [each["count"] for each in row["missed"]] == [4], "over a stop and a kill"
    assert copying.run_tdc("status", "--check").returncode == 2


@pytest.mark.proves("P19")
async def test_a_restart_turns_nothing_green(copying: RunningFleet) -> None:
    """In place, and a plain one: missed copies, a hold and a next hop that is down all stay."""
    port = free_port()
    gateway = await copying.add_gateway("mx1", group="Main_Group", next_hop_port=port)
    await copying.wait_for(lambda rows: rows["mx1"]["health"] == "ok")
    copying.intake.faults = Faults(offer_starttls=False)
    await copying.tdc("settings", "set", "cluster", "demo", "spool.max_messages=1", "--yes")
    await copying.in_sync()
    async with SmtpSink(port=port):
        await _send(gateway, 4)
    with pytest.raises(SendRefused, match="Next hop unavailable"):
        await _send(gateway, 1)
    kinds = {"missed", "held", "next-hop", "spool-full"}
    await copying.wait_for(lambda rows: set(_kinds(rows["mx1"])) == kinds)
    before = (await copying.status())["mx1"]
    since = {each["kind"]: each["since"] for each in before["problems"]}

    async def connected_again(times: int) -> None:
        log = gateway.agent.log
        await until(lambda: log.read_text().count("connected to manager") == times, timeout=30)
        await asyncio.sleep(2)  # its first report is here by then
        row = (await copying.status())["mx1"]
        assert (set(_kinds(row)), row["health"]) == (kinds, "critical"), row["problems"]
        assert [each["count"] for each in row["missed"]] == [3]
        now = {each["kind"]: each["since"] for each in row["problems"]}
        for kind in ("missed", "held", "next-hop"):
            assert now[kind][:16] == since[kind][:16], (kind, now, since)

    gateway.agent.signal(signal.SIGUSR2)
    await connected_again(2)
    await gateway.agent.stop()
    await gateway.agent.start()
    await connected_again(3)


@pytest.mark.proves("P19")
async def test_a_next_hop_that_is_down_and_a_hold_show_within_five_seconds(
    copying: RunningFleet,
) -> None:
    """Their ends too: who repaired something does not wait for the next regular status."""
    port = free_port()
    gateway = await copying.add_gateway("mx1", group="Main_Group", next_hop_port=port)
    await copying.wait_for(lambda rows: rows["mx1"]["health"] == "ok")
    [row] = await copying.json("delivery", "status")
    assert row["host_status"] == "unknown"  # nothing was delivered yet

    with pytest.raises(SendRefused, match="421"):
        await _send(gateway, 1)
    await copying.wait_for(lambda rows: "next-hop" in _kinds(rows["mx1"]), timeout=5)
    row = (await copying.status())["mx1"]
    assert (row["state"], row["health"]) == ("in sync", "warning")
    checked = copying.run_tdc("status", "--check")
    assert checked.returncode == 1
    assert f"127.0.0.1:{port}: Connection refused; mail waits in the MTA" in checked.stdout

    copying.intake.faults = Faults(offer_starttls=False)
    async with SmtpSink(port=port):
        await _send(gateway, 1)
        await copying.wait_for(lambda rows: _kinds(rows["mx1"]) == {"held": "warning"}, timeout=5)
        copying.intake.faults = Faults()
        await copying.tdc("delivery", "retry", "--which", "waiting", "--yes")
        await copying.wait_for(lambda rows: rows["mx1"]["health"] == "ok", timeout=5)


@pytest.mark.proves("P19")
@pytest.mark.parametrize(
    ("refused", "stage"), [("451 4.3.0 disk full", "mail"), ("421 4.3.2 no", "dot")]
)
async def test_a_next_hop_that_refuses_all_mail_shows_within_five_seconds(
    copying: RunningFleet, refused: str, stage: str
) -> None:
    """Of the second message; the first one that it accepts ends it."""
    async with SmtpSink(faults=Faults(replies={stage: refused})) as hop:
        gateway = await copying.add_gateway("mx1", group="Main_Group", next_hop_port=hop.port)
        await copying.wait_for(lambda rows: rows["mx1"]["health"] == "ok")
        for _ in range(2):
            with pytest.raises(SendRefused):
                await _send(gateway, 1)
        await copying.wait_for(
            lambda rows: _kinds(rows["mx1"]) == {"next-hop": "warning"}, timeout=5
        )
        checked = copying.run_tdc("status", "--check")
        assert checked.returncode == 1
        assert f"2 messages in a row not accepted, the last: {refused}; mail" in checked.stdout
        async with asyncio.timeout(10):  # the log is written beside
            while "The next hop takes no mail: " not in gateway.agent.log.read_text():
                await asyncio.sleep(0.05)
        hop.faults = Faults()
        await _send(gateway, 1)
        await copying.wait_for(lambda rows: rows["mx1"]["health"] == "ok", timeout=5)


@pytest.mark.proves("P19")
async def test_a_disk_that_refuses_writes_shows_within_five_seconds(copying: RunningFleet) -> None:
    """From the agent's write to `tdc status`; originals pass, what is missed is counted."""
    gateway = await copying.add_gateway("mx1", group="Main_Group")
    await copying.wait_for(lambda rows: rows["mx1"]["health"] == "ok")
    await _send(gateway, 2)
    await copying.intake.wait_for(2)

    pid = gateway.agent.pid
    limits = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (4_096, limits[1]))
    await _send(gateway, 1)
    began = time.monotonic()
    await copying.wait_for(lambda rows: "spool-broken" in _kinds(rows["mx1"]), timeout=5)
    assert in_time(time.monotonic() - began, 5)
    row = (await copying.status())["mx1"]
    assert (row["state"], row["health"], row["copying"]) == ("in sync", "critical", False)
    assert [(each["reason"], each["count"]) for each in row["missed"]] == [("spool-broken", 1)]
    assert copying.run_tdc("status", "--check").returncode == 2
    assert gateway.next_hop is not None
    await gateway.next_hop.wait_for(3)

    resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)
    await copying.wait_for(lambda rows: _kinds(rows["mx1"]) == {"missed": "critical"}, timeout=20)
    assert (await copying.status())["mx1"]["copying"]
