"""PURE. What agent.toml's values must be, in the words of docs/agent-toml.md.

In: what msgspec found, and the value at fault. Out: the key, what it must be, and the value as it
would be right.
"""

from __future__ import annotations

import json
import re

_WRONG_TYPE = re.compile(r"Expected `([^`]+)`, got `[^`]+` - at `\$\.([a-z_.]+)(\[[0-9.]+\])?`")
_SECONDS = ("_timeout", "retry_maximum")


def wrong_type(problem: str, content: object) -> str:
    """The sentence for a value of a wrong type; empty if `problem` is another."""
    found = _WRONG_TYPE.fullmatch(problem)
    if found is None:
        return ""
    wanted, path, in_list = found.groups()
    key = path.rpartition(".")[2]
    value = content
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    entry = f"each entry of {key}" if in_list else key
    return f"{entry} must be {_must_be(wanted, key, value)}"


def _must_be(wanted: str, key: str, value: object) -> str:
    kinds = wanted.split(" | ")
    if "array" in kinds and "str" not in kinds:
        return f"a list: [{json.dumps(value)}]" if isinstance(value, str) else "a list"
    if "float" in kinds and key.endswith(_SECONDS):
        return "a number of seconds, such as 300"
    bare = ", without quotes" if isinstance(value, str) else ""
    if "int" in kinds or "float" in kinds:
        unit = " of bytes" if "size" in key or "bytes" in key else ""
        return f"a {'whole ' if 'int' in kinds else ''}number{unit}{bare}"
    if "bool" in kinds:
        return f"true or false{bare}"
    if "object" in kinds:
        return f"a section: [{key}]"
    also = " or a list of such" if "array" in kinds else ""
    return f"text in quotes{also}"
