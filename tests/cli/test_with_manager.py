"""`tdc` and a real manager with its embedded etcd: what is planned is what then is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from tdc.shared.settings.canonical import content_hash
from tdc.shared.settings.check import check_value
from tdc.shared.settings.schema import SCHEMA

from tests.cli.conftest import Tdc
from tests.cli.real_manager import Fleet, Running, done, enabled
from tests.cli.terminal import on_terminal
from tests.stage.freezing import freeze, thaw

pytestmark = pytest.mark.system


def test_a_new_fleet_is_listed(tdc: Tdc, fleet: Fleet) -> None:
    """Cluster with its groups, machines with their group, nobody enrolled."""
    shown = done(tdc, "cluster", "show", fleet.cluster)
    assert shown["revision"] == 7
    assert shown["groups"] == [
        {"name": "Main_Group", "machines": []},
        {"name": fleet.group, "machines": [fleet.one, fleet.two]},
        {"name": fleet.other, "machines": [fleet.three]},
    ]
    machine = done(tdc, "machine", "show", fleet.one)
    assert (machine["group"], machine["enrolled"]) == (fleet.group, False)
    assert machine["status"]["state"] == "offline"


def test_effective_settings_are_every_setting_under_its_hash(tdc: Tdc, fleet: Fleet) -> None:
    """The hash is that of the values shown, by the rule that the agent uses too."""
    done(tdc, "settings", "set", "group", fleet.group, "tls.minimum_version=1.3", "-y")
    shown = done(tdc, "settings", "show", "--effective", fleet.one)
    assert set(shown["settings"]) == set(SCHEMA)
    origins = {name: item["origin"] for name, item in shown["settings"].items()}
    assert origins["enabled"] == {"level": "cluster", "name": fleet.cluster, "revision": 7}
    assert origins["tls.minimum_version"] == {"level": "group", "name": fleet.group, "revision": 8}
    assert origins["log.level"] == {"level": "default", "name": "", "revision": 0}
    values = {
        name: None if item["value"] is None else check_value(name, item["value"])
        for name, item in shown["settings"].items()
    }
    assert shown["hash"] == content_hash(values)


def test_a_disabled_machine_takes_group_and_cluster_along(tdc: Tdc, fleet: Fleet) -> None:
    """The plan says so, the commit does so in one revision, an own `enabled = true` stays."""
    done(tdc, "settings", "set", "group", fleet.other, "enabled=true", "-y")
    disable = ("settings", "set", "machine", fleet.one, "enabled=false")
    plan = done(tdc, *disable, "--dry-run")
    assert [
        (change["level"], change["name"], change["before"], change["by_disable_rule"])
        for change in plan["levels"]
    ] == [
        ("machine", fleet.one, None, False),
        ("group", fleet.group, None, True),
        ("cluster", fleet.cluster, True, True),
    ]
    assert all(change["after"] is False for change in plan["levels"])
    assert plan["stop_copying"] == [fleet.one, fleet.two]
    assert enabled(tdc, "cluster", fleet.cluster) is True
    commit = done(tdc, *disable, "--yes")
    assert commit["plan"] == plan
    for level, name in (("machine", fleet.one), ("group", fleet.group), ("cluster", fleet.cluster)):
        document = done(tdc, "settings", "show", level, name)
        assert document["settings"]["enabled"] is False
        assert document["revision"] == commit["revision"]
    for machine, copies in ((fleet.one, False), (fleet.two, False), (fleet.three, True)):
        in_force = done(tdc, "settings", "show", "--effective", machine)
        assert in_force["settings"]["enabled"]["value"] is copies
    assert (
        done(tdc, "commit", "show", str(commit["revision"]), "--cluster", fleet.cluster)["levels"]
        == (plan["levels"])
    )


def test_a_rollback_brings_back_every_level(tdc: Tdc, fleet: Fleet) -> None:
    """As a new revision; what was absent is absent again."""
    before = {
        name: done(tdc, "settings", "show", level, name)["settings"]
        for level, name in (("machine", fleet.one), ("group", fleet.group))
    }
    done(tdc, "settings", "set", "machine", fleet.one, "enabled=false", "-y")
    back = done(tdc, "commit", "rollback", "7", "--cluster", fleet.cluster, "-y")
    assert back["revision"] == 9
    assert back["plan"]["start_copying"] == [fleet.one, fleet.two, fleet.three]
    assert enabled(tdc, "cluster", fleet.cluster) is True
    for level, name in (("machine", fleet.one), ("group", fleet.group)):
        assert done(tdc, "settings", "show", level, name)["settings"] == before[name]
    history = done(tdc, "commit", "history", "--cluster", fleet.cluster, "--limit", "3")
    assert [row["revision"] for row in history] == [9, 8, 7]
    assert history[2]["comment"] == "pilot"
    assert history[0]["author"] == "ada"


def test_a_plan_that_another_commit_overtook_is_refused(
    tdc: Tdc, fleet: Fleet, running: Running
) -> None:
    """While one operator reads the question, another commits: yes then changes nothing."""
    environment = {**os.environ, "TDC_CONFIG": str(running.config), "TERM": "xterm"}
    words = ["settings", "set", "machine", fleet.one, "enabled=false"]
    with on_terminal(words, environment) as terminal:
        assert "would stop copying" in terminal.read_until("[y/N]")
        done(tdc, "settings", "set", "group", fleet.group, "enabled=true", "-y")
        terminal.type(b"y\n")
        said = terminal.read_until(None)
        assert terminal.exit_code() == 1
    assert "plan" in said
    assert enabled(tdc, "machine", fleet.one) is None
    assert enabled(tdc, "cluster", fleet.cluster) is True


def test_an_invalid_result_is_refused_and_names_every_machine(tdc: Tdc, fleet: Fleet) -> None:
    """Enabled with no intake address: exit code 1, nothing changed."""
    run = tdc("settings", "unset", "cluster", fleet.cluster, "intake_address", "-y", "-o", "json")
    assert run.code == 1
    assert run.json["committed"] is False
    assert {(item["machine"], item["setting"]) for item in run.json["plan"]["problems"]} == {
        (machine, "intake_address") for machine in (fleet.one, fleet.two, fleet.three)
    }
    assert done(tdc, "cluster", "show", fleet.cluster)["revision"] == 7


def test_what_is_there_already_makes_no_revision(tdc: Tdc, fleet: Fleet) -> None:
    """Exit code 0 and committed false."""
    again = done(tdc, "settings", "set", "cluster", fleet.cluster, "enabled=true")
    assert (again["committed"], again["revision"]) == (False, 7)


def test_explain_names_who_set_what(tdc: Tdc, fleet: Fleet) -> None:
    """The whole chain, with author and comment where something is present."""
    chain = done(tdc, "settings", "explain", fleet.one, "intake_address")["settings"]
    steps = chain["intake_address"]
    assert [step["level"] for step in steps] == ["machine", "group", "cluster", "default"]
    assert [step["wins"] for step in steps] == [False, False, True, False]
    assert (steps[2]["author"], steps[2]["comment"]) == ("ada", "pilot")


@pytest.mark.parametrize(
    "words",
    [
        ("settings", "show", "--effective", "nobody"),
        ("settings", "set", "machine", "nobody", "enabled=false", "-y"),
        ("settings", "show", "cluster", "nobody"),
        ("machine", "token", "nobody"),
        ("machine", "show", "nobody"),
        ("machine", "create", "mx", "--group", "nobody"),
        ("group", "create", "g", "--cluster", "nobody"),
        ("cluster", "create", "no spaces please"),
        ("cluster", "show", "nobody"),
        ("group", "show", "nobody"),
        ("commit", "show", "7", "--cluster", "nobody"),
    ],
)
def test_unknown_names_are_refused_in_a_sentence(
    tdc: Tdc, fleet: Fleet, words: tuple[str, ...]
) -> None:
    """Exit code 1, one sentence, no traceback, nothing on standard output."""
    run = tdc(*words)
    assert run.code == 1
    assert run.err.startswith("tdc: ")
    assert "Traceback" not in run.err
    assert run.out == ""


def test_a_name_in_two_clusters_asks_for_the_cluster(tdc: Tdc, fleet: Fleet) -> None:
    """And is found where the cluster is said."""
    other = f"{fleet.cluster}-b"
    assert done(tdc, "cluster", "create", other, "--dry-run")["committed"] is False
    done(tdc, "cluster", "create", other)
    assert tdc("cluster", "create", other, "--dry-run").code == 1
    done(tdc, "machine", "create", fleet.one, "--group", "Main_Group", "--cluster", other)
    for words in (
        ("settings", "show", "--effective", fleet.one),
        ("machine", "create", "mx9", "--group", "Main_Group"),
        ("group", "show", "Main_Group"),
        ("group", "create", "g9"),
        ("commit", "rollback", "1"),
    ):
        run = tdc(*words)
        assert run.code == 1
        assert "--cluster" in run.err
    shown = done(tdc, "settings", "show", "--effective", fleet.one, "--cluster", other)
    assert shown["machine"] == fleet.one
    assert shown["revision"] == 2  # the other cluster's: created, then one machine added


def test_a_manager_that_hangs_is_no_connection(tdc: Tdc, fleet: Fleet, running: Running) -> None:
    """The deadline ends the wait; when the manager goes on, so does the work."""
    freeze(running.process.pid)
    try:
        run = tdc("status", "--timeout", "0.5")
    finally:
        thaw(running.process.pid)
    assert run.code == 3
    names = [row["name"] for row in done(tdc, "status", "--cluster", fleet.cluster)]
    assert names == [fleet.one, fleet.two, fleet.three]


def test_delivery_and_token_answer_for_machines_that_never_came(tdc: Tdc, fleet: Fleet) -> None:
    """An empty list, and a token that carries the address of the enrolment port."""
    assert done(tdc, "delivery", "status", "--cluster", fleet.cluster) == []
    token = done(tdc, "machine", "token", fleet.one, "--lifetime", "2m")
    assert token["machine"] == fleet.one
    assert token["token"] in token["command"]
    assert token["enrol_address"] in token["command"]
    assert json.dumps(token).isascii()


def test_the_printed_line_enrols_the_machine(tdc: Tdc, fleet: Fleet, tmp_path: Path) -> None:
    """Pasted as it is into a shell, but for the place of agent.toml; and only once."""
    config = tmp_path / "agent.toml"
    main_address = tomllib.loads(Path(os.environ["TDC_CONFIG"]).read_text())["manager"]
    config.write_text(
        f'state_folder = "{tmp_path}/state"\n[manager]\naddresses = ["{main_address}"]\n'
        '[ingest]\nlisten = "127.0.0.1:0"\nnext_hop = "127.0.0.1:1"\n'
    )
    line = done(tdc, "machine", "token", fleet.one)["command"]
    here = line.replace("/etc/tdc/agent.toml", str(config))
    assert here != line
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}

    def paste() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/sh", "-c", here],
            env=environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    first = paste()
    assert first.returncode == 0, first.stderr
    assert f"{fleet.one} of cluster {fleet.cluster} is enrolled" in first.stdout
    assert done(tdc, "machine", "show", fleet.one)["enrolled"] is True
    assert done(tdc, "machine", "show", fleet.two)["enrolled"] is False
    assert paste().returncode == 1


def test_a_cluster_goes_after_a_question_that_names_what_goes(
    tdc: Tdc, fleet: Fleet, running: Running
) -> None:
    """Refused with machines in it; its history stays, and the name is good for another."""
    done(tdc, "cluster", "create", "old")
    done(tdc, "group", "create", "edge", "--cluster", "old")
    done(tdc, "machine", "create", "old-mx", "--group", "edge", "--cluster", "old")
    done(tdc, "settings", "set", "group", "edge", "log.level=debug", "--cluster", "old", "-y")
    held = tdc("cluster", "delete", "old", "--yes")
    assert held.code == 1
    assert "1 machine (old-mx)" in held.err
    assert "tdc machine remove" in held.err
    done(tdc, "machine", "remove", "old-mx", "--cluster", "old", "--yes")
    environment = {**os.environ, "TDC_CONFIG": str(running.config), "TERM": "xterm"}
    with on_terminal(["cluster", "delete", "old"], environment) as terminal:
        asked = " ".join(terminal.read_until("[y/N]").split())
        terminal.type(b"y\n")
        terminal.read_until(None)
        assert terminal.exit_code() == 0
    assert "group edge" in asked
    assert "Delete cluster old with 2 groups and 1 setting?" in asked
    assert "Its history of 5 commits stays readable." in asked
    assert "old" not in [row["name"] for row in done(tdc, "cluster", "list")]
    assert [row["revision"] for row in done(tdc, "commit", "history", "--cluster", "old")] == [
        *range(6, 0, -1)
    ]
    gone = tdc("group", "create", "g9", "--cluster", "old")
    assert gone.code == 1
    assert "was deleted by revision 6" in gone.err
    exported = done(tdc, "export", "--cluster", "old", "--revision", "5")
    assert exported["clusters"]["old"]["groups"]["edge"]["settings"] == {"log.level": "debug"}
    assert done(tdc, "cluster", "create", "old")["revision"] == 7


def test_a_machine_is_renamed_moved_and_put_back(tdc: Tdc, fleet: Fleet) -> None:
    """The plan says it in words; the name of before means nothing then; a revert brings it back."""
    done(tdc, "settings", "set", "machine", fleet.one, "log.level=debug", "-y")
    new = f"{fleet.one}-new"
    shown = tdc("machine", "rename", fleet.one, new, "--dry-run").out
    assert f"machine {fleet.one} to {new}" in shown
    assert "goes on copying" in " ".join(shown.split())
    made = done(tdc, "machine", "rename", fleet.one, new, "--yes")
    assert [(each["change"], each["before_name"]) for each in made["plan"]["topology"]] == [
        ("renamed", fleet.one)
    ]
    assert made["plan"]["machines"] == []
    assert done(tdc, "machine", "show", new)["overrides"] == ["log.level"]
    assert tdc("machine", "show", fleet.one).code == 1
    exported = done(tdc, "export", "--cluster", fleet.cluster)["clusters"][fleet.cluster]
    assert exported["groups"][fleet.group]["machines"].keys() == {new, fleet.two}
    before = str(made["revision"] - 1)
    shown = tdc("commit", "diff", before, "--cluster", fleet.cluster).out
    assert f"machine {fleet.one} to {new}" in shown
    done(tdc, "commit", "revert", str(made["revision"]), "--cluster", fleet.cluster, "--yes")
    assert done(tdc, "machine", "show", fleet.one)["overrides"] == ["log.level"]


def test_a_cluster_is_renamed_and_found_by_both_names(tdc: Tdc, fleet: Fleet) -> None:
    done(tdc, "cluster", "create", "before")
    shown = " ".join(tdc("cluster", "rename", "before", "since", "--dry-run").out.split())
    assert "cluster before to since" in shown
    assert "go on copying" in shown
    made = done(tdc, "cluster", "rename", "before", "since", "--yes")
    assert (made["cluster"], made["revision"], made["committed"]) == ("since", 2, True)
    assert {"since"} <= {row["name"] for row in done(tdc, "cluster", "list")}
    histories = [done(tdc, "commit", "history", "--cluster", name) for name in ("before", "since")]
    assert histories[0] == histories[1]
    assert len(histories[0]) == 2
    refused = tdc("group", "create", "g9", "--cluster", "before")
    assert (refused.code, "is called since now" in " ".join(refused.err.split())) == (1, True)
    assert done(tdc, "cluster", "create", "before")["revision"] == 1
    assert len(done(tdc, "commit", "history", "--cluster", "before")) == 1
    for name in ("before", "since"):
        done(tdc, "cluster", "delete", name, "--yes")
