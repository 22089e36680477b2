"""The console's pages over a real port: log in, look, draft, commit; and what it refuses."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from tdc.manager import setup_address
from tdc.manager.intent.first_user import LASTS
from tdc.manager.people import totp
from tdc.manager.rpc.operators import BEARER
from tdc.manager.setup_address import offered
from tdc.manager.web.headers import COOKIE
from tdc.shared.edge.clock import wall
from tdc.shared.edge.grpc_tls import client_channel
from tdc.v1 import audit_pb2, people_pb2

from tests.fakes.etcd import ExternalEtcd
from tests.stage.console import PASSWORD, Visitor, hidden, make_user, text_of, visitor
from tests.stage.manager import (
    Api,
    add_group,
    add_machine,
    logged_in,
    manager,
    of_people,
    options_for,
    put,
)


@pytest.fixture
async def api(tmp_path: Path, etcd: ExternalEtcd) -> AsyncIterator[Api]:
    given = {"etcd_endpoints": etcd.options.endpoints, "console_port": 0}
    async with manager(tmp_path / "manager", **given) as connection:
        yield connection


@pytest.fixture
async def fleet(api: Api) -> Api:
    """mx1 and mx2 follow the cluster; mx3 is in a group that says on."""
    await api.create_cluster("emea")
    await api.commit(add_group("eu"), cluster="emea")
    await api.commit(
        add_machine("mx1", "Main_Group"),
        add_machine("mx2", "Main_Group"),
        add_machine("mx3", "eu"),
        cluster="emea",
    )
    await api.commit(
        put("cluster", "emea", enabled=True, intake_address="journal@intake.example"),
        put("group", "eu", "emea", enabled=True),
        comment="enable",
    )
    await make_user(api, "maria")
    return api


async def _as(api: Api, name: str = "maria") -> str:
    return await logged_in(api, name, PASSWORD)


async def test_one_logs_in_goes_on_where_one_wanted_to_and_logs_out(fleet: Api) -> None:
    async with visitor(fleet) as browser:
        asked = await browser.get("/c/emea/machines?state=offline")
        assert asked.status_code == 303
        at = httpx.URL(asked.headers["location"])
        assert at.path == "/login"
        assert at.params["next"] == "/c/emea/machines?state=offline"
        page = await browser.get(str(at))
        done = await browser.log_in("maria", next=hidden(page.text, "next").replace("&amp;", "&"))
        assert (done.status_code, done.headers["location"]) == (
            303,
            "/c/emea/machines?state=offline",
        )
        cookie = done.headers["set-cookie"]
        assert cookie.startswith(f"{COOKIE}=tdc_s_")
        assert set(cookie.split("; ")[1:]) == {"Path=/", "Secure", "HttpOnly", "SameSite=Lax"}
        assert (await browser.get("/")).status_code == 200
        assert "maria" in text_of((await browser.get("/me")).text)
        out = await browser.post("/logout")
        assert "Max-Age=0" in out.headers["set-cookie"]
        browser.client.headers["cookie"] = cookie.split("; ")[0]
        assert (await browser.get("/")).status_code == 303, (
            "the session has ended, not only its cookie"
        )


async def test_who_has_one_time_codes_is_asked_for_one(fleet: Api) -> None:
    shown = (("authorization", f"{BEARER}{await _as(fleet)}"),)
    operators = f"127.0.0.1:{fleet.ports.operators}"
    async with client_channel(operators, fleet.authority.ca_pem) as channel:
        people = of_people(channel)
        made = await people.SetSecondFactor(people_pb2.SetSecondFactorRequest(), metadata=shown)
        raw, step = totp.secret_read(made.secret), int(wall()) // totp.STEP
        taken = people_pb2.SetSecondFactorRequest(
            secret=made.secret, code=totp.code_at(raw, step - 1), password=PASSWORD
        )
        await people.SetSecondFactor(taken, metadata=shown)
    async with visitor(fleet) as browser:
        asked = await browser.log_in("maria", next="/me")
        assert (asked.status_code, "set-cookie" in asked.headers) == (401, False)
        assert "The password is right. You have one-time codes" in text_of(asked.text)
        assert hidden(asked.text, "next") == "/me"
        done = await browser.log_in("maria", code=totp.code_at(raw, step), next="/me")
        assert (done.status_code, done.headers.get("location")) == (303, "/me")


async def test_a_wrong_password_says_nothing_of_who_there_is_and_waits_grow(fleet: Api) -> None:
    async with visitor(fleet) as browser:
        wrong = await browser.log_in("maria", "nonsense nonsense")
        nobody = await browser.log_in("nobody", "nonsense nonsense")
        assert wrong.status_code == nobody.status_code == 401
        assert text_of(wrong.text) == text_of(nobody.text)
        assert "set-cookie" not in wrong.headers
        for _ in range(6):
            last = await browser.log_in("maria", "nonsense nonsense")
        assert last.status_code == 429
        assert "too many logins failed" in last.text.lower()
        assert (await browser.log_in("maria")).status_code == 429, "nor the right one meanwhile"
    shown = await fleet.audit.ListEntries(audit_pb2.ListEntriesRequest())
    assert "people.log_in" in {each.operation for each in shown.entries}


@pytest.mark.parametrize(
    "next_address",
    [
        "//evil.example/",
        "/\\evil.example",
        "https://evil.example",
        "javascript:alert(1)",
        "/a\r\nb",
    ],
)
@pytest.mark.proves("B104")
async def test_a_login_goes_on_to_this_console_alone(fleet: Api, next_address: str) -> None:
    async with visitor(fleet) as browser:
        done = await browser.log_in("maria", next=next_address)
        assert (done.status_code, done.headers["location"]) == (303, "/")


@pytest.mark.proves("B100")
async def test_what_other_sites_send_is_refused(fleet: Api) -> None:
    own = f"https://127.0.0.1:{fleet.ports.console}"
    async with visitor(fleet, await _as(fleet)) as browser:
        for headers, good in (
            ({"sec-fetch-site": "same-origin"}, True),
            ({"sec-fetch-site": "none"}, True),
            ({"origin": own}, True),
            ({"sec-fetch-site": "cross-site"}, False),
            ({"sec-fetch-site": "same-site"}, False),
            ({"sec-fetch-site": "cross-site", "origin": own}, False),
            ({"origin": "https://evil.example"}, False),
            ({"origin": "null"}, False),
            ({}, False),
        ):
            sent = await browser.client.post(
                "/c/emea/m/mx1/suspend", data={"what": "copying", "reason": "x"}, headers=headers
            )
            assert (sent.status_code == 303) is good, (headers, sent.status_code)
    async with visitor(fleet) as browser:
        assert (
            await browser.client.post("/login", data={"name": "a", "password": "b"})
        ).status_code == 401


@pytest.mark.proves("B100")
async def test_nothing_is_changed_by_looking(fleet: Api) -> None:
    async with visitor(fleet, await _as(fleet)) as browser:
        for path in ("/logout", "/c/emea/m/mx1/suspend", "/c/emea/changes/commit"):
            assert (await browser.get(path)).status_code == 405


async def test_every_answer_has_the_headers(fleet: Api) -> None:
    async with visitor(fleet, await _as(fleet)) as browser:
        page = await browser.get("/")
        style = page.text.split('rel="stylesheet" href="')[1].split('"')[0]
        paths = ("/", "/nope", "/c/nix/settings", "/api/v1/clusters", "/api/v1/nope", style)
        for path in paths:
            headers = (await browser.get(path)).headers
            assert "default-src 'none'" in headers["content-security-policy"], path
            assert "unsafe" not in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["x-frame-options"] == "DENY"
            assert ("immutable" in headers["cache-control"]) is (path == style), path
            assert "server" not in headers
        for gone in ("/static/../app.py", "/static/..%2fapp.py", "/static/console.css", "/static/"):
            assert (await browser.get(gone)).status_code == 404


async def test_the_settings_say_what_is_in_force_and_from_where(fleet: Api) -> None:
    await fleet.commit(put("machine", "mx3", "emea", retry__initial=300))
    async with visitor(fleet, await _as(fleet)) as browser:
        machine = text_of((await browser.get("/c/emea/m/mx3/settings")).text)
        assert "from group eu" in machine
        assert "from cluster emea" in machine
        assert "5m 60s default" in machine.replace("In force", ""), "what the override hides"
        cluster = text_of((await browser.get("/c/emea/settings")).text)
        assert "overridden on 1 of 3 machines" in cluster


@pytest.mark.proves("P2")
async def test_who_disables_a_machine_reads_what_follows_before_it_is_done(fleet: Api) -> None:
    async with visitor(fleet, await _as(fleet)) as browser:
        sent = await browser.post(
            "/c/emea/m/mx1/settings", **{"was.enabled": "inherit", "mode.enabled": "false"}
        )
        assert sent.headers["location"] == "/c/emea/changes"
        assert await fleet.enabled("mx1"), "nothing counts before the commit"
        page = (await browser.get("/c/emea/changes")).text
        said = text_of(page)
        assert "Disabling mx1 also disables group Main_Group and cluster emea." in said
        assert "mx1 and mx2 stop copying." in said
        assert "mx3 goes on: its group eu says on." in said
        assert "Suspend mx1 instead" in said
        assert "2 machines stop copying" in said
        done = await browser.post(
            "/c/emea/changes/commit",
            fingerprint=hidden(page, "fingerprint"),
            request_id=hidden(page, "request_id"),
            comment="out",
        )
        assert done.headers["location"] == "/c/emea/changes?committed=5"
        assert not await fleet.enabled("mx1")
        assert await fleet.enabled("mx3")
        after = text_of((await browser.get("/c/emea/changes?committed=5")).text)
        assert "Revision 5 is committed" in after
        assert "No Changes Pending" in after


async def test_a_plan_that_became_another_is_not_committed(fleet: Api) -> None:
    async with visitor(fleet, await _as(fleet)) as browser:
        await browser.post(
            "/c/emea/m/mx1/settings", **{"was.enabled": "inherit", "mode.enabled": "false"}
        )
        page = (await browser.get("/c/emea/changes")).text
        await fleet.commit(add_machine("mx4", "Main_Group"), cluster="emea")
        seen = {
            "fingerprint": hidden(page, "fingerprint"),
            "request_id": hidden(page, "request_id"),
        }
        refused = await browser.post("/c/emea/changes/commit", **seen)
        assert refused.status_code == 412
        assert "Nothing was committed" in refused.text
        assert "mx1, mx2 and mx4 stop copying" in text_of(refused.text)
        assert await fleet.enabled("mx1")
        again = await browser.post(
            "/c/emea/changes/commit",
            fingerprint=hidden(refused.text, "fingerprint"),
            request_id=hidden(refused.text, "request_id"),
        )
        assert again.status_code == 303


@pytest.mark.proves("B105")
async def test_two_tabs_lose_no_edit_and_make_no_false_conflict(fleet: Api) -> None:
    """Each form sends what was changed in it, and nothing else."""
    async with visitor(fleet, await _as(fleet)) as browser:
        one = {
            "was.retry.initial": "inherit",
            "mode.retry.initial": "set",
            "value.retry.initial": "5m",
        }
        other = {"was.log.level": "inherit", "mode.log.level": "set", "value.log.level": "debug"}
        untouched = {"was.retry.initial": "inherit", "mode.retry.initial": "inherit"}
        await browser.post("/c/emea/settings", **one)
        await browser.post("/c/emea/settings", **other, **untouched)
        said = text_of((await browser.get("/c/emea/changes")).text)
        assert "retry.initial inherit 5m ready" in said
        assert "log.level inherit debug ready" in said


async def test_a_wrong_value_stays_in_its_field_and_nothing_is_drafted(fleet: Api) -> None:
    async with visitor(fleet, await _as(fleet)) as browser:
        sent = await browser.post(
            "/c/emea/settings",
            **{
                "was.retry.initial": "inherit",
                "mode.retry.initial": "set",
                "value.retry.initial": '5"<',
            },
        )
        assert sent.status_code == 422
        assert 'value="5&#34;&lt;"' in sent.text
        assert "must be a duration" in sent.text
        assert "No Changes Pending" in sent.text


@pytest.mark.proves("B103")
async def test_what_others_wrote_is_text(fleet: Api) -> None:
    evil = "<script>alert(1)</script>\"' onload=x \u202e"
    await fleet.commit(put("cluster", "emea", retry__initial=120), comment=evil)
    async with visitor(fleet, await _as(fleet)) as browser:
        page = (await browser.get("/")).text
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
        missing = await browser.get("/c/%3Cscript%3Ealert(1)%3C%2Fscript%3E/settings")
        assert missing.status_code == 404
        assert "<script>alert" not in missing.text


async def test_a_page_says_what_it_does_not_know_and_where_nothing_is(api: Api) -> None:
    await make_user(api, "maria")
    async with visitor(api, await _as(api)) as browser:
        assert "tdc cluster create NAME" in (await browser.get("/")).text
        await api.create_cluster("c1")
        assert "There are no machines here yet" in (await browser.get("/c/c1/machines")).text
        delivery = (await browser.get("/c/c1/delivery")).text
        assert "it is not known what is delivered" in delivery


async def test_pages_are_shown_while_etcd_is_away_and_changes_refused(
    fleet: Api, etcd: ExternalEtcd
) -> None:
    async with visitor(fleet, await _as(fleet)) as browser:
        await etcd.stop()
        for path in ("/", "/c/emea/machines", "/c/emea/settings", "/c/emea/m/mx1/settings"):
            page = await browser.get(path)
            assert page.status_code == 200, path
            assert "Changes unknown" in page.text, path
        sent = await browser.post("/c/emea/settings/reset", name="enabled")
        assert sent.status_code == 503
        assert "etcd" in sent.text


async def _events(browser: Visitor, path: str, count: int) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    async with asyncio.timeout(20), browser.client.stream("GET", path) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                found.append(json.loads(line[6:]))
            if len(found) == count:
                break
    return found


async def test_the_events_of_a_page_have_all_values_and_then_what_changed(fleet: Api) -> None:
    async with visitor(fleet, await _as(fleet)) as browser:
        reading = asyncio.create_task(_events(browser, "/live/c/emea/machines", 2))
        await asyncio.sleep(1.5)
        await fleet.commit(add_group("g9"), cluster="emea")
        first, second = await reading
        cells = first["cells"]
        assert isinstance(cells, dict)
        assert cells["mx1.runs"] == ["- of 4", "warn"]
        changed = second["cells"]
        assert isinstance(changed, dict)
        assert set(changed) == {"mx1.runs", "mx2.runs", "mx3.runs"}


async def test_events_end_with_the_session_and_are_for_who_may(fleet: Api) -> None:
    secret = await _as(fleet)
    async with visitor(fleet) as nobody:
        assert (await nobody.get("/live/c/emea/machines")).status_code == 401
    async with visitor(fleet, secret) as browser:
        reading = asyncio.create_task(_events(browser, "/live/c/emea/machines", 2))
        await asyncio.sleep(1.5)
        await browser.post("/logout")
        last = (await reading)[-1]
        assert "session" in str(last["reason"])


def _setup_address(folder: Path) -> str:
    """As `tdc-manager init` makes one; its path and query."""
    options = options_for(folder, console_port=0)
    return str(httpx.URL(offered(options).replace(":PORT", "")).raw_path, "ascii")


async def test_the_first_user_is_made_once_by_the_address_that_was_printed(
    api: Api, tmp_path: Path
) -> None:
    async with visitor(api) as browser:
        assert (await browser.get("/setup?key=")).status_code == 404, "no address was made"
        at = _setup_address(tmp_path / "manager")
        assert (await browser.get("/setup?key=x")).status_code == 404
        key = hidden((await browser.get(at)).text, "key")
        typed = {"name": "maria", "password": PASSWORD, "again": PASSWORD}
        assert (await browser.post("/setup", key=key[:-1], **typed)).status_code == 404
        assert (await browser.post("/setup", key=key, **{**typed, "again": "x"})).status_code == 422
        short = {**typed, "password": "short", "again": "short"}
        assert (await browser.post("/setup", key=key, **short)).status_code == 422
        done = await browser.post("/setup", key=key, **typed)
        assert (done.status_code, done.headers["location"]) == (303, "/")
        browser.client.headers["cookie"] = done.headers["set-cookie"].partition(";")[0]
        assert "administrator" in (await browser.get("/me")).text
        for path in (at, _setup_address(tmp_path / "manager")):
            assert (await browser.get(path)).status_code == 404, "there is an administrator"
        again = await browser.post("/setup", key=key, **{**typed, "name": "eve"})
        assert again.status_code == 404
    shown = await api.audit.ListEntries(audit_pb2.ListEntriesRequest())
    (made,) = [each for each in shown.entries if each.operation == "people.create_user"]
    assert (made.who, made.means) == ("set-up address", "set-up address")


async def test_a_set_up_address_ends(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = wall()
    monkeypatch.setattr(setup_address, "wall", lambda: now - LASTS - 1)
    at = _setup_address(tmp_path / "manager")
    async with visitor(api) as browser:
        assert (await browser.get(at)).status_code == 404


async def test_a_reach_hides_what_is_beyond_it(fleet: Api) -> None:
    reach = people_pb2.Reach(groups=[people_pb2.GroupName(cluster="emea", group="eu")])
    await make_user(fleet, "gus", "operator", reach)
    async with visitor(fleet, await _as(fleet, "gus")) as browser:
        page = (await browser.get("/c/emea/machines")).text
        assert "mx3" in page
        assert "mx1" not in page
        assert (await browser.get("/c/emea/m/mx1")).status_code == 404
        await browser.post(
            "/c/emea/m/mx3/settings", **{"was.enabled": "inherit", "mode.enabled": "false"}
        )
        said = text_of((await browser.get("/c/emea/changes")).text)
        assert "What this would do can't be said" in said
        assert "mx1" not in said
