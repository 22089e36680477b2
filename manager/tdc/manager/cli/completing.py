"""PURE. Completion: which words fit at the cursor, or which names the manager has to be asked for.

The tree of commands is known as text (`command_words.py`), so that a TAB loads neither the commands
nor the library that reads them: it has 300 ms in all. What stands for a name in the help (NAME,
GROUP, REVISION …) says which names are meant; a word that is not known here fails a test.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from tdc.manager.cli.command_words import WORDS
from tdc.shared.settings.schema import SCHEMA, Kind


class Source(StrEnum):
    """Names that the manager knows."""

    CLUSTERS = "clusters"
    GROUPS = "groups"
    MACHINES = "machines"
    GROUP_PATHS = "CLUSTER/GROUP"
    REVISIONS = "revisions"
    INTAKES = "intakes"
    USERS = "users"
    OWNERS = "operators who share a draft"
    SESSIONS = "sessions"
    TOKENS = "API tokens"
    CERTIFICATES = "operators' certificates"
    ENTRIES = "entries of the audit log"


LEVELS = {
    "cluster": Source.CLUSTERS,
    "group": Source.GROUPS,
    "machine": Source.MACHINES,
}
ASKED: Mapping[str, Source] = {
    "CLUSTER": Source.CLUSTERS,
    "GROUP": Source.GROUPS,
    "MACHINE": Source.MACHINES,
    "CLUSTER/GROUP": Source.GROUP_PATHS,
    "REVISION": Source.REVISIONS,
    "FROM": Source.REVISIONS,
    "TO": Source.REVISIONS,
    "ADDRESS": Source.INTAKES,
    "USER": Source.USERS,
    "OPERATOR": Source.OWNERS,
    "FINGERPRINT": Source.CERTIFICATES,
    "ENTRY": Source.ENTRIES,
}
"""What the manager is asked for, by the word that stands for it in the help."""

OFFERED: Mapping[str, tuple[str, ...]] = {
    "LEVEL": tuple(LEVELS),
    "TO_LEVEL": tuple(LEVELS),
    "ROLE": ("administrator", "operator", "read-only", "help-desk"),
    "STATE": ("in sync", "out of sync", "offline", "stale", "rejected", "unknown"),
}
"""Words that never change."""

BY_PLACE = ("NAME", "TO_NAME", "ID", "SETTING", "NAMES_SETTINGS", "NAMES_VALUES")
"""What is meant by these depends on the words before them."""

NOT_NAMES = (
    "SUBJECT",
    *("TEXT", "TIME", "SECONDS", "NEW_NAME", "LABEL", "PATTERN", "CODE", "COMMITS", "ENTRIES"),
    *("MID", "FILE", "OPERATION", "PROVIDER"),
)
"""What is made up by who types it, or is no name that a manager has at hand."""

_NEW = frozenset({("cluster", "create"), ("group", "create"), ("machine", "create")})
_NOBODY_YET = frozenset({("user", "create"), ("login",)})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What may stand at the cursor: `words`, with their meaning, and names of each of `sources`.

    `typed` is the part of it that is there already. `cluster`, `config` and `timeout` are the
    options of these names. `taken` are names that were typed before and are not offered again;
    `file`: it is the name of a file.
    """

    typed: str
    words: Mapping[str, str] = field(default_factory=dict)
    sources: tuple[Source, ...] = ()
    cluster: str = ""
    config: str = ""
    timeout: str = ""
    taken: frozenset[str] = frozenset()
    file: bool = False

    def fitting(self, names: Iterable[str]) -> dict[str, str]:
        """The words and `names` that go on from what is typed, with what they mean."""
        known = dict(self.words) | {name: "" for name in names if name not in self.taken}
        return {name: text for name, text in known.items() if name.startswith(self.typed)}


@dataclass
class _Line:
    """The words before the cursor, read along the tree."""

    path: list[str] = field(default_factory=list)
    arguments: list[str] = field(default_factory=list)
    options: dict[str, str] = field(default_factory=dict)
    open_option: str = ""
    no_more_options: bool = False
    astray: bool = False

    @property
    def spec(self) -> tuple[str, ...] | None:
        """What the command takes; None while it is not named in full."""
        return TREE.get(tuple(self.path))

    def take(self, word: str) -> None:
        """Read one word."""
        if self.open_option:
            self.options[self.open_option] = word
            self.open_option = ""
        elif word == "--" and not self.no_more_options:
            self.no_more_options = True
        elif word.startswith("-") and len(word) > 1 and not self.no_more_options:
            name, given, value = word.partition("=")
            name, stands_for = self.option(name)
            if given:
                self.options[name] = value
            elif stands_for:
                self.open_option = name
            else:
                self.options[name] = ""
        elif self.spec is not None:
            self.arguments.append(word)
        elif word in self.below():
            self.path.append(word)
        else:
            self.astray = True

    def below(self) -> list[str]:
        """The commands that can follow."""
        at = len(self.path)
        fits = [path for path in TREE if len(path) > at and list(path[:at]) == self.path]
        return list(dict.fromkeys(path[at] for path in fits))

    def every_option(self) -> dict[str, tuple[str, str]]:
        """The options here, each name of them with the first one and what stands for its value."""
        found: dict[str, tuple[str, str]] = {}
        for word in (*(self.spec or ()), *EVERYWHERE):
            if word.startswith("-"):
                names, _, stands_for = word.partition("=")
                each = names.split(",")
                found |= dict.fromkeys(each, (each[0], stands_for))
        return found

    def option(self, name: str) -> tuple[str, str]:
        """The first name of an option, and what stands for its value; "" for a flag."""
        return self.every_option().get(name, (name, ""))


def _read(text: str) -> dict[tuple[str, ...], tuple[str, ...]]:
    lines = (line.partition(":") for line in text.strip().replace("\n ", " ").splitlines())
    return {tuple(path.split()): tuple(takes.split()) for path, _, takes in lines}


TREE = _read(WORDS)
"""The words of each command, with what follows them: arguments, then options."""

EVERYWHERE = TREE.pop(("tdc",), ())


def wanted(words: Sequence[str], typed: str) -> Wanted:
    """What may stand at the cursor, after `words` (without `tdc`), of which `typed` is there."""
    line = _Line()
    for word in words:
        line.take(word)
    if line.astray:
        return Wanted(typed)
    if line.open_option:
        return _of(line, line.option(line.open_option)[1], typed)
    if typed.startswith("-") and not line.no_more_options:
        name, given, value = typed.partition("=")
        if given:
            found = _of(line, line.option(name)[1], value)
            whole = {f"{name}={word}": text for word, text in found.words.items()}
            return Wanted(typed, whole)
        return Wanted(typed, dict.fromkeys(line.every_option(), ""))
    if line.spec is None:
        return Wanted(typed, dict.fromkeys(line.below(), ""))
    places = [word for word in line.spec if not word.startswith("-")]
    at = len(line.arguments)
    if places and (at < len(places) or places[-1].endswith("*")):
        return _of(line, places[min(at, len(places) - 1)].rstrip("*"), typed)
    return Wanted(typed)


def _of(line: _Line, stands_for: str, typed: str) -> Wanted:
    """What may stand where the help has `stands_for`."""
    words: Mapping[str, str] = {}
    sources: tuple[Source, ...] = ()
    if stands_for.startswith("{"):
        words = dict.fromkeys(stands_for.strip("{}").split("|"), "")
    elif stands_for in OFFERED:
        words = dict.fromkeys(OFFERED[stands_for], "")
    elif stands_for in ASKED and not (stands_for == "USER" and tuple(line.path) in _NOBODY_YET):
        sources = (ASKED[stands_for],)
    elif stands_for in ("NAMES_SETTINGS", "NAMES_VALUES"):
        words, sources = _names_then_settings(line, stands_for, typed)
    elif stands_for == "SETTING":
        words = settings(typed)
    elif stands_for in BY_PLACE:
        sources = _by_place(line, stands_for)
    return Wanted(
        typed,
        words,
        sources,
        line.options.get("--cluster", ""),
        line.options.get("--config", ""),
        line.options.get("--timeout", ""),
        frozenset(line.arguments),
        stands_for == "FILE",
    )


def _by_place(line: _Line, stands_for: str) -> tuple[Source, ...]:
    if stands_for == "ID":
        return (Source.SESSIONS if line.path[0] == "session" else Source.TOKENS,)
    if line.path[0] == "audit":
        return (Source.USERS,)
    if tuple(line.path) in _NEW:
        return ()
    levels = [word for word in line.arguments if word in LEVELS]
    noun = line.path[0]
    if noun in LEVELS:
        return (LEVELS[noun],)
    place = 2 if stands_for == "TO_NAME" else 0
    level = line.arguments[place] if place < len(line.arguments) else ""
    return (LEVELS[level],) if level in levels else ()


def _names_then_settings(
    line: _Line, stands_for: str, typed: str
) -> tuple[Mapping[str, str], tuple[Source, ...]]:
    """Names of the level until a setting was typed; settings once there is a name, or a choice."""
    level, names = line.arguments[0], line.arguments[1:]
    offer = settings if stands_for == "NAMES_SETTINGS" else assignments
    chosen = bool({"--match", "--in-group"} & line.options.keys())
    begun = any("=" in word or word in SCHEMA for word in names)
    if begun or chosen or "=" in typed:
        return offer(typed), ()
    words = offer(typed) if names else {}
    return words, (LEVELS[level],) if level in LEVELS else ()


def settings(typed: str) -> dict[str, str]:
    """Setting names that begin with what was typed, with their help."""
    return {name: row.help for name, row in SCHEMA.items() if name.startswith(typed)}


def assignments(typed: str) -> dict[str, str]:
    """``setting=`` for what was typed; after the ``=``, the values of a choice."""
    name, equals, value = typed.partition("=")
    if not equals:
        return {f"{known}=": text for known, text in settings(name).items()}
    row = SCHEMA.get(name)
    if row is None:
        return {}
    choices = ("true", "false") if row.kind is Kind.FLAG else row.choices
    return {f"{name}={each}": row.help for each in choices if each.startswith(value)}
