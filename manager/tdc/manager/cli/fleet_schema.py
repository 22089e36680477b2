"""The JSON Schema of a fleet document, for editors: it follows from the table of settings.

It takes all that `tdc apply` takes, and points at most of what `apply` refuses as it is typed:
names of keys and settings, types, ranges, choices. What only a parser can judge (a domain, an
address) and what is wrong with values together stays with `apply`.
"""

from __future__ import annotations

from tdc.shared.settings.check import POLICY_NAME
from tdc.shared.settings.schema import SCHEMA, USE_DNS, Form, Kind, Setting
from tdc.shared.settings.values import NONE, NONE_WORD, PolicyAction

DIALECT = "http://json-schema.org/draft-07/schema#"
"""The newest one that the YAML servers of editors read whole."""

Schema = dict[str, object]

_PATTERNS = {
    Form.DOMAIN: r"^[^\s@]+$",
    Form.CERTIFICATE_NAME: r"^\.?[^\s@]+$",
    Form.PIN: "^[sS][hH][aA]256:[0-9a-fA-F]{64}$",
    Form.HEADER_NAME: "^X-[A-Za-z0-9-]{1,70}$",
}
_ADDRESS = {"type": "string", "pattern": "^.+@.+$"}


def document_schema() -> Schema:
    """The schema of one document."""
    return {
        "$schema": DIALECT,
        "title": "Threat Defense Connector: clusters, groups, machines and their settings",
        "definitions": {"settings": _settings(), "policy": _policy()},
        **_mapping({"clusters": _named("cluster", _cluster())}),
    }


def _cluster() -> Schema:
    return _level({"groups": _named("group", _level({"machines": _named("machine", _level({}))}))})


def _level(more: Schema) -> Schema:
    return _mapping({"settings": {"$ref": "#/definitions/settings"}, **more})


def _mapping(fields: Schema) -> Schema:
    """A mapping with these keys and no others; nothing at all counts as an empty one."""
    return {"type": ["object", "null"], "properties": fields, "additionalProperties": False}


def _named(what: str, each: Schema) -> Schema:
    return {
        "description": f"Each {what} by its name.",
        "type": ["object", "null"],
        "additionalProperties": each,
    }


def _settings() -> Schema:
    return {
        "description": "What this level holds, and nothing else; without this key it keeps what "
        "it has.",
        **_mapping({row.name: _setting(row) for row in SCHEMA.values()}),
    }


def _setting(row: Setting) -> Schema:
    value = _value(row)
    if row.optional:
        value = {"anyOf": [value, {"enum": [NONE_WORD, NONE]}]}
    return {"description": row.help, **value}


def _value(row: Setting) -> Schema:
    match row.kind:
        case Kind.FLAG:
            return {"type": "boolean"}
        case Kind.COUNT | Kind.SECONDS | Kind.BYTES:
            return {"type": "integer", "minimum": row.low, "maximum": row.high}
        case Kind.CHOICE:
            return {"enum": list(row.choices)}
        case Kind.ADDRESS:
            return dict(_ADDRESS)
        case Kind.TEXT:
            return _text(row)
        case Kind.TEXT_LIST:
            return {"type": "array", "items": _text(row)}
        case Kind.ROUTE:
            hop = {"type": "string", "minLength": 1}
            return {
                "anyOf": [{"const": USE_DNS}, hop, {"type": "array", "items": hop, "minItems": 1}]
            }
        case Kind.POLICIES:
            return {"type": "array", "items": {"$ref": "#/definitions/policy"}}


def _text(row: Setting) -> Schema:
    return {"type": "string", **({"pattern": _PATTERNS[row.form]} if row.form else {})}


def _policy() -> Schema:
    patterns = {"type": "array", "items": {"type": "string", "minLength": 1}}
    custom = {"properties": {"action": {"const": str(PolicyAction.CUSTOM)}}}
    intake = {"required": ["intake_address"], "properties": {"intake_address": _ADDRESS}}
    return {
        "type": "object",
        "properties": {
            "name": {"type": "string", "pattern": f"^{POLICY_NAME.pattern}$"},
            "action": {"enum": [str(each) for each in PolicyAction]},
            "senders": patterns,
            "recipients": patterns,
            "intake_address": {"type": ["string", "null"]},
        },
        "required": ["name", "action"],
        "additionalProperties": False,
        "if": custom,
        "then": intake,
        "else": {"properties": {"intake_address": {"type": "null"}}},
    }
