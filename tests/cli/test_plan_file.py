"""Plans kept in files: committed as they were planned, once, or refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli import samples
from tests.cli.conftest import Tdc
from tests.cli.real_manager import Fleet, done
from tests.cli.scripted import ScriptedManager


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
    assert tdc("commit", "apply", str(altered), "--yes").code == 1
    assert done(tdc, "cluster", "show", fleet.cluster)["revision"] == before

    tdc("settings", "set", "machine", fleet.one, "log.level=error", "--yes")
    refused = tdc("commit", "apply", str(file), "--yes")
    assert refused.code == 1
    said = " ".join(refused.err.split())
    assert f"Planned by ada on revision {before}, 20" in said
    assert "The outcome is another now" in said
    assert done(tdc, "cluster", "show", fleet.cluster)["revision"] == before + 1


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
