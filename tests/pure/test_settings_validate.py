"""Rules between values: each by the smallest settings that break it and the nearest good ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from tdc.shared.settings.check import checked
from tdc.shared.settings.schema import default_values
from tdc.shared.settings.validate import JUDGED, faults_of, own_faults_of
from tdc.shared.settings.values import Settings, Value

from tests.pure.setting_values import any_settings


def named(action: str = "no-scan", **fields: object) -> list[dict[str, object]]:
    return [{"name": "p", "action": action, **fields}]


ENABLED = {"enabled": True, "intake_address": "j@intake.example"}
BROKEN: list[tuple[dict[str, object], str, str]] = [
    ({"enabled": True}, "intake_address", "there is no intake_address"),
    ({"enabled": True, "intake_address": "none"}, "intake_address", "there is no intake_address"),
    (
        {"intake_address": "j@corp.example", "incoming_domains": ["a.example", "corp.example"]},
        "intake_address",
        "j@corp.example is in corp.example",
    ),
    (
        {"intake_address": "j@in.corp.example", "incoming_domains": ["corp.example"]},
        "intake_address",
        "one of the organisation's own domains",
    ),
    (
        ENABLED
        | {
            "incoming_domains": ["corp.example"],
            "policies": named("custom", recipients=["x.example"], intake_address="j@corp.example"),
        },
        "policies",
        "policy 'p': j@corp.example is in corp.example",
    ),
    ({"policies": named()}, "policies", "policy 'p' has neither senders nor recipients"),
    ({"policies": named("default")}, "policies", "policy 'p' has neither senders nor recipients"),
    ({"tls.verification": "pinned"}, "tls.pins", "tls.pins is empty"),
    ({"retry.initial": 3_601}, "retry.initial", "longer than retry.maximum (1h)"),
    ({"retry.maximum": 59}, "retry.initial", "retry.initial (60s) is longer"),
    (
        {"retry.initial": 120, "retry.lifetime": 60},
        "retry.initial",
        "no copy would be retried",
    ),
    (
        {"spool.when_full": "tempfail", "spool.max_bytes": 1024},
        "spool.max_bytes",
        "would wait for ever",
    ),
]
SOUND: list[dict[str, object]] = [
    {},
    ENABLED,
    {"enabled": False},
    {"intake_address": "j@xcorp.example", "incoming_domains": ["corp.example"]},
    {"intake_address": "j@corp.example", "incoming_domains": ["in.corp.example"]},
    {"policies": named(senders=["a.example"])},
    {"tls.verification": "pinned", "tls.pins": ["sha256:" + "ab" * 32]},
    {"retry.initial": 3_600},
    {"spool.when_full": "pass", "spool.max_bytes": 1024},
    {"spool.when_full": "tempfail", "spool.max_bytes": 1024, "max_message_size": 1024},
]


def in_force(present: dict[str, object]) -> dict[str, Value | None]:
    return default_values() | dict(checked(present))


@pytest.mark.parametrize(("present", "setting", "says"), BROKEN, ids=lambda value: str(value)[:40])
def test_broken_settings_are_blamed_on_one_setting_with_a_reason(
    present: dict[str, object], setting: str, says: str
) -> None:
    (fault,) = faults_of(in_force(present))
    assert fault.setting == setting
    assert says in fault.reason


@pytest.mark.parametrize("present", SOUND, ids=lambda value: str(value)[:40])
def test_the_nearest_sound_settings_have_no_fault(present: dict[str, object]) -> None:
    assert faults_of(in_force(present)) == ()


@given(any_settings)
def test_a_levels_own_faults_are_faults_wherever_nothing_nearer_hides_them(
    settings: Settings,
) -> None:
    own = set(own_faults_of(settings))
    assert own <= set(faults_of(default_values() | dict(settings)))


@given(any_settings)
def test_faults_depend_on_the_judged_settings_only(settings: Settings) -> None:
    values = default_values() | dict(settings)
    assert faults_of({name: values[name] for name in JUDGED}) == faults_of(values)


def test_what_is_absent_at_a_level_is_not_held_against_it() -> None:
    assert own_faults_of(checked({"enabled": True, "tls.verification": "pinned"})) == ()
    assert own_faults_of(checked({"retry.initial": 7_200})) == ()
