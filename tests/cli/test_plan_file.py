"""Plans kept in files: committed as they were planned, once, or refused."""

from __future__ import annotations

import asyncio
import errno
import json
from pathlib import Path

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from tdc.manager.cli.errors import Refused
from tdc.manager.cli.plan_file import write_plan
from tdc.shared.wire import answers
from tdc.v1 import fleet_pb2, operators_pb2

from tests.cli import samples
from tests.cli.conftest import Tdc
from tests.cli.real_manager import Fleet, done
from tests.cli.scripted import ScriptedManager
from tests.stage.manager import manager as running_manager


@pytest.mark.system
def test_a_kept_plan_is_committed_later_as_it_was_and_once(
    tdc: Tdc, fleet: Fleet, tmp_path: Path
) -> None:
    file = tmp_path / "plan.json"
    change = ("settings", "set", "group", fleet.group, "log.level=debug", "--cluster")
    kept = tdc(*change, fleet.cluster, "--out", str(file), "-m", "look closer", "--yes")
    assert kept.code == 0, kept.err
    assert "Nothing was committed." in kept.out
    assert f"tdccommitapply{file}" in "".join(kept.out.split()), "long paths are folded"
    before = done(tdc, "cluster", "show", fleet.cluster)["revision"]
    written = json.loads(file.read_text())
    assert (written["plan"]["author"], written["comment"]) == ("ada", "look closer")

    # A commit that has nothing to do with it does not get in the way.
    tdc("settings", "set", "machine", fleet.three, "retry.initial=90s", "--yes")
    assert tdc("commit", "apply", str(file), "--dry-run").code == 0
    assert "--yes" in tdc("commit", "apply", str(file)).err
    made = done(tdc, "commit", "apply", str(file), "--yes")
    assert (made["revision"], made["committed"]) == (before + 2, True)
    history = tdc("commit", "history", "--cluster", fleet.cluster, "-o", "json").json
    assert (history[0]["comment"], history[0]["request_id"]) == (
        "look closer",
        written["request_id"],
    )
    again = tdc("commit", "apply", str(file), "--yes")
    assert again.code == 0
    assert f"was committed before, as revision {before + 2}" in again.out
    assert len(tdc("commit", "history", "--cluster", fleet.cluster, "-o", "json").json) == len(
        history
    )


@pytest.mark.system
def test_a_plan_of_another_outcome_is_refused(tdc: Tdc, fleet: Fleet, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    change = ("settings", "set", "group", fleet.group, "log.level=debug", "--cluster")
    assert tdc(*change, fleet.cluster, "--out", str(file)).code == 0
    before = done(tdc, "cluster", "show", fleet.cluster)["revision"]

    altered = tmp_path / "altered.json"
    altered.write_text(file.read_text().replace('"debug"', '"error"'))
    refused = tdc("commit", "apply", str(altered), "--yes")
    assert (refused.code, "was altered since" in " ".join(refused.err.split())) == (1, True)
    assert done(tdc, "cluster", "show", fleet.cluster)["revision"] == before

    tdc("settings", "set", "machine", fleet.one, "log.level=error", "--yes")
    refused = tdc("commit", "apply", str(file), "--yes")
    assert refused.code == 1
    said = " ".join(refused.err.split())
    assert f"Planned by ada on revision {before}, 20" in said
    assert "The outcome is another now" in said
    assert done(tdc, "cluster", "show", fleet.cluster)["revision"] == before + 1


def test_an_altered_plan_does_not_pass_for_the_commit_that_the_first_one_made(
    tdc: Tdc, manager: ScriptedManager, tmp_path: Path
) -> None:
    """By its request id: of what somebody else reviewed, nothing was committed."""
    manager.answers["MakePlan"] = samples.disable_plan()
    file = tmp_path / "plan.json"
    assert tdc("settings", "set", "machine", "mx1", "enabled=false", "--out", str(file)).code == 0
    written = json.loads(file.read_text())
    made = fleet_pb2.Commit(revision=8, request_id=written["request_id"])
    manager.answers["ListCommits"] = operators_pb2.ListCommitsResponse(commits=[made])
    assert "committed before, as revision 8" in tdc("commit", "apply", str(file)).out

    # Another order of keys, as tools for JSON make it, is the same plan.
    file.write_text(json.dumps(written, sort_keys=True))
    assert tdc("commit", "apply", str(file)).code == 0
    for name, other in (("edits", []), ("comment", "agreed"), ("request_id", "x"), ("sha256", "")):
        file.write_text(json.dumps({**written, name: other}))
        altered = tdc("commit", "apply", str(file), "--yes")
        assert altered.code == 1, name
        assert "was altered since it was written" in " ".join(altered.err.split())
    assert not manager.asked("MakeCommit")


def test_a_plan_that_was_committed_before_is_waited_for_like_the_first_time(
    tdc: Tdc, manager: ScriptedManager, tmp_path: Path
) -> None:
    """A script that tries again, because machines had not applied it, learns whether they have."""
    manager.answers["MakePlan"] = samples.disable_plan()
    file = tmp_path / "plan.json"
    assert tdc("settings", "set", "machine", "mx1", "enabled=false", "--out", str(file)).code == 0
    made = fleet_pb2.Commit(revision=8, request_id=json.loads(file.read_text())["request_id"])
    rows = [
        operators_pb2.MachineRowStatus(
            name=name, state="offline", wanted_revision=8, since=Timestamp(seconds=1_800_000_000)
        )
        for name in ("mx1", "mx2")
    ]
    manager.answers.update(
        ListCommits=operators_pb2.ListCommitsResponse(commits=[made]),
        GetStatus=operators_pb2.StatusResponse(machines=rows),
    )
    run = tdc("commit", "apply", str(file), "--yes", "--wait", "--wait-limit", "1")
    assert run.code == 4
    assert "mx1 has not applied it: offline." in run.err


def test_no_part_of_a_plan_is_left_where_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be in the way of the next try."""

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    file = tmp_path / "plan.json"
    with pytest.raises(Refused, match="No space left"):
        write_plan(file, answers.plan(samples.disable_plan()), [], "")
    assert not file.exists()


def test_a_dry_run_writes_no_file(tdc: Tdc, manager: ScriptedManager, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    for words in (("group", "create", "g7"), ("apply", "-f", "-")):
        run = tdc(*words, "--dry-run", "--out", str(file))
        assert run.code == 2
        assert "leave out --dry-run" in run.err
    assert not manager.requests
    assert not file.exists()


def test_a_file_that_is_there_is_not_written_over(
    tdc: Tdc, manager: ScriptedManager, tmp_path: Path
) -> None:
    manager.answers["MakePlan"] = samples.disable_plan()
    file = tmp_path / "plan.json"
    file.write_text("mine")
    run = tdc("settings", "set", "machine", "mx1", "enabled=false", "--out", str(file))
    assert run.code == 1
    assert "exists already" in run.err
    assert file.read_text() == "mine"
    nowhere = tdc("settings", "set", "machine", "mx1", "enabled=false", "--out", "/nowhere/plan")
    assert "can't be written: no such file or directory" in " ".join(nowhere.err.lower().split())


@pytest.mark.parametrize(
    "content",
    ["", "{}", "[]", "tdc", "\0", '{"tdc_plan": 2}', "[" * 100_000, '{"tdc_plan": 1, "x": 1}'],
)
def test_what_is_no_plan_is_named(tdc: Tdc, tmp_path: Path, content: str) -> None:
    file = tmp_path / "plan.json"
    file.write_text(content)
    run = tdc("commit", "apply", str(file))
    assert run.code == 2
    assert "is not a plan that this tdc can read" in " ".join(run.err.split())
    assert "Nothing was committed." in " ".join(run.err.split())


def test_edits_of_another_kind_are_no_plan(
    tdc: Tdc, manager: ScriptedManager, tmp_path: Path
) -> None:
    """A later tdc may know edits that this one would otherwise leave out."""
    manager.answers["MakePlan"] = samples.disable_plan()
    file = tmp_path / "plan.json"
    assert tdc("group", "create", "g7", "--out", str(file)).code == 0
    written = json.loads(file.read_text())
    written["edits"].append({"teleport": {"name": "mx1"}})
    file.write_text(json.dumps(written))
    run = tdc("commit", "apply", str(file), "--yes")
    assert run.code == 2
    assert "teleport" in run.err
    assert len(manager.asked("MakePlan")) == 1


def test_what_would_be_refused_or_changes_nothing_is_not_kept(
    tdc: Tdc, manager: ScriptedManager, tmp_path: Path
) -> None:
    file = tmp_path / "plan.json"
    change = ("settings", "set", "machine", "mx1", "enabled=false", "--out", str(file))
    manager.answers["MakePlan"] = samples.invalid_plan()
    assert tdc(*change).code == 1
    plan = samples.disable_plan()
    plan.ClearField("levels")
    manager.answers["MakePlan"] = plan
    assert tdc(*change).code == 0
    assert not file.exists()


@pytest.mark.system
async def test_who_reaches_a_group_commits_plans_as_he_commits_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And nobody else: history, which he can't read, says only whether it was done before."""
    tdc, kept, file = Tdc(monkeypatch, capsys), tmp_path / "kept.json", tmp_path / "plan.json"
    async with running_manager(tmp_path / "manager") as api:
        administrator = tmp_path / "manager/operator/operator.toml"

        def as_administrator() -> None:
            monkeypatch.setenv("TDC_CONFIG", str(administrator))
            done(tdc, "cluster", "create", "c1")
            for group in ("g1", "g2"):
                done(tdc, "group", "create", group)
            for name, role in (("bob", "operator"), ("eve", "read-only")):
                made = ("user", "create", name, "--role", role, "--group", "c1/g1")
                done(tdc, *made, "--without-password")
            change = ("settings", "set", "group", "g2", "log.level=debug")
            assert tdc(*change, "--out", str(kept)).code == 0

        def by(name: str) -> None:
            config = tmp_path / f"{name}.toml"
            issued = api.authority.issue_operator(name)
            for suffix, content in (
                ("crt", issued.certificate_pem),
                ("key", issued.key_pem),
                ("ca", api.authority.ca_pem),
            ):
                (tmp_path / f"{name}.{suffix}").write_bytes(content)
                (tmp_path / f"{name}.{suffix}").chmod(0o600)
            config.write_text(
                f'manager = "127.0.0.1:{api.ports.main}"\nca = "{name}.ca"\n'
                f'certificate = "{name}.crt"\nkey = "{name}.key"\n'
            )
            monkeypatch.setenv("TDC_CONFIG", str(config))

        def as_bob() -> None:
            by("bob")
            change = ("settings", "set", "group", "g1", "log.level=debug")
            said = tdc(*change, "--out", str(file))
            assert "by anyone who may make this change" in " ".join(said.out.split())
            by("eve")
            refused = tdc("commit", "apply", str(file), "--yes")
            assert (refused.code, "Permission denied" in refused.err) == (1, True)
            by("bob")
            assert done(tdc, "commit", "apply", str(file), "--yes")["committed"]
            again = tdc("commit", "apply", str(file), "--yes")
            said_again = " ".join(again.err.split())
            assert (again.code, "this plan was committed before" in said_again) == (1, True)
            refused = tdc("commit", "apply", str(kept), "--yes")
            assert (refused.code, "unknown group" in refused.err) == (1, True)

        def when_the_cluster_is_another() -> None:
            monkeypatch.setenv("TDC_CONFIG", str(administrator))
            whole = tmp_path / "whole.json"
            change = ("settings", "set", "cluster", "c1", "log.level=error")
            assert tdc(*change, "--out", str(whole)).code == 0
            done(tdc, "cluster", "rename", "c1", "c2", "--yes")
            done(tdc, "cluster", "create", "c1")
            refused = tdc("commit", "apply", str(kept), "--yes")
            said = " ".join(refused.err.split())
            assert "Planned by" in said
            assert "its cluster's name be that of another one now" in said
            refused = tdc("commit", "apply", str(whole), "--yes")
            assert "it is another one by that name" in " ".join(refused.err.split())

        for each in (as_administrator, as_bob, when_the_cluster_is_another):
            await asyncio.to_thread(each)
