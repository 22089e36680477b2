"""What pages say: whom a plan reaches, where a level is, whose request it is, how values change."""

from __future__ import annotations

import pytest
from tdc.manager.levels.changes import AddGroup, AddMachine, SetValues
from tdc.manager.levels.edit import apply_edits
from tdc.manager.levels.fleet import Cluster, LevelKey, StoredSettings
from tdc.manager.levels.plan import make_plan
from tdc.manager.web.answers import Cell
from tdc.manager.web.blast import disabled_machines, grouped, sentences
from tdc.manager.web.drawing import cell_markup, changed_cells, query_with
from tdc.manager.web.headers import COOKIE, cookie_with, from_elsewhere, own_address, secret_of
from tdc.manager.web.places import Place
from tdc.manager.web.values import shown, shown_at
from tdc.manager.web.words import ago, counted, lasting, listed, moment
from tdc.shared.settings.values import Level, Settings

INTAKE: dict[str, bool | str] = {"enabled": True, "intake_address": "journal@intake.example"}


def _set(level: Level, name: str, **values: bool | str) -> SetValues:
    return SetValues(LevelKey(level, name), Settings.of(values))


def _fleet(*edits: SetValues) -> Cluster:
    """mx1 and mx2 in Main_Group, mx3 in eu, all of emea, which copies."""
    empty = Cluster("emea", 1, StoredSettings(Settings(), {}), {}, {})
    made = apply_edits(
        empty,
        [
            AddGroup("Main_Group"),
            AddGroup("eu"),
            AddMachine("mx1", "Main_Group"),
            AddMachine("mx2", "Main_Group"),
            AddMachine("mx3", "eu"),
            _set(Level.CLUSTER, "emea", **INTAKE),
            *edits,
        ],
    )
    return made.cluster


OFF = _set(Level.MACHINE, "mx1", enabled=False)
EU_ON = _set(Level.GROUP, "eu", enabled=True)


@pytest.mark.proves("P2")
def test_who_disables_one_machine_is_told_whom_it_reaches() -> None:
    assert sentences(make_plan(_fleet(EU_ON), [OFF])) == [
        "Disabling mx1 also disables group Main_Group and cluster emea.",
        "mx1 and mx2 stop copying.",
        "mx3 goes on: its group eu says on.",
    ]
    own = _set(Level.MACHINE, "mx2", enabled=True)
    assert sentences(make_plan(_fleet(own), [OFF]))[1:] == [
        "mx1 and mx3 stop copying.",
        "mx2 goes on: its own setting says on.",
    ]


def test_what_reaches_no_other_level_is_not_said_to() -> None:
    at_group = make_plan(_fleet(), [_set(Level.GROUP, "Main_Group", enabled=False)])
    assert sentences(at_group) == ["mx1 and mx2 stop copying."]
    assert disabled_machines(at_group) == ()
    assert disabled_machines(make_plan(_fleet(), [OFF])) == ("mx1",)
    again = make_plan(_fleet(OFF), [_set(Level.MACHINE, "mx2", enabled=False)])
    assert sentences(again) == ["No machine stops copying: none of them copies now."]


def test_machines_with_the_same_change_are_together() -> None:
    (one,) = grouped(make_plan(_fleet(), [_set(Level.CLUSTER, "emea", **{"log.level": "debug"})]))
    assert (one.setting, one.before, one.after) == ("log.level", "info", "debug")
    assert one.machines == ("mx1", "mx2", "mx3")


def test_a_place_is_its_address() -> None:
    assert Place("emea").page("settings") == "/c/emea/settings"
    assert Place("emea", "eu").page("delivery") == "/c/emea/g/eu/delivery"
    assert Place("emea", machine="mx1").page("machines") == "/c/emea/m/mx1"
    assert Place("a/b?c#d").address == "/c/a%2Fb%3Fc%23d"


@pytest.mark.parametrize(
    ("headers", "cookie", "good"),
    [
        ({"sec-fetch-site": "same-origin"}, True, True),
        ({"sec-fetch-site": "none"}, True, True),
        ({"sec-fetch-site": "same-site"}, True, False),
        ({"sec-fetch-site": "", "origin": "https://a.example", "host": "a.example"}, True, False),
        ({"origin": "https://A.example:7446", "host": "a.example:7446"}, True, True),
        ({"origin": "https://a.example", "host": "a.example:7446"}, True, False),
        ({"origin": "null", "host": ""}, True, False),
        ({"origin": "https://", "host": ""}, True, False),
        ({"origin": "http://a.example", "host": "a.example"}, True, False),
        ({}, True, False),
        ({}, False, True),
    ],
)
def test_whose_request_it_is(headers: dict[str, str], cookie: bool, good: bool) -> None:
    assert (from_elsewhere(headers, cookie=cookie) == "") is good


def test_a_cookie_is_read_as_it_was_given() -> None:
    given = cookie_with("tdc_s_x").partition(";")[0]
    assert secret_of({"cookie": f"a=b; {given}; c"}) == "tdc_s_x"
    assert secret_of({"cookie": f"{given}; {COOKIE}=other"}) == ""
    assert secret_of({"cookie": f"x{given}"}) == ""
    assert secret_of({}) == ""


@pytest.mark.parametrize("address", ["/", "/c/emea/settings?a=b", "/c/%2F%2Fx"])
def test_an_own_address_stays(address: str) -> None:
    assert own_address(address) == address


@pytest.mark.parametrize("address", ["", "x", "//x", "/\\x", "/a\\b", "/a\nb", "/" + "a" * 2_000])
def test_no_other_address_is_gone_to(address: str) -> None:
    assert own_address(address) == "/"


def test_only_what_is_another_now_is_sent() -> None:
    before = {"a": Cell("1"), "b": Cell("2", "ok")}
    after = {"a": Cell("1"), "b": Cell("2", "bad"), "c": Cell("3")}
    assert changed_cells(before, after) == {"b": ["2", "bad"], "c": ["3", ""]}


def test_what_machines_wrote_is_text() -> None:
    drawn = cell_markup('x"y', Cell("<b>&", "ok"))
    assert drawn == '<span class="cell s-ok" data-cell="x&#34;y">&lt;b&gt;&amp;</span>'


def test_words() -> None:
    assert listed(()) == ""
    assert listed(("a",)) == "a"
    assert listed(("a", "b", "c")) == "a, b and c"
    assert listed(tuple("abcdefgh"), 3) == "a, b, c and 5 more"
    assert (counted(1, "machine"), counted(1_200, "machine")) == ("1 machine", "1,200 machines")
    assert moment(1_795_000_000) == "18 Nov 2026 11:06:40 (GMT +00:00)"
    assert moment(None) == ago(None, 0) == "-"
    spans = [lasting(0, at) for at in (0, 59, 60, 119, 120, 7_200)]
    assert spans == ["under 1 min", "under 1 min", "1 min", "1 min", "2 min", "2 h"]
    assert shown("enabled", value=True) == "On"
    assert (shown("incoming_domains", ()), shown("intake_address", None)) == ("empty", "none")
    assert shown_at("enabled", None) == "inherit"
    assert query_with({"q": "a b", "state": ""}, state="in sync") == "?q=a+b&state=in+sync"
