"""What operators see of machines: state, what is wrong, delivery."""

from __future__ import annotations

import json

import pytest
from tdc.v1 import operators_pb2

from tests.cli import samples
from tests.cli.conftest import Tdc
from tests.cli.scripted import ScriptedManager


def test_status_says_why_a_machine_is_not_in_sync(tdc: Tdc, manager: ScriptedManager) -> None:
    """Reason and warnings stand under the table, with the machine's name."""
    manager.answers["GetStatus"] = samples.status()
    lines = tdc("status").out.splitlines()
    assert " ".join(lines[0].split()) == "MACHINE GROUP STATE HEALTH APPLIED COPYING QUEUED SINCE"
    assert lines[1].startswith("mx1      g1     in sync   warning   7 of 7  yes")
    assert "mx1: 2 dead copies are in the spool, not tried any more" in lines
    assert "mx2: smtp_route: no such host" in lines
    assert "mx2: tls.verification is pinned" in lines


def test_a_machine_that_is_away_is_not_said_to_copy(tdc: Tdc, manager: ScriptedManager) -> None:
    """What it last said is shown as that; the document keeps the plain fact."""
    answer = samples.status()
    answer.machines[0].state = "offline"
    answer.machines.add(name="mx9", cluster="emea", state="offline", wanted_revision=7)
    manager.answers["GetStatus"] = answer
    lines = tdc("status").out.splitlines()
    assert "was yes" in lines[1]
    assert "was" not in lines[3]
    assert tdc("status", "-o", "json").json[0]["copying"] is True


def test_what_the_manager_cannot_do_now_goes_to_standard_error(
    tdc: Tdc, manager: ScriptedManager
) -> None:
    """So that a document stays a document."""
    answer = samples.status()
    answer.warnings.append("etcd does not answer since 09:15:02; shown is what was known then")
    manager.answers["GetStatus"] = answer
    run = tdc("status", "-o", "json")
    assert len(run.json) == 2
    assert run.err.startswith("warning: etcd does not answer")
    assert run.code == 0


def test_several_clusters_get_a_column(tdc: Tdc, manager: ScriptedManager) -> None:
    """One cluster is not repeated on every line."""
    answer = samples.status()
    manager.answers["GetStatus"] = answer
    assert "CLUSTER" not in tdc("status").out
    answer.machines[1].cluster = "apac"
    assert "CLUSTER" in tdc("status").out


@pytest.mark.parametrize("width", ["40", "80", "200"])
def test_delivery_status_is_whole_at_any_width(
    tdc: Tdc, manager: ScriptedManager, monkeypatch: pytest.MonkeyPatch, width: str
) -> None:
    """Every column's title and value; why the queue is held."""
    monkeypatch.setenv("COLUMNS", width)
    manager.answers["GetDelivery"] = samples.delivery()
    shown = tdc("delivery", "status").out
    assert max(map(len, shown.splitlines())) <= int(width)
    flat = "".join(shown.split())
    for text in ("the.tdc.queue", "3456", "DEFERRED", "LASTTLSVERSION", "onhold:", "tls-error"):
        assert text in flat


def test_filters_reach_the_manager(tdc: Tdc, manager: ScriptedManager) -> None:
    """Cluster, group, machine and states as they were said."""
    manager.answers.update(GetStatus=samples.status(), GetDelivery=samples.delivery())
    where = ("--cluster", "emea", "--group", "g1", "--machine", "mx1")
    tdc("status", *where, "--state", "offline", "--state", "stale")
    (asked,) = manager.asked("GetStatus")
    asked.limit = 0
    assert asked == operators_pb2.StatusRequest(
        cluster="emea", group="g1", machine="mx1", states=["offline", "stale"]
    )
    tdc("delivery", "status", "--cluster", "emea", "--machine", "mx1")
    assert manager.asked("GetDelivery") == [
        operators_pb2.DeliveryRequest(cluster="emea", machine="mx1")
    ]


def test_a_fleet_is_asked_for_page_by_page(tdc: Tdc, manager: ScriptedManager) -> None:
    """An answer about all of a large fleet would keep a manager from answering anybody else."""
    first = samples.status()
    first.next = "mx2/emea"
    last = operators_pb2.StatusResponse(machines=[samples.status().machines[0]])
    last.machines[0].name = "mx9"

    def answer(request: operators_pb2.StatusRequest) -> operators_pb2.StatusResponse:
        assert request.limit > 0
        return last if request.after == first.next else first

    manager.answers["GetStatus"] = answer
    shown = tdc("status", "-o", "json")
    names = [row["name"] for row in json.loads(shown.out)]
    assert names == [*(row.name for row in first.machines), "mx9"]
    assert [each.after for each in manager.asked("GetStatus")] == ["", first.next]


def test_explain_and_status_do_not_contradict_each_other(
    tdc: Tdc, manager: ScriptedManager
) -> None:
    """A machine in sync has applied the cluster's revision, also one that left it alone."""
    explained = samples.explained()
    explained.state, explained.revision = "in sync", 9
    explained.running.revision = 7
    manager.answers["Explain"] = explained
    shown = " ".join(tdc("settings", "explain", "mx1").out.split())
    assert "in sync, applied 9 of 9" in shown
    explained.state = "out of sync"
    assert (
        tdc("settings", "explain", "mx1")
        .out.splitlines()[0]
        .endswith("out of sync, applied 7 of 9")
    )
