"""`--wait`: what machines say of a commit, and how long `tdc` listens."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from tdc.manager.cli import waiting
from tdc.manager.cli.waiting import judged
from tdc.shared.wire import answers
from tdc.v1 import fleet_pb2, operators_pb2

from tests.cli import samples
from tests.cli.conftest import Tdc
from tests.cli.scripted import Refusal, ScriptedManager

ENABLE = ("settings", "set", "machine", "mx1", "enabled=false", "--yes", "--wait")
SOME_TIME = Timestamp(seconds=1_800_000_000)


def _row(name: str, state: str, revision: int = 8, **more: Any) -> operators_pb2.MachineRowStatus:
    given = {"since": SOME_TIME, "cluster": "emea", **more}
    return operators_pb2.MachineRowStatus(name=name, state=state, wanted_revision=revision, **given)


def _judged(*rows: operators_pb2.MachineRowStatus) -> waiting.Said:
    return judged(["mx1", "mx2"], [answers.status(row) for row in rows], 8)


def test_only_machines_that_the_commit_changes_are_judged() -> None:
    said = _judged(_row("mx1", "in sync"), _row("mx3", "offline"), _row("mx4", "rejected"))
    assert (said.applied, said.all_of_them) == (1, True)


def test_a_view_from_before_the_commit_says_nothing() -> None:
    said = _judged(_row("mx1", "in sync", revision=7), _row("mx2", "rejected", revision=7))
    assert (said.applied, said.refused, len(said.silent)) == (0, (), 2)


def test_a_later_commit_counts_too() -> None:
    assert _judged(_row("mx1", "in sync", revision=9)).applied == 1


@pytest.mark.parametrize("state", ["offline", "stale", "out of sync"])
def test_who_says_nothing_is_waited_for(state: str) -> None:
    said = _judged(_row("mx1", state, reason="since noon"))
    assert said.silent == (f"mx1 has not applied it: {state}, since noon",)
    assert not said.all_of_them


def test_a_refusal_is_an_answer() -> None:
    said = _judged(_row("mx1", "rejected", reason="tls.pins has no pin"))
    assert said.refused == ("mx1 refuses it: tls.pins has no pin",)
    assert said.all_of_them


def test_a_machine_that_never_enrolled_is_not_waited_for() -> None:
    said = _judged(_row("mx1", "in sync"), _row("mx2", "offline", since=None))
    assert (said.applied, said.unenrolled, said.all_of_them) == (1, 1, True)


def test_a_machine_that_was_removed_meanwhile_has_not_applied_it() -> None:
    said = _judged(_row("mx2", "in sync"))
    assert (said.applied, said.gone, said.all_of_them) == (1, 1, True)
    assert (_judged().gone, _judged().all_of_them) == (2, True)


def test_a_machine_that_the_commit_creates_is_not_gone_before_it_is_seen() -> None:
    said = _judged(_row("mx2", "in sync", revision=7))
    assert (said.gone, len(said.silent)) == (0, 2)


@pytest.fixture
def committing(manager: ScriptedManager, monkeypatch: pytest.MonkeyPatch) -> ScriptedManager:
    monkeypatch.setattr(waiting, "BETWEEN", 0.01)
    manager.answers.update(MakePlan=samples.disable_plan(), MakeCommit=samples.committed())
    return manager


def _status(*rows: operators_pb2.MachineRowStatus) -> operators_pb2.StatusResponse:
    return operators_pb2.StatusResponse(machines=rows)


def test_it_ends_once_all_have_applied(tdc: Tdc, committing: ScriptedManager) -> None:
    looks = iter(
        [
            _status(_row("mx1", "in sync", revision=7), _row("mx2", "in sync", revision=7)),
            _status(_row("mx1", "in sync"), _row("mx2", "out of sync")),
            _status(_row("mx1", "in sync"), _row("mx2", "in sync")),
        ]
    )
    committing.answers["GetStatus"] = lambda _: next(looks)
    run = tdc(*ENABLE)
    assert run.code == 0, run.err
    assert "Committed revision 8 of emea." in run.out
    assert "Applied on 2 machines." in run.err
    assert next(looks, None) is None


def test_who_refuses_is_named_at_once_and_the_code_is_4(
    tdc: Tdc, committing: ScriptedManager
) -> None:
    committing.answers["GetStatus"] = _status(
        _row("mx1", "in sync"), _row("mx2", "rejected", reason="no such pin")
    )
    run = tdc(*ENABLE)
    assert run.code == 4
    assert "mx2 refuses it: no such pin." in run.err
    assert "does not run on 1 of 2 machines that it changes." in " ".join(run.err.split())
    assert len(committing.asked("GetStatus")) == 1


def test_it_ends_after_the_limit(tdc: Tdc, committing: ScriptedManager) -> None:
    committing.answers["GetStatus"] = _status(_row("mx1", "offline"), _row("mx2", "in sync"))
    run = tdc(*ENABLE, "--wait-limit", "1")
    assert run.code == 4
    assert "mx1 has not applied it: offline." in run.err
    said = " ".join(run.err.split())
    assert "does not run on 1 of 2 machines that it changes after 1 s." in said
    assert "`tdc commit revert 8 --cluster emea` undoes it" in said


def _renamed(name: str, before: str) -> fleet_pb2.TopologyChange:
    return fleet_pb2.TopologyChange(level=samples.MACHINE, name=name, before_name=before)


def test_a_machine_that_is_renamed_meanwhile_is_waited_for_by_its_new_name(
    tdc: Tdc, committing: ScriptedManager
) -> None:
    """Another machine may have got its name since, of which nobody wants to know."""
    both = [_row(name, "in sync", 10) for name in ("edge1", "mx2")]
    looks = iter(
        [
            _status(_row("edge1", "out of sync", 9), _row("mx2", "in sync", 9)),
            _status(*both, _row("mx1", "offline", 10)),
        ]
    )  # fmt: skip
    committing.answers["GetStatus"] = lambda _: next(looks)
    committing.answers["GetDifference"] = fleet_pb2.Difference(topology=[_renamed("edge1", "mx1")])
    run = tdc(*ENABLE)
    assert run.code == 0, run.err
    assert "Applied on 2 machines." in run.err
    asked = committing.asked("GetDifference")
    assert [(each.cluster, each.from_revision, each.to_revision) for each in asked] == [
        ("emea", 8, 9), ("emea", 8, 10),
    ]  # fmt: skip


def _refuse(_: object) -> fleet_pb2.Difference:
    raise Refusal(grpc.StatusCode.FAILED_PRECONDITION, "trimmed")


def test_without_history_it_is_waited_for_by_the_name_that_it_had(
    tdc: Tdc, committing: ScriptedManager
) -> None:
    committing.answers["GetStatus"] = _status(_row("mx1", "in sync", 9), _row("mx2", "in sync", 9))
    committing.answers["GetDifference"] = _refuse
    run = tdc(*ENABLE)
    assert run.code == 0, run.err


def test_a_machine_that_the_commit_renames_is_waited_for(
    tdc: Tdc, committing: ScriptedManager
) -> None:
    plan = samples.empty_plan()
    plan.topology.append(_renamed("edge1", "mx1"))
    committing.answers["MakePlan"] = plan
    committing.answers["GetStatus"] = _status(_row("edge1", "in sync"))
    run = tdc("machine", "rename", "mx1", "edge1", "--yes", "--wait")
    assert run.code == 0, run.err
    assert "Applied on 1 machine." in run.err


def test_a_machine_of_a_later_page_is_waited_for_too(tdc: Tdc, committing: ScriptedManager) -> None:
    """It is not in the first answer, which does not mean that it was removed."""
    first = _status(_row("mx1", "in sync"))
    first.next = "mx1/emea"

    def answer(request: operators_pb2.StatusRequest) -> operators_pb2.StatusResponse:
        return _status(_row("mx2", "rejected")) if request.after == first.next else first

    committing.answers["GetStatus"] = answer
    run = tdc(*ENABLE)
    assert run.code == 4
    assert "mx2 refuses it" in run.err


def test_without_it_nothing_is_asked(tdc: Tdc, committing: ScriptedManager) -> None:
    assert tdc(*ENABLE[:-1]).code == 0
    assert not committing.asked("GetStatus")


def test_a_manager_that_is_away_for_a_while_is_asked_again(
    tdc: Tdc, committing: ScriptedManager
) -> None:
    """It is restarted, say: the commit is made, and the machines connect again."""
    asked = 0

    def answer(_: Any) -> operators_pb2.StatusResponse:
        nonlocal asked
        asked += 1
        if asked < 3:
            raise Refusal(grpc.StatusCode.UNAVAILABLE, "it stops")
        return _status(_row("mx1", "in sync"), _row("mx2", "in sync"))

    committing.answers["GetStatus"] = answer
    run = tdc(*ENABLE)
    assert run.code == 0, run.err
    assert "Applied on 2 machines." in run.err


def test_a_manager_that_stays_away_leaves_the_commit_made(
    tdc: Tdc, committing: ScriptedManager
) -> None:
    """Code 3 would say that there was no manager: the commit would be made once more."""

    def answer(_: Any) -> operators_pb2.StatusResponse:
        raise Refusal(grpc.StatusCode.UNAVAILABLE, "it stops")

    committing.answers["GetStatus"] = answer
    run = tdc(*ENABLE, "--wait-limit", "1")
    assert run.code == 4
    said = " ".join(run.err.split())
    assert "Revision 8 of emea is committed, but whether the machines run it is not known:" in said
    assert "it stops" in said


def test_a_manager_that_hangs_ends_the_wait_all_the_same(
    tdc: Tdc, committing: ScriptedManager
) -> None:
    def answer(_: Any) -> operators_pb2.StatusResponse:
        time.sleep(3)
        return _status()

    committing.answers["GetStatus"] = answer
    begin = time.monotonic()
    run = tdc(*ENABLE, "--wait-limit", "1")
    assert run.code == 4
    assert "the manager does not answer" in " ".join(run.err.split())
    assert time.monotonic() - begin < 3


def test_a_manager_that_answers_slowly_is_asked_less_often(
    tdc: Tdc, committing: ScriptedManager
) -> None:
    def answer(_: Any) -> operators_pb2.StatusResponse:
        time.sleep(0.3)
        return _status(_row("mx1", "offline"), _row("mx2", "offline"))

    committing.answers["GetStatus"] = answer
    assert tdc(*ENABLE, "--wait-limit", "3").code == 4
    assert len(committing.asked("GetStatus")) <= 3


def test_the_limit_is_one_for_all_clusters_of_a_document(
    tdc: Tdc, committing: ScriptedManager, tmp_path: Path
) -> None:
    clusters = [operators_pb2.ClusterRow(name=name) for name in ("a", "b", "c")]
    committing.answers.update(
        ListClusters=operators_pb2.ListClustersResponse(clusters=clusters),
        GetCluster=lambda asked: fleet_pb2.ClusterSnapshot(cluster=asked.cluster),
        GetStatus=_status(_row("mx1", "offline"), _row("mx2", "offline")),
    )
    file = tmp_path / "fleet.yaml"
    each = "settings: {log.level: debug}"
    file.write_text(f"clusters: {{a: {{{each}}}, b: {{{each}}}, c: {{{each}}}}}")
    begin = time.monotonic()
    run = tdc("apply", "-f", str(file), "--yes", "--wait", "--wait-limit", "2")
    assert run.code == 4, run.err
    assert time.monotonic() - begin < 4


def test_a_commit_that_no_machine_notices_says_so(tdc: Tdc, committing: ScriptedManager) -> None:
    plan = samples.disable_plan()
    plan.ClearField("machines")
    committing.answers["MakePlan"] = plan
    run = tdc(*ENABLE)
    assert run.code == 0
    assert "Nothing to wait for" in run.err
    assert not committing.asked("GetStatus")
