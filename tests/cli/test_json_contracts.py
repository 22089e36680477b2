"""The documents of docs/cli.md, field by field, through a real channel."""

from __future__ import annotations

import pytest
import yaml
from tdc.v1 import fleet_pb2, operators_pb2

from tests.cli import samples
from tests.cli.conftest import Tdc
from tests.cli.scripted import ScriptedManager


def test_effective_settings_name_every_value_and_its_origin(
    tdc: Tdc, manager: ScriptedManager
) -> None:
    """A default without value is null, and its origin has level default and no name."""
    manager.answers["GetEffective"] = samples.effective()
    run = tdc("settings", "show", "--effective", "mx1", "-o", "json")
    assert run.code == 0
    assert run.json == {
        "machine": "mx1",
        "revision": 7,
        "hash": "ab" * 32,
        "settings": {
            "enabled": {
                "value": True,
                "origin": {"level": "cluster", "name": "emea", "revision": 3},
            },
            "intake_address": {
                "value": "in@intake.example",
                "origin": {"level": "group", "name": "g1", "revision": 5},
            },
            "report_from": {
                "value": None,
                "origin": {"level": "default", "name": "", "revision": 0},
            },
            "smtp_route": {
                "value": "usedns",
                "origin": {"level": "default", "name": "", "revision": 0},
            },
        },
    }
    assert manager.asked("GetEffective")[0].machine == "mx1"


def test_a_level_shows_only_what_is_present_there(tdc: Tdc, manager: ScriptedManager) -> None:
    """`enabled = false` present at the level is shown; what is absent is not in the document."""
    manager.answers["GetLevel"] = samples.level_settings()
    run = tdc("settings", "show", "group", "g1", "-o", "json")
    assert run.json == {
        "level": "group",
        "name": "g1",
        "cluster": "emea",
        "revision": 7,
        "settings": {"enabled": False, "incoming_domains": ["example.com"]},
    }
    asked = manager.asked("GetLevel")[0].level
    assert (asked.level, asked.name, asked.cluster) == (samples.GROUP, "g1", "")


def test_status_is_a_list_of_machines(tdc: Tdc, manager: ScriptedManager) -> None:
    """Times are RFC 3339 in UTC; a time that is not known is null."""
    manager.answers["GetStatus"] = samples.status()
    rows = tdc("status", "-o", "json").json
    assert rows[0] == {
        "name": "mx1",
        "group": "g1",
        "cluster": "emea",
        "state": "in sync",
        "wanted_revision": 7,
        "applied_revision": 7,
        "since": "2026-11-23T09:15:02.250Z",
        "copying": True,
        "queued": 12,
        "reason": "",
        "warnings": ["2 dead copies are in the spool, not tried any more"],
        "agent_version": "0.1.0",
        "health": "warning",
        "problems": [
            {
                "kind": "dead",
                "severity": "warning",
                "text": "2 dead copies are in the spool, not tried any more",
                "since": None,
            }
        ],
        "dead": 2,
        "missed": [
            {
                "reason": "spool-full",
                "count": 7,
                "since": "2026-11-23T09:15:02.250Z",
                "last": "2026-11-23T09:15:02.250Z",
            }
        ],
        "delivered_at": "2026-11-23T09:15:02.250Z",
        "oldest_queued": None,
        "spool_full": "",
        "suspension": None,
        "unknown_settings": [],
        "manager": "",
    }
    assert rows[1]["since"] is None
    assert rows[1]["health"] == "unknown", "of a manager that does not judge"
    assert rows[1]["reason"] == "smtp_route: no such host"


def test_a_plan_gives_levels_and_machines_with_before_and_after(
    tdc: Tdc, manager: ScriptedManager
) -> None:
    """What is absent is null; what the disable rule does is marked."""
    manager.answers["MakePlan"] = samples.disable_plan()
    run = tdc("settings", "set", "machine", "mx1", "enabled=false", "--dry-run", "-o", "json")
    assert run.code == 0
    plan = run.json
    assert plan["levels"] == [
        {
            "level": "machine",
            "name": "mx1",
            "setting": "enabled",
            "before": None,
            "after": False,
            "by_disable_rule": False,
        },
        {
            "level": "group",
            "name": "g1",
            "setting": "enabled",
            "before": None,
            "after": False,
            "by_disable_rule": True,
        },
        {
            "level": "cluster",
            "name": "emea",
            "setting": "enabled",
            "before": True,
            "after": False,
            "by_disable_rule": True,
        },
    ]
    assert plan["machines"][0] == {
        "name": "mx1",
        "setting": "enabled",
        "before": True,
        "after": False,
        "origin": {"level": "machine", "name": "mx1", "revision": 8},
    }
    rest = {key: plan[key] for key in plan.keys() - {"levels", "machines"}}
    assert rest == {
        "cluster": "emea",
        "base_revision": 7,
        "fingerprint": "f" * 64,
        "topology": [],
        "stop_copying": ["mx1", "mx2"],
        "start_copying": [],
        "problems": [],
        "backlogs": [],
        "warnings": [],
        "author": "ada",
    }


def test_a_commit_prints_its_revision_and_its_plan(tdc: Tdc, manager: ScriptedManager) -> None:
    """One document on standard output, also where the plan was shown to a person before."""
    manager.answers.update(MakePlan=samples.disable_plan(), MakeCommit=samples.committed())
    run = tdc("settings", "set", "machine", "mx1", "enabled=false", "--yes", "-o", "json")
    assert run.code == 0
    document = run.json
    assert document.pop("plan")["fingerprint"] == "f" * 64
    assert document == {"cluster": "emea", "revision": 8, "committed": True}


def test_explain_gives_the_whole_chain(tdc: Tdc, manager: ScriptedManager) -> None:
    """Levels that say nothing are there too, as not present."""
    manager.answers["Explain"] = samples.explained()
    document = tdc("settings", "explain", "mx1", "enabled", "-o", "json").json
    steps = document["settings"]["enabled"]
    assert [(step["level"], step["present"], step["wins"]) for step in steps] == [
        ("machine", False, False),
        ("group", True, True),
        ("cluster", False, False),
        ("default", True, False),
    ]
    assert steps[1] == {
        "level": "group",
        "name": "g1",
        "present": True,
        "value": True,
        "wins": True,
        "revision": 5,
        "author": "ada",
        "time": "2026-11-23T09:15:02.250Z",
        "comment": "pilot",
    }
    assert document["running"] == {"revision": 6, "hash": "cd" * 32}
    assert document["last_attempt"] == {
        "revision": 7,
        "hash": "ef" * 32,
        "applied": False,
        "reason": "tls.pins has no pin",
        "time": "2026-11-23T09:15:02.250Z",
    }
    shown = " ".join(tdc("settings", "explain", "mx1").out.split())
    assert "out of sync since 2026-11-23 09:15:02Z: the settings of revision 7 were" in shown
    assert "last attempt: revision 7, 2026-11-23 09:15:02Z, refused: tls.pins has no pin" in shown


def test_delivery_status_has_the_columns_of_the_queue(tdc: Tdc, manager: ScriptedManager) -> None:
    """Every column of Delivery Status, and the machine's totals."""
    manager.answers["GetDelivery"] = samples.delivery()
    (row,) = tdc("delivery", "status", "-o", "json").json
    assert row["domain"] == "the.tdc.queue"
    assert row["counters"]["copies_taken"] == 3469
    assert set(row) == {
        *("machine", "cluster", "time", "domain", "intake_domain", "host_status", "latest_host"),
        *("active_recipients", "connections_out", "delivered", "deferred", "dead"),
        *("oldest_queued", "last_reply", "last_tls_version", "held_reason", "held_since"),
        *("next_probe", "counters", "suspended"),
    }


def test_history_and_commit_are_documents(tdc: Tdc, manager: ScriptedManager) -> None:
    """The only cluster is meant where none is named; that is for the manager to say."""
    manager.answers.update(ListCommits=samples.history(), GetCommit=samples.whole_commit())
    assert tdc("commit", "history", "-o", "json").json == [
        {
            "cluster": "emea",
            "revision": 7,
            "author": "ada",
            "time": "2026-11-23T09:15:02.250Z",
            "comment": "pilot",
            "request_id": "r-7",
            "machines_changed": 2,
            "work": None,
        }
    ]
    whole = tdc("commit", "show", "8", "-o", "json").json
    assert whole["topology"] == [
        {
            "level": "machine",
            "name": "mx9",
            "group": "g1",
            "change": "moved",
            "before_name": "mx9",
            "before_group": "g2",
            "stops_copying": False,
        }
    ]
    assert len(whole["levels"]) == 3
    assert manager.asked("GetCommit") == [operators_pb2.GetCommitRequest(revision=8)]


def test_what_is_worth_a_look_is_a_document(tdc: Tdc, manager: ScriptedManager) -> None:
    manager.answers["CheckConsistency"] = samples.consistency()
    found = tdc("settings", "check", "-o", "json").json
    assert [(row["kind"], row["name"], row["since"]) for row in found["findings"]] == [
        ("not-in-sync", "mx2", "2026-11-23T09:15:02.250Z"),
        ("same", "g1", None),
    ]
    shown = " ".join(tdc("settings", "check").out.split())
    assert "it is offline (since 2026-11-23" in shown
    manager.answers["CheckConsistency"] = operators_pb2.CheckConsistencyResponse(cluster="emea")
    assert tdc("settings", "check").out == "Nothing to look at in emea.\n"
    away = "etcd has been unreachable since noon. Showing the last known state."
    answer = operators_pb2.CheckConsistencyResponse(cluster="emea", warnings=[away])
    manager.answers["CheckConsistency"] = answer
    assert tdc("settings", "check", "-o", "json").json["warnings"] == [away]
    run = tdc("settings", "check")
    assert run.out == "Nothing to look at in what was last known of emea.\n"
    assert away in " ".join(run.err.split())


def test_a_difference_is_written_as_a_plan_is(tdc: Tdc, manager: ScriptedManager) -> None:
    manager.answers.update(GetDifference=samples.difference(), MakePlan=samples.disable_plan())
    found = tdc("commit", "diff", "5", "8", "-o", "json").json
    plan = tdc("settings", "set", "machine", "mx1", "enabled=false", "--dry-run", "-o", "json").json
    for part in ("levels", "machines", "stop_copying", "start_copying"):
        assert found[part] == plan[part]
    assert (found["cluster"], found["from_revision"], found["to_revision"]) == ("emea", 5, 8)
    shown = tdc("commit", "diff", "5").out
    assert "revision 5 to 8" in shown
    assert "refused from then on" not in shown, "it looks back: nothing will happen"
    assert [each.to_revision for each in manager.asked("GetDifference")] == [8, 0]


def test_a_long_history_comes_in_pages(tdc: Tdc, manager: ScriptedManager) -> None:
    """A manager gives 1000 commits at most in one answer; the operator gets what he asked for."""

    def page(request: operators_pb2.ListCommitsRequest) -> operators_pb2.ListCommitsResponse:
        newest = request.before - 1 if request.before else 2_500
        kept = range(newest, 0, -1)[: min(request.limit, 1_000)]
        commits = [fleet_pb2.Commit(cluster="emea", revision=each) for each in kept]
        return operators_pb2.ListCommitsResponse(commits=commits)

    manager.answers["ListCommits"] = page
    for limit, oldest, pages in ((50, 2_451, 1), (1_200, 1_301, 2), (10_000, 1, 3)):
        manager.requests.clear()
        rows = tdc("commit", "history", "--limit", str(limit), "-o", "json").json
        assert [row["revision"] for row in rows] == list(range(2_500, oldest - 1, -1))
        assert len(manager.requests) == pages


def test_fleet_lists_are_documents(tdc: Tdc, manager: ScriptedManager) -> None:
    """Lists are lists even of one; show gives the one."""
    manager.answers.update(
        ListClusters=samples.clusters(),
        ListGroups=samples.groups(),
        ListMachines=samples.machines(),
        GetStatus=samples.status(),
    )
    assert tdc("cluster", "list", "-o", "json").json == [
        {"name": "emea", "revision": 7, "groups": 2, "machines": 3}
    ]
    assert tdc("cluster", "show", "emea", "-o", "json").json == {
        "name": "emea",
        "revision": 7,
        "groups": [{"name": "g1", "machines": ["mx1", "mx2"]}],
    }
    assert tdc("group", "list", "-o", "json").json == [
        {"name": "g1", "cluster": "emea", "machines": ["mx1", "mx2"]}
    ]
    assert tdc("group", "show", "g1", "-o", "json").json["cluster"] == "emea"
    machine = {
        "name": "mx1",
        "group": "g1",
        "cluster": "emea",
        "enrolled": True,
        "overrides": ["enabled"],
    }
    assert tdc("machine", "list", "-o", "json").json == [machine]
    shown = tdc("machine", "show", "mx1", "-o", "json").json
    assert shown.pop("status")["state"] == "in sync"
    assert shown == machine


@pytest.mark.parametrize("place", ["before", "after"])
def test_yaml_is_the_same_data(tdc: Tdc, manager: ScriptedManager, place: str) -> None:
    """-o may stand before the noun or after the verb."""
    manager.answers["GetStatus"] = samples.status()
    words = ("-o", "yaml", "status") if place == "before" else ("status", "-o", "yaml")
    assert yaml.safe_load(tdc(*words).out) == tdc("status", "-o", "json").json


def test_a_token_comes_with_the_line_to_paste(tdc: Tdc, manager: ScriptedManager) -> None:
    """The lifetime goes to the manager in seconds."""
    manager.answers["CreateJoinToken"] = operators_pb2.CreateJoinTokenResponse(
        token="t0ken", expires=samples.TIME, enrol_address="mgr.example:7444"
    )
    document = tdc("machine", "token", "mx1", "--lifetime", "2m", "-o", "json").json
    assert document["token"] == "t0ken"
    assert document["expires"] == "2026-11-23T09:15:02.250Z"
    assert document["enrol_address"] == "mgr.example:7444"
    assert document["command"] == (
        "echo t0ken | tdc-agent enrol --config /etc/tdc/agent.toml "
        "--manager mgr.example:7444 --token-file -"
    )
    assert manager.asked("CreateJoinToken")[0].lifetime == 120
