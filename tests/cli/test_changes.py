"""Plan, blast radius, question, commit: what is sent, and when nothing is."""

from __future__ import annotations

import io
import json
import os
import uuid
from pathlib import Path

import grpc
import pytest
from tdc.shared.wire.settings import settings_from_wire, settings_to_wire
from tdc.v1 import fleet_pb2, operators_pb2

from tests.cli import samples
from tests.cli.conftest import Tdc
from tests.cli.scripted import Refusal, ScriptedManager

DISABLE = ("settings", "set", "machine", "mx1", "enabled=false")


@pytest.fixture
def planned(manager: ScriptedManager) -> ScriptedManager:
    """A manager that plans a disable and would commit it."""
    manager.answers.update(MakePlan=samples.disable_plan(), MakeCommit=samples.committed())
    return manager


def test_what_was_planned_is_what_is_committed(tdc: Tdc, planned: ScriptedManager) -> None:
    """Same edits, the plan's fingerprint and cluster, the comment, a request id."""
    run = tdc(*DISABLE, "--yes", "-m", "pilot ends")
    assert run.code == 0
    (plan,) = planned.asked("MakePlan")
    (commit,) = planned.asked("MakeCommit")
    assert list(plan.edits) == list(commit.edits)
    assert plan.edits[0].set == fleet_pb2.SetSettings(
        level=fleet_pb2.LevelRef(level=samples.MACHINE, name="mx1"),
        settings=settings_to_wire({"enabled": False}),
    )
    assert (commit.cluster, commit.fingerprint) == ("emea", "f" * 64)
    assert commit.comment == "pilot ends"
    assert uuid.UUID(commit.request_id)


def test_the_blast_radius_stands_before_the_commit(tdc: Tdc, planned: ScriptedManager) -> None:
    """Levels changed by the disable rule are marked; who stops copying is named."""
    shown = tdc(*DISABLE, "--yes").out
    assert shown.count("by the disable rule") == 2
    assert "2 machines would stop copying: mx1, mx2" in shown
    assert shown.index("stop copying") < shown.index("Committed revision 8")


def test_without_a_terminal_and_without_yes_nothing_is_committed(
    tdc: Tdc, planned: ScriptedManager
) -> None:
    """The plan is shown all the same, so that one can see what was not done."""
    run = tdc(*DISABLE)
    assert run.code == 1
    assert "--yes" in run.err
    assert "stop copying" in run.out
    assert not planned.asked("MakeCommit")


@pytest.mark.parametrize(
    ("answer", "code", "commits"), [("y\n", 0, 1), ("n\n", 1, 0), ("\n", 1, 0), ("", 1, 0)]
)
def test_on_a_terminal_the_answer_decides(
    tdc: Tdc,
    planned: ScriptedManager,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    code: int,
    commits: int,
) -> None:
    """No answer is no."""

    reading, writing = os.pipe()
    os.write(writing, answer.encode())
    os.close(writing)
    with os.fdopen(reading) as stdin:
        monkeypatch.setattr(stdin, "isatty", lambda: True)
        monkeypatch.setattr("sys.stdin", stdin)
        run = tdc(*DISABLE)
    assert run.code == code
    assert len(planned.asked("MakeCommit")) == commits


def test_a_dry_run_commits_nothing(tdc: Tdc, planned: ScriptedManager) -> None:
    """--yes beside it changes nothing about that."""
    run = tdc(*DISABLE, "--dry-run", "--yes")
    assert run.code == 0
    assert "nothing was committed" in run.out
    assert not planned.asked("MakeCommit")


@pytest.mark.parametrize("how", ["--dry-run", "--yes"])
def test_problems_refuse_the_commit_and_are_named(
    tdc: Tdc, planned: ScriptedManager, how: str
) -> None:
    """Machine, setting and reason; the manager is not even asked to commit."""
    planned.answers["MakePlan"] = samples.invalid_plan()
    run = tdc(*DISABLE, how)
    assert run.code == 1
    assert "mx3 intake_address: enabled, but has no intake address" in run.out
    assert not planned.asked("MakeCommit")


def test_the_problem_of_a_level_begins_with_the_level(tdc: Tdc, planned: ScriptedManager) -> None:
    """It is on no machine, so no machine is named."""
    plan = samples.disable_plan()
    plan.problems.add(setting="intake_address", reason="cluster emea: it is one of your own")
    planned.answers["MakePlan"] = plan
    run = tdc(*DISABLE, "--dry-run")
    assert "\n  cluster emea: it is one of your own" in run.out


def test_a_warning_is_shown_and_keeps_nothing_from_being_committed(
    tdc: Tdc, planned: ScriptedManager
) -> None:
    plan = samples.disable_plan()
    for name in ("mx1", "mx2"):
        plan.warnings.add(machine=name, setting="smtp_route", reason="smtp_route leads to 10.0.0.1")
    planned.answers["MakePlan"] = plan
    run = tdc(*DISABLE, "--yes")
    assert run.code == 0
    assert "Warnings (they keep nothing from being committed):" in run.out
    assert "mx1, mx2 smtp_route: smtp_route leads to 10.0.0.1" in run.out
    assert planned.asked("MakeCommit")


def test_setting_what_is_there_already_is_no_commit(tdc: Tdc, planned: ScriptedManager) -> None:
    """No question, no commit, done."""
    planned.answers["MakePlan"] = samples.empty_plan()
    run = tdc(*DISABLE, "-o", "json")
    assert run.code == 0
    assert run.json["committed"] is False
    assert run.json["revision"] == 7
    assert not planned.asked("MakeCommit")


def test_a_plan_that_changed_since_is_refused(tdc: Tdc, planned: ScriptedManager) -> None:
    """The manager's words reach the operator; it is not tried again with the old plan."""

    def stale(_: operators_pb2.CommitRequest) -> operators_pb2.CommitResponse:
        raise Refusal(grpc.StatusCode.ABORTED, "the plan has changed; plan again")

    planned.answers["MakeCommit"] = stale
    run = tdc(*DISABLE, "--yes")
    assert run.code == 1
    assert "the plan has changed; plan again" in run.err
    assert len(planned.asked("MakeCommit")) == 1


def test_a_lost_answer_is_asked_for_again_under_the_same_request_id(
    tdc: Tdc, planned: ScriptedManager
) -> None:
    """The manager commits a request id once, so asking again is safe."""
    refusals = [Refusal(grpc.StatusCode.UNAVAILABLE, "etcd is away")]

    def second_time(_: operators_pb2.CommitRequest) -> operators_pb2.CommitResponse:
        if refusals:
            raise refusals.pop()
        return samples.committed()

    planned.answers["MakeCommit"] = second_time
    run = tdc(*DISABLE, "--yes")
    assert run.code == 0
    ids = {commit.request_id for commit in planned.asked("MakeCommit")}
    assert len(planned.asked("MakeCommit")) == 2
    assert len(ids) == 1


def test_an_answer_that_stays_lost_says_that_the_commit_may_be_made(
    tdc: Tdc, planned: ScriptedManager
) -> None:
    """With the request id to look for."""

    def away(_: operators_pb2.CommitRequest) -> operators_pb2.CommitResponse:
        raise Refusal(grpc.StatusCode.UNAVAILABLE, "etcd is away")

    planned.answers["MakeCommit"] = away
    run = tdc(*DISABLE, "--yes")
    assert run.code == 1
    said = " ".join(run.err.split())
    assert "may or may not have been made" in said
    assert planned.asked("MakeCommit")[0].request_id in said


@pytest.mark.parametrize(
    ("unmade", "words"),
    [((True, True, True), "Nothing was changed"), ((False, True, True), "may or may not")],
    ids=["never sent on", "lost once"],
)
def test_a_commit_that_was_certainly_not_made_is_not_said_to_be_in_doubt(
    tdc: Tdc, planned: ScriptedManager, unmade: tuple[bool, ...], words: str
) -> None:
    """One lost answer among the attempts is enough for doubt."""
    answers = iter(unmade)

    def away(_: operators_pb2.CommitRequest) -> operators_pb2.CommitResponse:
        raise Refusal(grpc.StatusCode.UNAVAILABLE, "etcd is away", unmade=next(answers))

    planned.answers["MakeCommit"] = away
    run = tdc(*DISABLE, "--yes")
    assert run.code == 1
    assert words in " ".join(run.err.split())


def test_unset_sends_the_names(tdc: Tdc, planned: ScriptedManager) -> None:
    """At the level and in the cluster that were named."""
    run = tdc(
        *("settings", "unset", "group", "g1", "enabled", "tls.names", "--cluster", "emea", "-y")
    )
    assert run.code == 0
    (plan,) = planned.asked("MakePlan")
    assert plan.cluster == "emea"
    assert plan.edits[0].unset == fleet_pb2.UnsetSettings(
        level=fleet_pb2.LevelRef(level=samples.GROUP, name="g1", cluster="emea"),
        names=["enabled", "tls.names"],
    )


def test_several_settings_are_one_edit_of_one_commit(tdc: Tdc, planned: ScriptedManager) -> None:
    """The plan and the commit see them together."""
    assert (
        tdc(
            *("settings", "set", "cluster", "emea", "enabled=true"),
            *("intake_address=in@intake.example", "retry.initial=2m", "--yes"),
        ).code
        == 0
    )
    (plan,) = planned.asked("MakePlan")
    assert len(plan.edits) == 1
    assert plan.edits[0].set.settings == settings_to_wire(
        {"enabled": True, "intake_address": "in@intake.example", "retry.initial": 120}
    )


def test_a_document_that_names_no_cluster_says_so(tdc: Tdc, tmp_path: Path) -> None:
    """A file that was cut off, say: nobody is to take it for applied."""
    file = tmp_path / "fleet.yaml"
    file.write_text("clusters:\n")
    run = tdc("apply", "-f", str(file), "--yes")
    assert run.code == 0
    assert "Nothing to change: the document names no cluster." in run.out
    assert tdc("apply", "-f", str(file), "--yes", "-o", "json").json == []


def test_rollback_restores_a_revision(tdc: Tdc, planned: ScriptedManager) -> None:
    """As the only edit, planned and asked about like any other change."""
    assert tdc("commit", "rollback", "3").code == 1
    assert tdc("commit", "rollback", "3", "--yes").code == 0
    (commit,) = planned.asked("MakeCommit")
    assert list(commit.edits) == [fleet_pb2.Edit(restore=fleet_pb2.RestoreRevision(revision=3))]
    assert commit.comment == "rollback to revision 3"
    assert tdc("commit", "rollback", "3", "--yes", "-m", "too much mail").code == 0
    assert planned.asked("MakeCommit")[-1].comment == "too much mail"


def test_creating_a_machine_asks_no_question(tdc: Tdc, planned: ScriptedManager) -> None:
    """For nothing that is in force changes. Its cluster is the one that the manager planned for."""
    assert tdc("machine", "create", "mx9", "--group", "g1").code == 0
    (commit,) = planned.asked("MakeCommit")
    assert commit.edits[0].add_machine == fleet_pb2.AddMachine(name="mx9", group="g1")
    assert planned.asked("MakePlan")[0].cluster == ""
    assert commit.cluster == "emea"


def test_creating_a_cluster_carries_a_request_id(tdc: Tdc, planned: ScriptedManager) -> None:
    planned.answers["CreateCluster"] = operators_pb2.CommitResponse(
        cluster="apac", revision=1, committed=True
    )
    assert tdc("cluster", "create", "apac", "-m", "new").code == 0
    (request,) = planned.asked("CreateCluster")
    assert (request.name, request.comment) == ("apac", "new")
    assert uuid.UUID(request.request_id)


def test_the_plan_of_a_large_fleet_stays_readable(tdc: Tdc, planned: ScriptedManager) -> None:
    """The first names, how many more, and all of them in JSON."""
    names = [f"mx{number:04}" for number in range(3000)]
    plan = samples.disable_plan()
    del plan.machines[:]
    plan.machines.extend(samples.machine_change(name, samples.CLUSTER, "emea") for name in names)
    plan.stop_copying[:] = names
    planned.answers["MakePlan"] = plan
    shown = tdc(*DISABLE, "--dry-run").out
    assert len(shown.splitlines()) < 40
    assert "3000 machines would stop copying: mx0000, mx0001" in shown
    assert "and 2980 more" in " ".join(shown.split())
    assert tdc(*DISABLE, "--dry-run", "-o", "json").json["stop_copying"] == names


def test_a_value_may_come_from_a_file_or_from_standard_input(
    tdc: Tdc, planned: ScriptedManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1 200 policies are more than a command line holds."""
    rows = [
        {"name": f"p{number}", "action": "no-scan", "recipients": [f"u{number}@corp.example"]}
        for number in range(1_200)
    ]
    path = tmp_path / "policies.json"
    path.write_text("\ufeff" + json.dumps(rows) + "\n")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b" a.example,b.example\n")))
    run = tdc(
        "settings", "set", "cluster", "emea", f"policies=@{path}", "incoming_domains=-", "--yes"
    )  # fmt: skip
    assert run.code == 0, run.err
    (plan,) = planned.asked("MakePlan")
    sent = settings_from_wire(plan.edits[0].set.settings)
    assert [each.name for each in sent["policies"]] == [row["name"] for row in rows]  # type: ignore[union-attr]  # a list of policies
    assert sent["incoming_domains"] == ("a.example", "b.example")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["policies=@no/such/file"], "'no/such/file' can't be read: No such file"),
        (["policies=@"], "'' can't be read"),
        (["policies=@/dev/zero"], "'/dev/zero' has more than 4 MiB"),
        (["policies=@LATIN"], "is not UTF-8"),
        (["policies=-", "incoming_domains=-"], "incoming_domains: only one setting can be read"),
        (["incoming_domains=@/dev/null"], "'/dev/null' is empty; an empty list is typed as"),
        (["policies=@/dev/null"], "for no policies type policies=[]"),
        (["retry.initial=@/dev/null"], "it must have a value"),
        (["report_from=@/dev/null"], "write none to say that there is none"),
    ],
)
def test_a_value_that_can_not_be_read_is_named(
    tdc: Tdc,
    planned: ScriptedManager,
    words: list[str],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    latin = tmp_path / "latin"
    latin.write_bytes(b"caf\xe9")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"[]")))
    given = [word.replace("LATIN", str(latin)) for word in words]
    run = tdc("settings", "set", "cluster", "emea", *given, "--yes")
    assert run.code == 2
    assert says in " ".join(run.err.split())
    assert "Nothing was changed" in " ".join(run.err.split())
    assert not planned.asked("MakePlan")


@pytest.mark.parametrize(
    ("stdin", "says"),
    [
        (None, "incoming_domains: standard input (-) is closed."),
        (io.TextIOWrapper(io.BytesIO(b" \n")), "an empty list is typed as incoming_domains="),
    ],
    ids=["closed", "of a command that failed"],
)
def test_standard_input_without_a_value_never_means_all_mail(
    tdc: Tdc,
    planned: ScriptedManager,
    monkeypatch: pytest.MonkeyPatch,
    stdin: io.TextIOWrapper | None,
    says: str,
) -> None:
    monkeypatch.setattr("sys.stdin", stdin)
    run = tdc("settings", "set", "cluster", "emea", "incoming_domains=-", "--yes")
    assert run.code == 2
    assert says in " ".join(run.err.split())
    assert not planned.asked("MakePlan")


def test_a_problem_of_a_level_is_not_said_again_for_its_machines(
    tdc: Tdc, planned: ScriptedManager
) -> None:
    plan = samples.disable_plan()
    reason = "policy 'p' has neither senders nor recipients"
    plan.problems.add(machine="mx1", setting="policies", reason=reason)
    plan.problems.add(machine="", setting="policies", reason=f"cluster emea: {reason}")
    planned.answers.update(MakePlan=plan)
    run = tdc(*DISABLE, "--yes")
    assert run.code == 1
    assert run.out.count(reason) == 1
    assert f"cluster emea: {reason}" in run.out


@pytest.mark.parametrize("words", [("machin",), ("commit", "rolback"), ("delivery", "drp")])
def test_a_mistyped_command_is_answered_with_all_there_are(
    tdc: Tdc, words: tuple[str, ...]
) -> None:
    """The nearest by spelling may be one that changes something: it is not suggested alone."""
    run = tdc(*words)
    assert run.code == 2
    assert "Did you mean" not in run.err
    assert f"No such command {words[-1]!r}. Commands of tdc" in run.err
