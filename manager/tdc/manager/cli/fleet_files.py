"""Reads fleet documents: YAML or JSON, from files, folders and standard input."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from tdc.manager.cli.errors import WrongUsage
from tdc.manager.cli.fleet_file import Fleet, fleet_of, merged
from tdc.shared.edge.os_words import os_reason

STANDARD_INPUT = "-"
SUFFIXES = (".yaml", ".yml", ".json")
"""What is read of a folder."""
LONGEST = 64 * 1024**2
"""Bytes of one file."""


class _Loader(yaml.SafeLoader):
    """The safe loader, which takes no key twice: of two, YAML would keep the last in silence."""


def _no_key_twice(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    loader.flatten_mapping(node)
    fields: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        try:
            twice = key in fields
        except TypeError:
            raise yaml.constructor.ConstructorError(
                None, None, "a key is not a string", key_node.start_mark
            ) from None
        if twice:
            raise yaml.constructor.ConstructorError(
                None, None, f"key {key!r} is given twice", key_node.start_mark
            )
        fields[key] = loader.construct_object(value_node, deep=True)
    return fields


def _no_half_letter(loader: _Loader, node: yaml.ScalarNode) -> str:
    """Text; half of a pair of UTF-16, as `"\\ud800"` gives it, is none and can't be sent."""
    text = str(loader.construct_scalar(node))
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise yaml.constructor.ConstructorError(
            None, None, f"{text!a} is not valid Unicode", node.start_mark
        )
    return text


_Loader.add_constructor("tag:yaml.org,2002:str", _no_half_letter)
_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _no_key_twice)


def read_fleet(sources: Sequence[str]) -> Fleet:
    """Read the documents of files, of the files in folders, or of `-`; raises WrongUsage."""
    found = [fleet_of(document, name) for source in sources for name, document in _read(source)]
    if not found:
        raise WrongUsage(
            f"{', '.join(sources)}: no file ends in {', '.join(SUFFIXES)}. Nothing was changed."
        )
    return merged(found)


def _read(source: str) -> Iterator[tuple[str, object]]:
    if source == STANDARD_INPUT:
        if sys.stdin is None:
            raise WrongUsage("Standard input (-) is closed. Nothing was changed.")
        yield "standard input", _parsed(sys.stdin.buffer.read(LONGEST + 1), "standard input")
        return
    path = file = Path(source)
    try:
        files = [path]
        if path.is_dir():
            files = sorted(each for each in path.iterdir() if each.suffix in SUFFIXES)
        for file in files:
            with file.open("rb") as opened:
                yield str(file), _parsed(opened.read(LONGEST + 1), str(file))
    except OSError as error:
        raise WrongUsage(
            f"{str(file)!r} can't be read: {os_reason(error)}. Nothing was changed."
        ) from None


def _parsed(raw: bytes, name: str) -> object:
    if len(raw) > LONGEST:
        raise WrongUsage(f"{name} has more than {LONGEST // 1024**2} MiB. Nothing was changed.")
    try:
        return yaml.load(raw, _Loader)  # noqa: S506  # a safe loader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise WrongUsage(f"{name}: {_fault(error)}. Nothing was changed.") from None


def _fault(error: Exception) -> str:
    """What is wrong, and in which line, in one sentence."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    if problem == "but found another document":  # the rest of a sentence of PyYAML's
        problem = "another document begins; give each a file of its own"
    mark = getattr(error, "problem_mark", None)
    return f"line {mark.line + 1}: {problem}" if mark is not None else str(problem)
