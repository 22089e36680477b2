"""Every route of the console and the API, for everybody who may come: who is let in, and who not.

Generated from the table of routes. What each operation needs is written out in
tests/stage/least.py, and which operation a route that may change something is, here.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from tdc.manager.intent.permissions import PERMISSIONS, PermissionTableError
from tdc.manager.people.reach import Role
from tdc.manager.web.headers import COOKIE
from tdc.manager.web.routes import LIVE, Open, Route, check_routes
from tdc.manager.web.table import TABLE, OpenApi
from tdc.shared.edge.grpc_tls import client_channel
from tdc.v1 import audit_pb2, people_pb2

from tests.fakes.etcd import ExternalEtcd
from tests.stage.console import PASSWORD, make_user, visitor
from tests.stage.least import needs_of, role_for
from tests.stage.manager import Api, add_machine, logged_in, manager, of_people

REACHES = {
    "everywhere": people_pb2.Reach(),
    "a cluster": people_pb2.Reach(clusters=["c1"]),
    "a group": people_pb2.Reach(groups=[people_pb2.GroupName(cluster="c1", group="Main_Group")]),
}
ENOUGH = {"": set(REACHES), "a whole cluster": {"everywhere", "a cluster"}}
NAMES = {
    "cluster": "c1", "group": "Main_Group", "machine": "mx1", "level": "cluster", "name": "c1",
    "revision": "1",
}  # fmt: skip
GUARDED = [row for row in TABLE if not isinstance(row.permission, Open)]


@pytest.fixture
async def api(tmp_path: Path, etcd: ExternalEtcd) -> AsyncIterator[Api]:
    given = {"etcd_endpoints": etcd.options.endpoints, "console_port": 0}
    async with manager(tmp_path / "manager", **given) as connection:
        yield connection


def _filled(path: str) -> str:
    return re.sub(r"\{([a-z_]+)\}", lambda found: NAMES[found[1]], path)


async def _asked(client: httpx.AsyncClient, row: Route, path: str) -> int:
    """Ask with a body that is never right, so that nothing is done; the status of the answer."""
    headers = {"sec-fetch-site": "same-origin", "content-type": "text/garbage"}
    request = client.build_request(
        row.method, path, content=b"{" if row.unsafe else None, headers=headers
    )
    answer = await client.send(request, stream=True)  # events have no end
    await answer.aclose()
    return answer.status_code


def _addresses(row: Route) -> list[str]:
    path = _filled(row.path)
    return [path] if row.look is None else [path, LIVE if path == "/" else LIVE + path]


@pytest.mark.proves("S12", "B101")
async def test_each_role_with_each_reach_comes_where_it_may_and_nowhere_else(api: Api) -> None:
    await api.create_cluster("c1")
    await api.commit(add_machine("mx1", "Main_Group"), cluster="c1")
    found, expected = set(), set()
    for role, (where, reach) in itertools.product(Role, REACHES.items()):
        name = f"{role}-{where}".replace(" ", "-")
        await make_user(api, name, str(role), reach)
        async with visitor(api, await logged_in(api, name, PASSWORD)) as browser:
            for row in GUARDED:
                assert isinstance(row.permission, str)
                far = where in ENOUGH.get(needs_of(row.permission), {"everywhere"})
                for path in _addresses(row):
                    cell = (row.method, path, name)
                    if role >= role_for(row.permission) and far:
                        expected.add(cell)
                    status = await _asked(browser.client, row, path)
                    assert status != 500, cell
                    if status not in (303, 401, 403) or (status == 303 and path == "/go"):
                        found.add(cell)
    assert (sorted(expected - found), sorted(found - expected)) == ([], [])


async def _token(api: Api, session: str, label: str) -> str:
    async with client_channel(f"127.0.0.1:{api.ports.operators}", api.authority.ca_pem) as channel:
        made = await of_people(channel).CreateApiToken(
            people_pb2.CreateApiTokenRequest(label=label, role="read-only"),
            metadata=(("authorization", f"Bearer {session}"),),
        )
    return made.secret


@pytest.mark.proves("B101")
async def test_nobody_comes_in_by_what_is_not_good(api: Api) -> None:
    """Not by nothing, a flipped letter, an ended session, a token at a page, two cookies."""
    await api.create_cluster("c1")
    for name in ("sue", "end", "old", "off"):
        await make_user(api, name)
    good, ended, old, gone = [
        await logged_in(api, name, PASSWORD) for name in ("sue", "end", "old", "off")
    ]
    token = await _token(api, good, "ci")
    people = of_people(api.channel)
    await people.EndSessions(people_pb2.EndSessionsRequest(user="end"))
    await people.SetRole(people_pb2.SetRoleRequest(name="old", role="operator"))
    await people.DeleteUser(people_pb2.DeleteUserRequest(name="off"))
    flipped = good[:-1] + ("x" if good[-1] != "x" else "y")
    cookies = ["", flipped, ended, old, gone, token[:-1]]
    for secret in cookies:
        async with visitor(api, secret) as browser:
            for row in GUARDED:
                status = await _asked(browser.client, row, _filled(row.path))
                assert status == (401 if row.of_api else 303), (row.path, secret)
    two = {"cookie": f"{COOKIE}={good}; {COOKIE}={flipped}"}
    async with visitor(api) as browser:
        assert (await browser.get("/me", **two)).status_code == 303
        at_a_page = {"authorization": f"Bearer {good}"}
        assert (await browser.get("/me", **at_a_page)).status_code == 303
    async with visitor(api, token, token=True) as program:
        assert (await program.json("/me"))["means"] == "API token"
        assert (await program.get("/me")).status_code == 303, "a page is for people"
        refused = await program.client.post("/api/v1/clusters/c1/commits", content=b"{")
        assert refused.status_code == 403, "the token is narrower than its user"
    shown = await api.audit.ListEntries(audit_pb2.ListEntriesRequest())
    refusals = {each.operation for each in shown.entries if each.outcome == "refused"}
    assert "changes.commit" in refusals


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"permission": ""}, "has no permission"),
        ({"permission": "no.such"}, "has no permission"),
        ({"path": "/api/v1/x", "permission": Open.LOGIN, "gives": OpenApi}, "open to anybody"),
        ({"path": "/api/v1/x"}, "does not say what it answers"),
        ({"path": "/", "look": None}, "2 routes are GET /"),
    ],
)
def test_a_route_without_a_permission_does_not_start(wrong: dict[str, Any], said: str) -> None:
    row = next(row for row in TABLE if row.path == "/")
    check_routes((*TABLE, replace(row, path="/x")))
    with pytest.raises(PermissionTableError, match=said):
        check_routes((*TABLE, replace(row, **{"path": "/x", **wrong})))


CHANGING = {
    "/logout": "people.end_sessions",
    "/c/{cluster}/settings": "drafts.change",
    "/c/{cluster}/g/{group}/settings": "drafts.change",
    "/c/{cluster}/m/{machine}/settings": "drafts.change",
    "/c/{cluster}/settings/reset": "drafts.change",
    "/c/{cluster}/g/{group}/settings/reset": "drafts.change",
    "/c/{cluster}/m/{machine}/settings/reset": "drafts.change",
    "/c/{cluster}/m/{machine}/suspend": "suspensions.suspend",
    "/c/{cluster}/m/{machine}/resume": "suspensions.resume",
    "/c/{cluster}/changes": "drafts.change",
    "/c/{cluster}/changes/commit": "changes.commit",
    "/api/v1/levels/{level}/{name}/settings": "changes.commit",
    "/api/v1/clusters/{cluster}/plans": "changes.plan",
    "/api/v1/clusters/{cluster}/commits": "changes.commit",
}
"""Written out, not read from the table: what may change something, and what it needs."""


def test_what_may_change_something_needs_the_permission_for_it() -> None:
    assert {row.path: row.permission for row in GUARDED if row.unsafe} == CHANGING


def test_only_what_must_be_is_open() -> None:
    opened = {(row.method, row.path) for row in TABLE if isinstance(row.permission, Open)}
    both = {(method, path) for method in ("GET", "POST") for path in ("/login", "/setup")}
    assert opened == both | {("GET", "/static/{name}")}
    assert {row.permission for row in GUARDED} <= set(PERMISSIONS)
