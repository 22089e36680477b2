"""PURE. What a value of each kind may be: untrusted input -> a value in its normal form.

Everything from outside (wire, store, file, command line) passes here once. A value is judged by
itself; what is wrong with values *together* is in `validate`. The row of the schema says what to
check, so no setting is named here.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import cast

from tdc.shared.mail.address import AddressError, parse_address, parse_domain
from tdc.shared.settings.schema import USE_DNS, Form, Kind, Setting, SettingError, setting
from tdc.shared.settings.values import (
    NONE,
    NONE_WORD,
    Policy,
    PolicyAction,
    Settings,
    Value,
)

# RFC 5322 section 2.2: a field name is printable ASCII without a colon; this is a safe subset.
_HEADER_NAME = re.compile(r"X-[A-Za-z0-9-]{1,70}")
_PIN = re.compile(r"sha256:[0-9a-f]{64}")
_HOST_PORT = re.compile(r"(\[[^\]]*\]|[^:\[\]]+)(?::([0-9]{1,5}))?")
_HOST_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
POLICY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,62}")
_MAX_SHOWN = 80


def checked(present: Mapping[str, object]) -> Settings:
    """The settings of a level from untrusted input; raises SettingError at the first fault."""
    return Settings.of({name: check_value(name, value) for name, value in present.items()})


def check_value(name: str, value: object) -> Value:
    """`value` in its normal form, if the row of `name` allows it; raises SettingError.

    Domains become lower case, local parts stay as they are; lists lose duplicates and keep their
    order. The word `none` is `NONE` where a setting may have no value.
    """
    row = setting(name)
    if row.optional and isinstance(value, str) and value in (NONE, NONE_WORD):
        return NONE
    try:
        return _CHECKS[row.kind](row, value)
    except (SettingError, AddressError) as error:
        raise SettingError(f"{name}: {error}") from None


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits, say
        text = f"this {type(value).__name__}"
    return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "…"


def _flag(_: Setting, value: object) -> Value:
    if not isinstance(value, bool):
        raise SettingError(f"{_shown(value)} is not true or false")
    return value


def _number(row: Setting, value: object) -> Value:
    if isinstance(value, bool) or not isinstance(value, int):
        plain = f"{_shown(value)} is not a whole number of {_UNITS[row.kind]}"
        raise SettingError(plain + _without_unit(row, value))
    if not row.low <= value <= row.high:
        given = str(value) if abs(value) < 2**64 else "this number"
        raise SettingError(
            f"{given} is out of range: must be {row.low} to {row.high} {_UNITS[row.kind]}"
        )
    return value


def _without_unit(row: Setting, value: object) -> str:
    """What to write instead of a number with its unit, which only commands take."""
    found = _WITH_UNIT.fullmatch(value.strip()) if isinstance(value, str) else None
    factor = _FACTORS.get(row.kind, {}).get(found[2]) if found is not None else None
    return f"; write {int(found[1]) * factor}" if found is not None and factor else ""


_WITH_UNIT = re.compile(r"([0-9]{1,12}) ?([smhdBkMGT])")
_FACTORS = {
    Kind.SECONDS: {"s": 1, "m": 60, "h": 3_600, "d": 86_400},
    Kind.BYTES: {"B": 1, "k": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4},
}
_UNITS = {Kind.COUNT: "items", Kind.SECONDS: "seconds", Kind.BYTES: "bytes"}


def _choice(row: Setting, value: object) -> Value:
    if not isinstance(value, str) or value not in row.choices:
        raise SettingError(f"{_shown(value)} must be one of {', '.join(row.choices)}")
    return value


def _address(_: Setting, value: object) -> Value:
    return str(parse_address(_text_of(value)))


def _text(row: Setting, value: object) -> Value:
    return _in_form(row, _text_of(value))


def _text_of(value: object) -> str:
    if not isinstance(value, str):
        raise SettingError(f"{_shown(value)} is not text")
    return value


def _list_of(value: object) -> list[str]:
    if not isinstance(value, list | tuple):
        raise SettingError(f"{_shown(value)} is not a list")
    return [_text_of(item) for item in value]


def _text_list(row: Setting, value: object) -> Value:
    return tuple(dict.fromkeys(_in_form(row, item) for item in _list_of(value)))


def _in_form(row: Setting, text: str) -> str:
    assert row.form is not None, f"free text needs a form: {row.name}"
    return _FORMS[row.form](text)


def _header_name(text: str) -> str:
    if not _HEADER_NAME.fullmatch(text):
        raise SettingError(f"{_shown(text)} is not a valid header name; use the form X-Name")
    return text


def _certificate_name(text: str) -> str:
    if not text.startswith("."):
        return parse_domain(text)
    try:
        return "." + parse_domain(text[1:])
    except AddressError:
        raise SettingError(
            f"{_shown(text)} is not a name in a certificate: must be one such as mx.example.com, "
            "or .example.com for all names below example.com"
        ) from None


def _pin(text: str) -> str:
    pin = text.lower()
    if not _PIN.fullmatch(pin):
        raise SettingError(
            f"{_shown(text)} is not a valid pin: must be sha256: and 64 hexadecimal digits"
        )
    return pin


_FORMS: Mapping[Form, Callable[[str], str]] = {
    Form.DOMAIN: parse_domain,
    Form.CERTIFICATE_NAME: _certificate_name,
    Form.PIN: _pin,
    Form.HEADER_NAME: _header_name,
}


def _route(_: Setting, value: object) -> Value:
    items = [value] if isinstance(value, str) else _list_of(value)
    if items == [USE_DNS]:
        return (USE_DNS,)
    if not items or USE_DNS in items:
        raise SettingError(f"a route must be either {USE_DNS} alone or a list of host[:port]")
    return tuple(dict.fromkeys(_hop(item) for item in items))


def _hop(text: str) -> str:
    match = _HOST_PORT.fullmatch(text)
    host = _host(match[1].lower()) if match else None
    if match is None or host is None:
        raise SettingError(
            f"{_shown(text)} is not a valid host or host:port; put an IPv6 address in brackets, "
            "as in [::1]:25"
        )
    if match[2] is None:
        return host
    if not 1 <= int(match[2]) <= 65_535:
        raise SettingError(f"{_shown(text)} has an invalid port: must be 1 to 65535")
    return f"{host}:{int(match[2])}"


def _host(text: str) -> str | None:
    """A host name, IPv4 address or bracketed IPv6 address in normal form; None if it is neither."""
    try:
        if text.startswith("["):
            return f"[{ipaddress.IPv6Address(text[1:-1])}]"
        if text.rpartition(".")[2].isdigit():
            return str(ipaddress.IPv4Address(text))
        if "." in text:
            text = parse_domain(text) if "_" not in text else text
    except ValueError:
        return None
    labels = text.split(".")
    return text if len(text) <= 253 and all(map(_HOST_LABEL.fullmatch, labels)) else None


def _policies(_: Setting, value: object) -> Value:
    if not isinstance(value, list | tuple):
        raise SettingError(f"{_shown(value)} is not a list of policies")
    policies = tuple(_policy(item) for item in value)
    seen: set[str] = set()
    for policy in policies:
        if policy.name in seen:
            raise SettingError(f"two policies are named {policy.name!r}")
        seen.add(policy.name)
    return policies


_POLICY_FIELDS = ("name", "action", "senders", "recipients", "intake_address")


def _policy(item: object) -> Policy:
    fields = _policy_fields(item)
    unknown = [_shown(field) for field in fields if field not in _POLICY_FIELDS]
    if unknown:
        raise SettingError(
            f"unknown policy field {', '.join(unknown)}; valid fields are "
            f"{', '.join(_POLICY_FIELDS)}"
        )
    name, action = fields.get("name"), fields.get("action")
    if not isinstance(name, str) or not POLICY_NAME.fullmatch(name):
        raise SettingError(
            f"{_shown(name)} is not a valid policy name: use 1 to 63 letters, digits, spaces, "
            "'.', '_', '-', and begin with a letter or digit"
        )
    try:
        if not isinstance(action, str) or action not in tuple(PolicyAction):
            given = "is missing: it" if action is None else _shown(action)
            raise SettingError(f"action {given} must be one of no-scan, default, custom")
        return Policy(
            name=name,
            action=PolicyAction(action),
            senders=_patterns(fields.get("senders", ())),
            recipients=_patterns(fields.get("recipients", ())),
            intake_address=_policy_intake(PolicyAction(action), fields.get("intake_address")),
        )
    except (SettingError, AddressError) as error:
        raise SettingError(f"policy {name!r}: {error}") from None


def _policy_fields(item: object) -> Mapping[str, object]:
    if isinstance(item, Policy):
        return {name: getattr(item, name) for name in _POLICY_FIELDS}
    if isinstance(item, Mapping):
        return cast("Mapping[str, object]", item)
    raise SettingError(f"{_shown(item)} is not a policy")


def _policy_intake(action: PolicyAction, intake: object) -> str | None:
    if action is not PolicyAction.CUSTOM:
        if intake is not None:
            raise SettingError("intake_address is allowed only with action custom")
        return None
    if intake is None:
        raise SettingError("action custom requires an intake_address")
    return str(parse_address(_text_of(intake)))


def _patterns(value: object) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_pattern(text) for text in _list_of(value)))


def _pattern(text: str) -> str:
    return str(parse_address(text)) if "@" in text else parse_domain(text)


_CHECKS = {
    Kind.FLAG: _flag,
    Kind.COUNT: _number,
    Kind.SECONDS: _number,
    Kind.BYTES: _number,
    Kind.CHOICE: _choice,
    Kind.ADDRESS: _address,
    Kind.TEXT: _text,
    Kind.TEXT_LIST: _text_list,
    Kind.ROUTE: _route,
    Kind.POLICIES: _policies,
}
