"""`tdc export` and `tdc apply` with a real manager: a fleet as a document, and back."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Tdc
from tests.cli.real_manager import Fleet, Running, done, enabled
from tests.cli.terminal import on_terminal

pytestmark = pytest.mark.system


def test_an_exported_fleet_is_applied_changed_and_read_as_it_was(
    tdc: Tdc, fleet: Fleet, tmp_path: Path
) -> None:
    """Applied again it is nothing to do; exit code 2 says that a dry run found something."""
    exported = tdc("export", "--cluster", fleet.cluster)
    assert exported.code == 0
    file = tmp_path / "fleet.yaml"
    file.write_text(exported.out)
    apply = ("apply", "-f", str(file))
    assert tdc(*apply, "--dry-run").code == 0
    file.write_text(exported.out.replace("enabled: true", "enabled: true\n      log.level: debug"))
    dry = tdc(*apply, "--dry-run")
    assert dry.code == 2
    assert "log.level" in dry.out
    (made,) = done(tdc, *apply, "--yes", "-m", "from a file")
    assert (made["revision"], made["committed"]) == (8, True)
    assert tdc(*apply, "--dry-run").code == 0
    before = tdc("export", "--cluster", fleet.cluster, "--revision", "7")
    assert before.out == exported.out
    # Onto a cluster that is not there yet.
    other = tmp_path / "other.yaml"
    other.write_text(exported.out.replace(fleet.cluster, f"{fleet.cluster}-2"))
    assert tdc("apply", "-f", str(other), "--dry-run").code == 2
    assert "There is no cluster" in tdc("apply", "-f", str(other)).err
    # Nothing is changed either where the one that is there comes first.
    file.write_text(exported.out.replace("enabled: true", "enabled: true\n      log.level: error"))
    refused = tdc("apply", "-f", str(file), "-f", str(other))
    assert (refused.code, "Nothing was changed" in refused.err) == (1, True)
    assert done(tdc, "cluster", "show", fleet.cluster)["revision"] == 8
    assert tdc("apply", "-f", str(other), "--yes").code == 0
    copy = tdc("export", "--cluster", f"{fleet.cluster}-2").out
    assert copy == other.read_text()


def test_of_several_clusters_none_is_changed_or_created_if_one_would_be_refused(
    tdc: Tdc, fleet: Fleet, tmp_path: Path
) -> None:
    """And what is printed is one document, with the plans of clusters that do not exist too."""
    first, new = f"a-{fleet.cluster}", f"z-{fleet.cluster}"
    done(tdc, "cluster", "create", first)
    machines = {"Main_Group": {"machines": {f"one.{new}": {"settings": {"enabled": True}}}}}
    clusters: dict[str, Any] = {
        first: {"settings": {"log.level": "debug"}},
        new: {"groups": machines},
    }
    file = tmp_path / "fleet.json"
    file.write_text(json.dumps({"clusters": clusters}))
    apply = ("apply", "-f", str(file))
    for options, said in (
        (("--yes",), "Nothing was committed. Fix the problems"),
        (("--dry-run",), "would be refused"),
    ):
        refused = tdc(*apply, *options, "-o", "json")
        assert (refused.code, said in refused.err) == (1, True)
        assert [each["cluster"] for each in json.loads(refused.out)] == [first, new]
        assert f"one.{new} intake_address" in tdc(*apply, *options).out
    assert done(tdc, "cluster", "show", first)["revision"] == 1
    assert tdc("cluster", "show", new).code == 1
    clusters[new]["settings"] = {"intake_address": "in@intake.example"}
    file.write_text(json.dumps({"clusters": clusters}))
    dry = tdc(*apply, "--dry-run", "-o", "json")
    assert (dry.code, [each["start_copying"] for each in json.loads(dry.out)]) == (
        2,
        [[], [f"one.{new}"]],
    )
    made = done(tdc, *apply, "--yes")
    assert [(each["cluster"], each["revision"]) for each in made] == [(first, 2), (new, 2)]
    assert done(tdc, *apply, "--dry-run")[0]["levels"] == []


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize("entry", ["{groups: {g: {}}}", "{}", ""])
@pytest.mark.parametrize("options", [("--dry-run",), ("--yes",)])
def test_a_name_that_no_cluster_can_have_is_refused_before_anything_is_changed(
    tdc: Tdc, fleet: Fleet, tmp_path: Path, entry: str, options: tuple[str, ...]
) -> None:
    """Also where nothing but the name is said of it, and where only case tells it from another."""
    file = tmp_path / "fleet.yaml"
    there = f"z-{fleet.cluster}"
    done(tdc, "cluster", "create", there)
    change = f"{fleet.cluster}: {{settings: {{log.level: error}}}}"
    for name, says in (
        ("z bad", "'z bad' is not a valid cluster name"),
        (there.upper(), "differs only in case"),
    ):
        file.write_text(f"clusters: {{{change}, {name}: {entry}}}")
        refused = tdc("apply", "-f", str(file), *options)
        assert refused.code == 1, refused.out
        assert says in " ".join(refused.err.split())
    assert done(tdc, "cluster", "show", fleet.cluster)["revision"] == 7


def test_after_a_no_to_the_second_cluster_the_first_is_not_denied(
    tdc: Tdc, running: Running, fleet: Fleet, tmp_path: Path
) -> None:
    names = [f"a-{fleet.cluster}", f"b-{fleet.cluster}"]
    for name in names:
        done(tdc, "cluster", "create", name)
    file = tmp_path / "fleet.json"
    settings = {"settings": {"log.level": "debug"}}
    file.write_text(json.dumps({"clusters": dict.fromkeys(names, settings)}))
    environment = {**os.environ, "TDC_CONFIG": str(running.config), "TERM": "xterm"}
    with on_terminal(["apply", "-f", str(file)], environment) as terminal:
        terminal.read_until("[y/N]")
        terminal.type(b"y\n")
        assert f"Committed revision 2 of {names[0]}." in terminal.read_until("[y/N]")
        terminal.type(b"n\n")
        said = terminal.read_until(None)
        assert terminal.exit_code() == 1
    assert f"tdc: Nothing was committed to {names[1]}." in said


def test_a_document_that_would_be_refused_changes_nothing(
    tdc: Tdc, fleet: Fleet, tmp_path: Path
) -> None:
    file = tmp_path / "fleet.json"
    exported = done(tdc, "export", "--cluster", fleet.cluster)
    exported["clusters"][fleet.cluster]["settings"]["intake_address"] = "none"
    file.write_text(json.dumps(exported))
    run = tdc("apply", "-f", str(file), "--yes")
    assert run.code == 1
    assert "intake_address" in run.out
    assert enabled(tdc, "cluster", fleet.cluster) is True
