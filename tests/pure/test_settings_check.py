"""What a value of each setting may be; plain, canonical and wire forms read back as they were."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tdc.shared.settings.canonical import canonical_bytes, content_hash, plain, plain_settings
from tdc.shared.settings.check import check_value, checked
from tdc.shared.settings.schema import SettingError
from tdc.shared.settings.values import Policy, PolicyAction, Settings, Value, same_value
from tdc.shared.wire.settings import settings_from_wire, settings_to_wire
from tdc.v1 import settings_pb2

from tests.pure.setting_values import any_settings, named_values, names

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.binary(max_size=5),
)
anything = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.text(max_size=8), st.integers()), inner, max_size=3),
        st.fixed_dictionaries(
            {"name": st.just("p"), "action": inner},
            optional={"senders": inner, "recipients": inner, "intake_address": inner},
        ),
    ),
    max_leaves=6,
)


@given(named_values)
def test_a_value_in_its_normal_form_is_taken_as_it_is(named: tuple[str, Value]) -> None:
    name, value = named
    assert same_value(check_value(name, value), value)


@given(names, anything)
def test_any_object_is_taken_in_a_settled_form_or_refused_in_a_short_sentence(
    name: str, given_value: object
) -> None:
    """Doubtful input never ends in another exception, and is never echoed at length."""
    refusal = ""
    try:
        value = check_value(name, given_value)
    except SettingError as error:
        refusal = str(error)
    if refusal:
        assert refusal.startswith(f"{name}: ")
        assert len(refusal) < 500
    else:
        assert same_value(check_value(name, value), value)


@given(any_settings)
def test_the_plain_form_survives_json_and_reads_back(settings: Settings) -> None:
    assert checked(json.loads(json.dumps(plain_settings(settings)))) == settings


@given(any_settings)
def test_the_wire_form_reads_back_presence_included(settings: Settings) -> None:
    message = settings_pb2.Settings.FromString(settings_to_wire(settings).SerializeToString())
    assert settings_from_wire(message) == settings


@given(any_settings, any_settings)
def test_canonical_bytes_and_hash_are_equal_exactly_where_the_settings_are(
    one: Settings, other: Settings
) -> None:
    assert (canonical_bytes(one) == canonical_bytes(other)) == (one == other)
    assert (content_hash(one) == content_hash(other)) == (one == other)


@given(any_settings)
def test_the_canonical_form_does_not_depend_on_the_order_of_names(settings: Settings) -> None:
    assert canonical_bytes(dict(reversed(list(settings.items())))) == canonical_bytes(settings)


def test_a_field_from_a_newer_sender_is_refused_not_ignored() -> None:
    unknown = settings_pb2.Settings.FromString(b"\x08\x01" + b"\xf8\x3f\x01")  # field 1023
    assert unknown.enabled
    with pytest.raises(SettingError, match="does not know"):
        settings_from_wire(unknown)


def test_a_field_from_a_newer_sender_inside_a_policy_is_refused_too() -> None:
    inner = settings_pb2.Policy(name="p", action="no-scan", senders=["a.example"])
    raw = inner.SerializeToString() + b"\xf8\x3f\x01"
    policies = b"\x0a" + bytes([len(raw)]) + raw
    message = settings_pb2.Settings.FromString(b"\x22" + bytes([len(policies)]) + policies)
    assert message.policies.items[0].name == "p"
    with pytest.raises(SettingError, match="does not know"):
        settings_from_wire(message)


def test_values_on_the_wire_are_checked() -> None:
    with pytest.raises(SettingError, match=r"tls.minimum_version: '1.1' must be one of 1.2, 1.3"):
        settings_from_wire(settings_pb2.Settings(tls_minimum_version="1.1"))


def policy(**fields: object) -> list[dict[str, object]]:
    return [{"name": "p", "action": "no-scan", "recipients": ["a.example"]} | fields]


REFUSED: list[tuple[str, object, str]] = [
    ("enable", True, "unknown setting 'enable'; did you mean enabled"),
    ("", True, "unknown setting ''; valid names are enabled"),
    ("enabled", "true", "not true or false"),
    ("enabled", 1, "not true or false"),
    ("enabled", 10**10_000, "this int is not true or false"),
    ("enabled", None, "not true or false"),
    ("retry.initial", True, "not a whole number of seconds"),
    ("retry.initial", "90s", "not a whole number of seconds; write 90"),
    ("retry.initial", "2m", "not a whole number of seconds; write 120"),
    ("max_message_size", "1M", "not a whole number of bytes; write 1048576"),
    ("retry.initial", 60.0, "not a whole number of seconds"),
    ("retry.initial", float("nan"), "not a whole number of seconds"),
    ("retry.initial", 0, "0 is out of range: must be 1 to 86400 seconds"),
    ("retry.initial", 86_401, "out of range"),
    ("retry.initial", 10**10_000, "this number is out of range"),
    ("delivery.max_connections", 0, "must be 1 to 1000 items"),
    ("max_message_size", -1, "out of range"),
    ("tls.minimum_version", "1.1", "must be one of 1.2, 1.3"),
    ("tls.minimum_version", "1.4", "must be one of"),
    ("tls.minimum_version", "", "must be one of"),
    ("tls.minimum_version", 1.2, "must be one of"),
    ("tls.verification", "none", "must be one of webpki, pinned"),
    ("intake_address", "journal", "not an address of the form"),
    ("intake_address", "x" * 10**6, "not an address"),
    ("remote_ip_header", "Received", "not a valid header name"),
    ("remote_ip_header", "X-A: b\r\nX-B", "not a valid header name"),
    ("incoming_domains", "corp.example", "not a list"),
    ("incoming_domains", ["corp.example", 7], "not text"),
    ("tls.pins", ["sha256:abc"], "64 hexadecimal digits"),
    ("tls.names", [".."], "'..' is not a name in a certificate"),
    ("smtp_route", [], "must be either usedns alone or a list"),
    ("smtp_route", ["usedns", "mx.example"], "must be either usedns alone or a list"),
    ("smtp_route", ["mx.example:0"], "invalid port"),
    ("smtp_route", ["mx.example:65536"], "invalid port"),
    ("smtp_route", ["mx.example:-1"], "not a valid host or host:port"),
    ("smtp_route", ["mx.example:25 "], "not a valid host or host:port"),
    ("smtp_route", ["mx.example:0x19"], "not a valid host or host:port"),
    ("smtp_route", ["mx.example:\u0662\u0665"], "not a valid host or host:port"),
    ("smtp_route", ["::1"], "brackets"),
    ("smtp_route", ["[::g]:25"], "not a valid host"),
    ("smtp_route", ["1.2.3.256"], "not a valid host"),
    ("smtp_route", ["a..b"], "not a valid host"),
    ("smtp_route", ["-a"], "not a valid host"),
    ("smtp_route", [""], "not a valid host"),
    ("policies", {}, "not a list of policies"),
    ("policies", ["no-scan"], "not a policy"),
    (
        "policies",
        policy(action="scan"),
        "policy 'p': action 'scan' must be one of no-scan, default, c",
    ),
    ("policies", policy(action=["no-scan"]), "action"),
    ("policies", policy(action=None), "policy 'p': action is missing: it must be one of no-scan"),
    ("policies", policy(name=""), "not a valid policy name"),
    ("policies", policy(name="<b>"), "not a valid policy name"),
    (
        "policies",
        policy(recipient="a.example"),
        "unknown policy field 'recipient'; valid fields are",
    ),
    ("policies", policy(recipients="a.example"), "not a list"),
    ("policies", policy(recipients=["@a.example"]), "policy 'p': '@a.example' is not an address"),
    ("policies", policy(intake_address="a@b.example"), "allowed only with action custom"),
    ("policies", policy(action="custom"), "action custom requires an intake_address"),
    ("policies", policy(action="custom", intake_address="a"), "policy 'p': 'a' is not an address"),
    ("policies", policy() + policy(), "two policies are named 'p'"),
]


def _short(value: object) -> str:
    return ascii(value)[:30] if isinstance(value, str) else type(value).__name__


@pytest.mark.parametrize(("name", "value", "says"), REFUSED, ids=_short)
@pytest.mark.proves("B95", "B97")
def test_a_bad_value_is_refused_with_what_would_be_right(
    name: str, value: object, says: str
) -> None:
    with pytest.raises(SettingError) as caught:
        check_value(name, value)
    assert says in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("name", "value", "normal"),
    [
        ("intake_address", "Journal@Intake.Example", "Journal@intake.example"),
        ("incoming_domains", ["B.example", "a.example", "b.example"], ("b.example", "a.example")),
        ("smtp_route", "usedns", ("usedns",)),
        ("smtp_route", ["MX.example:025", "[0:0::1]:25"], ("mx.example:25", "[::1]:25")),
        ("tls.pins", ["SHA256:" + "AB" * 32], ("sha256:" + "ab" * 32,)),
        ("tls.names", [".Intake.example"], (".intake.example",)),
    ],
)
def test_a_value_comes_out_in_its_normal_form(name: str, value: object, normal: Value) -> None:
    assert check_value(name, value) == normal


def test_true_and_one_are_different_values() -> None:
    assert Settings.of({"enabled": True}) != Settings.of({"enabled": 1})
    assert not same_value(True, 1)


def test_the_route_usedns_is_shown_as_a_text_and_an_empty_list_as_a_list() -> None:
    assert plain(("usedns",)) == "usedns"
    assert plain(()) == []
    shown = plain((Policy("p", PolicyAction.CUSTOM, (), ("a.example",), "x@b.example"),))
    assert shown == [
        {
            "name": "p",
            "action": "custom",
            "senders": [],
            "recipients": ["a.example"],
            "intake_address": "x@b.example",
        }
    ]
