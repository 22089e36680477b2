"""The REST API over a real port: read, plan, commit; and what it answers to what is wrong."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tdc.v1 import people_pb2

from tests.fakes.etcd import ExternalEtcd
from tests.stage.console import PASSWORD, Visitor, make_user, visitor
from tests.stage.manager import Api, add_group, add_machine, logged_in, manager, put

CLUSTER = "/api/v1/clusters/emea"
LEVEL = "/api/v1/levels/cluster/emea/settings"


@pytest.fixture
async def api(tmp_path: Path, etcd: ExternalEtcd) -> AsyncIterator[Api]:
    given = {"etcd_endpoints": etcd.options.endpoints, "console_port": 0}
    async with manager(tmp_path / "manager", **given) as connection:
        await connection.create_cluster("emea")
        machines = [add_machine(f"mx{number}", "Main_Group") for number in range(1, 6)]
        await connection.commit(*machines, cluster="emea")
        await make_user(connection, "maria")
        yield connection


@pytest.fixture
async def program(api: Api) -> AsyncIterator[Visitor]:
    """A program with a session's secret, shown as a bearer."""
    async with visitor(api, await logged_in(api, "maria", PASSWORD), token=True) as each:
        yield each


def setting(**settings: object) -> dict[str, Any]:
    return {"set": {"level": "cluster", "name": "emea", "settings": settings}}


ENABLE = setting(enabled=True, intake_address="journal@intake.example")


async def _plan(program: Visitor, *edits: dict[str, Any]) -> httpx.Response:
    return await program.client.post(f"{CLUSTER}/plans", json={"edits": edits})


async def _commit(
    program: Visitor, tag: str, *edits: dict[str, Any], key: str = "k1"
) -> httpx.Response:
    return await program.client.post(
        f"{CLUSTER}/commits",
        json={"edits": edits, "comment": "by a program"},
        headers={"if-match": tag, "idempotency-key": key},
    )


def _problem(answer: httpx.Response, status: int, what: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert (found["status"], found["type"]) == (status, f"urn:tdc:problem:{what}")
    assert found["errors"]
    return found


async def test_a_change_is_planned_and_committed_once(api: Api, program: Visitor) -> None:
    planned = await _plan(program, ENABLE)
    assert planned.status_code == 200
    assert planned.json()["start_copying"] == [f"mx{number}" for number in range(1, 6)]
    tag = planned.headers["etag"]
    assert tag == f'"{planned.json()["fingerprint"]}"'
    made = await _commit(program, tag, ENABLE)
    assert (made.status_code, made.json()["revision"]) == (201, 3)
    again = await _commit(program, tag, ENABLE)
    assert again.json()["revision"] == 3, "sent twice, made once"
    found = (await program.get(made.headers["location"])).json()
    assert (found["author"], found["comment"]) == ("maria", "by a program")
    assert len(found["levels"]) == 2
    assert await api.enabled("mx1")
    assert [
        each["revision"] for each in (await program.json("/clusters/emea/commits"))["items"]
    ] == [3, 2, 1]


async def test_a_commit_needs_what_was_seen(api: Api, program: Visitor) -> None:
    plain = await program.client.post(f"{CLUSTER}/commits", json={"edits": [ENABLE]})
    _problem(plain, 428, "header-missing")
    tag = (await _plan(program, ENABLE)).headers["etag"]
    await api.commit(add_machine("mx9", "Main_Group"), cluster="emea")
    assert _problem(await _commit(program, tag, ENABLE), 412, "plan-changed")["unchanged"]
    for wrong in ("*", "abc", '"a", "b"', ""):
        _problem(await _commit(program, wrong, ENABLE), 422, "wrong-request")
    assert not await api.enabled("mx1")


async def test_an_invalid_result_names_the_fault(program: Visitor) -> None:
    edit = setting(enabled=True)
    planned = await _plan(program, edit)
    assert planned.json()["problems"]
    refused = await _commit(program, planned.headers["etag"], edit)
    assert "intake_address" in _problem(refused, 422, "invalid-result")["detail"]


async def test_a_level_is_patched_under_its_tag(api: Api, program: Visitor) -> None:
    read = await program.get(LEVEL)
    patch = {"settings": {"retry.initial": 120, "log.level": "debug"}}

    async def sent(
        tag: str, body: dict[str, Any], query: str = "", key: str = "p"
    ) -> httpx.Response:
        headers = {"if-match": tag, "idempotency-key": key}
        return await program.client.patch(LEVEL + query, json=body, headers=headers)

    tried = await sent(read.headers["etag"], patch, "?dry_run=true")
    assert (tried.status_code, tried.json()["committed"]) == (200, False)
    assert tried.headers["etag"] == read.headers["etag"]
    done = await sent(read.headers["etag"], patch)
    assert done.json()["committed"]
    assert done.json()["level"]["settings"] == {"log.level": "debug", "retry.initial": 120}
    _problem(await sent(read.headers["etag"], patch), 412, "level-changed")
    gone = await sent(done.headers["etag"], {"settings": {"log.level": None}}, key="q")
    assert gone.json()["level"]["settings"] == {"retry.initial": 120}


async def test_a_patch_that_stops_machines_needs_the_fingerprint_of_its_plan(
    api: Api, program: Visitor
) -> None:
    """The disable rule reaches far: nobody does it without having seen what follows."""
    await api.commit(put("cluster", "emea", enabled=True, intake_address="j@intake.example"))
    at = "/api/v1/levels/machine/mx1/settings"
    read, off = await program.get(at), {"settings": {"enabled": False}}
    headers = {"if-match": read.headers["etag"], "idempotency-key": "off"}
    blind = await program.client.patch(at, json=off, headers=headers)
    assert "stops copying on 5 machines" in _problem(blind, 412, "plan-changed")["detail"]
    assert await api.enabled("mx1")
    seen = (await program.client.patch(f"{at}?dry_run=true", json=off, headers=headers)).json()
    assert seen["plan"]["stop_copying"] == [f"mx{number}" for number in range(1, 6)]
    path = f"{at}?fingerprint={seen['plan']['fingerprint']}"
    assert (await program.client.patch(path, json=off, headers=headers)).status_code == 200
    assert not await api.enabled("mx5")


async def test_machines_come_a_page_at_a_time_with_counts(program: Visitor) -> None:
    first = await program.json("/machines?limit=2&cluster=emea")
    assert [each["name"] for each in first["items"]] == ["mx1", "mx2"]
    assert first["counts"] == {"offline": 5}
    second = await program.json(f"/machines?limit=2&cursor={first['next']}")
    assert [each["name"] for each in second["items"]] == ["mx3", "mx4"]
    last = await program.json(f"/machines?limit=2&cursor={second['next']}")
    assert ([each["name"] for each in last["items"]], last["next"]) == (["mx5"], "")
    assert (await program.json("/machines?state=in+sync"))["items"] == []
    assert [each["name"] for each in (await program.json("/machines?q=X3"))["items"]] == ["mx3"]
    for wrong in ("limit=0", "limit=201", "limit=x", "state=odd", "cursor=odd", "nope=1"):
        await program.json(f"/machines?{wrong}", expect=422)


async def test_what_is_in_force_and_why(api: Api, program: Visitor) -> None:
    await api.commit(put("machine", "mx1", "emea", retry__initial=300))
    found = await program.json("/machines/mx1/effective?cluster=emea")
    origin = {"level": "machine", "name": "mx1", "revision": 3}
    assert found["settings"]["retry.initial"] == {"value": 300, "origin": origin}
    why = await program.json("/machines/mx1/explain?setting=retry.initial")
    assert [step["wins"] for step in why["settings"]["retry.initial"]] == [
        True,
        False,
        False,
        False,
    ]
    assert (await program.json("/machines/mx1"))["status"]["state"] == "offline"
    await program.json("/machines/nix", expect=404)


@pytest.mark.parametrize(
    ("body", "status", "what"),
    [
        (b"{", 400, "not-json"),
        (b"\xff", 400, "not-json"),
        (b"[]", 422, "wrong-request"),
        (b'{"edits": [], "more": 1}', 422, "wrong-request"),
        (b'{"edits": [{}]}', 422, "wrong-request"),
        (b'{"edits": [{"restore": {"revision": 1}, "revert": {"revision": 1}}]}', 422,
         "wrong-request"),
        (b'{"edits": [{"set": {"level": "cluster", "name": "emea", "settings": {"x": 1}}}]}', 422,
         "wrong-request"),
        (b"[" * 100_000, 422, "wrong-request"),
        (b" " * (1024**2 + 1), 413, "too-long"),
    ],
)  # fmt: skip
async def test_a_wrong_body_is_a_problem(
    program: Visitor, body: bytes, status: int, what: str
) -> None:
    headers = {"content-type": "application/json"}
    answer = await program.client.post(f"{CLUSTER}/plans", content=body, headers=headers)
    _problem(answer, status, what)


async def test_what_is_not_there_or_not_for_one_is_a_problem(api: Api, program: Visitor) -> None:
    _problem(await program.get("/api/v1/nothing"), 404, "unknown")
    _problem(await program.client.delete("/api/v1/clusters"), 405, "wrong-method")
    _problem(await program.get("/api/v1/clusters/nix/commits"), 404, "unknown")
    _problem(await program.get("/api/v1/levels/planet/emea/settings"), 404, "unknown")
    wrong_kind = await program.client.post(f"{CLUSTER}/plans", content=b"{}")
    _problem(wrong_kind, 415, "wrong-kind")
    async with visitor(api) as nobody:
        refused = await nobody.get("/api/v1/clusters")
        _problem(refused, 401, "nobody")
        assert refused.headers["www-authenticate"] == "Bearer"
    reach = people_pb2.Reach(groups=[people_pb2.GroupName(cluster="emea", group="Main_Group")])
    await api.commit(add_group("eu"), cluster="emea")
    await make_user(api, "gus", "operator", reach)
    async with visitor(api, await logged_in(api, "gus", PASSWORD), token=True) as gus:
        _problem(await _plan(gus, ENABLE), 403, "denied")


async def test_the_openapi_document_is_of_the_routes(program: Visitor) -> None:
    found = await program.json("/openapi.json")
    assert found["openapi"] == "3.1.0"
    text = json.dumps(found)
    for ref in set(text.split('"$ref": "#/components/schemas/')[1:]):
        assert ref.partition('"')[0] in found["components"]["schemas"]
    for path, methods in found["paths"].items():
        for method, each in methods.items():
            named = {p["name"] for p in each["parameters"] if p["in"] == "path"}
            assert named == {part[1:-1] for part in path.split("/") if part.startswith("{")}
            assert each["description"].startswith("Needs "), (method, path)
            assert {"401", "403", "500"} <= set(each["responses"])
