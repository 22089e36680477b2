"""Settings as typed and shown: what is shown can be typed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tdc.shared.settings.schema import SettingError
from tdc.shared.settings.text import parse_text, render
from tdc.shared.settings.values import NONE, Policy, PolicyAction, Value, same_value

from tests.pure.setting_values import named_values, names


@given(named_values)
def test_what_is_shown_can_be_typed(named: tuple[str, Value]) -> None:
    name, value = named
    assert same_value(parse_text(name, render(name, value)), value)


@given(
    names, st.text(max_size=30) | st.text(alphabet='0123456789smhdkKiB.,-+e []{}":', max_size=12)
)
def test_any_text_is_read_or_refused_in_one_sentence(name: str, text: str) -> None:
    refusal = ""
    try:
        value = parse_text(name, text)
    except SettingError as error:
        refusal = str(error)
    if refusal:
        assert refusal.startswith(f"{name}: ")
    else:
        assert same_value(parse_text(name, render(name, value)), value)


READ: list[tuple[str, str, Value]] = [
    ("enabled", "true", True),
    ("enabled", "Yes", True),
    ("enabled", "ON", True),
    ("enabled", "no", False),
    ("enabled", "off", False),
    ("retry.initial", "60s", 60),
    ("retry.initial", "5m", 300),
    ("retry.initial", "1h", 3_600),
    ("retry.lifetime", "3d", 259_200),
    ("spool.max_bytes", "10GiB", 10 * 1024**3),
    ("spool.max_bytes", "10gb", 10 * 1024**3),
    ("spool.max_bytes", "1k", 1_024),
    ("spool.max_bytes", "1024B", 1_024),
    ("max_message_size", "100MiB", 100 * 1024**2),
    ("max_message_size", "512B", 512),
    ("spool.max_messages", "500000", 500_000),
    ("incoming_domains", "a.example, b.example", ("a.example", "b.example")),
    ("incoming_domains", "", ()),
    ("smtp_route", "usedns", ("usedns",)),
    ("smtp_route", "mx1.example:25,[::1]", ("mx1.example:25", "[::1]")),
    ("intake_address", " Journal@Intake.example ", "Journal@intake.example"),
    ("report_from", "none", NONE),
    ("remote_ip_header", " None ", NONE),
    (
        "policies",
        '[{"name": "hr", "action": "no-scan", "recipients": ["hr@corp.example"]}]',
        (Policy("hr", PolicyAction.NO_SCAN, (), ("hr@corp.example",)),),
    ),
    ("policies", "[]", ()),
]


@pytest.mark.parametrize(("name", "text", "value"), READ)
def test_people_may_type_it_so(name: str, text: str, value: Value) -> None:
    assert same_value(parse_text(name, text), value)


REFUSED: list[tuple[str, str, str]] = [
    ("enabled", "maybe", "must be one of true, yes, on, false, no, off"),
    ("enabled", "", "must be one of"),
    ("enabled", "1", "must be one of"),
    ("retry.initial", "5", "'5' has no unit: it must be a duration such as 90s or 1h; units"),
    ("spool.max_bytes", "1024", "has no unit: it must be a size such as 100MiB"),
    ("retry.initial", "5 m", "must be a duration such as 90s or 1h; units are s, m, h, d"),
    ("retry.initial", "-1s", "must be a duration"),
    ("retry.initial", "NaN", "must be a duration"),
    ("retry.initial", "1.1", "must be a duration"),
    ("retry.initial", "1e9d", "must be a duration"),
    ("retry.initial", "inf", "must be a duration"),
    ("retry.initial", "5w", "must be a duration"),
    ("retry.initial", "", "must be a duration"),
    ("retry.initial", "\u0665m", "must be a duration"),
    ("retry.initial", "1_0", "must be a duration"),
    ("retry.initial", "9" * 10_000, "must be a duration"),
    ("retry.initial", "2d", "retry.initial: 2d is out of range: must be 1s to 24h"),
    ("spool.max_bytes", "0B", "spool.max_bytes: 0B is out of range: must be 1B or more"),
    ("spool.max_messages", "0", "0 is out of range: must be 1 to 100000000"),
    ("spool.max_bytes", "10", "units are B, KiB, MiB, GiB, TiB"),
    ("spool.max_bytes", "10", "10GB means 10GiB"),
    ("smtp_route", "none", "there is always a route: usedns, or a list"),
    ("smtp_route", "mx1.example,None", "there is always a route"),
    ("smtp_route", "", "there is always a route"),
    ("incoming_domains", "none", "an empty list is typed as incoming_domains= with nothing after"),
    ("tls.pins", "NONE", "an empty list is typed as tls.pins="),
    ("policies", "none", "for no policies type policies=[]"),
    ("policies", "", "for no policies type policies=[]"),
    ("tls.names", ".example", "'.example' is not a name in a certificate"),
    ("spool.max_bytes", "10 GiB", "must be a size such as 100MiB; units are"),
    ("spool.max_bytes", "10XB", "must be a size"),
    ("spool.max_bytes", "0x10", "must be a size"),
    ("spool.max_messages", "5k", "must be a whole number"),
    ("incoming_domains", "a.example,,b.example", "an empty entry between commas"),
    ("incoming_domains", ",", "an empty entry"),
    ("tls.minimum_version", "1.1", "must be one of 1.2, 1.3"),
    ("policies", "no-scan", "must be a JSON list of policies such as"),
    ("policies", '[{"name": "p", "name": "q"}]', "has a field twice"),
    ("policies", "[" * 100_000, "must be a JSON list"),
    ("policies", "NaN", "not a list of policies"),
    ("report_from", "", "the value is empty; write none"),
    ("tls.verification", "none", "must be one of webpki, pinned"),
    ("enable", "true", "did you mean enabled"),
    ("intake_adress", "a@b.example", "did you mean intake_address?"),
]


@pytest.mark.parametrize(("name", "text", "says"), REFUSED, ids=lambda text: ascii(text)[:30])
@pytest.mark.proves("B95")
def test_what_could_be_meant_otherwise_is_refused(name: str, text: str, says: str) -> None:
    with pytest.raises(SettingError) as caught:
        parse_text(name, text)
    assert says in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("retry.initial", 60, "60s"),
        ("retry.initial", 300, "5m"),
        ("retry.initial", 90, "90s"),
        ("retry.maximum", 3_600, "1h"),
        ("retry.lifetime", 259_200, "72h"),
        ("retry.lifetime", 604_800, "7d"),
        ("spool.max_bytes", 10 * 1024**3, "10GiB"),
        ("spool.max_bytes", 1_000, "1000B"),
        ("enabled", False, "false"),
        ("incoming_domains", ("a.example", "b.example"), "a.example,b.example"),
        ("incoming_domains", (), ""),
        ("smtp_route", ("usedns",), "usedns"),
        ("intake_address", None, "-"),
        ("intake_address", NONE, "none"),
        ("policies", (), "[]"),
    ],
)
def test_values_are_shown_as_people_say_them(name: str, value: Value | None, text: str) -> None:
    assert render(name, value) == text
