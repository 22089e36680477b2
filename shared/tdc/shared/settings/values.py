"""PURE. Frozen values of settings: what one level stores, and what is in force on a machine.

A level's settings are sparse: a setting is *present* or *absent*, and ``enabled = false``
present at a level is not the same as absent (docs/glossary.md). Nothing in this module looks
up defaults or compares levels; that is `tdc.manager.levels.resolve`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType
from typing import Literal, Self, TypeVar, overload


class Level(StrEnum):
    """The three levels, and the built-in defaults after them."""

    MACHINE = "machine"
    GROUP = "group"
    CLUSTER = "cluster"
    DEFAULT = "default"


class PolicyAction(StrEnum):
    """What happens to the copy of a message that a policy matches."""

    NO_SCAN = "no-scan"
    DEFAULT = "default"
    CUSTOM = "custom"


@dataclass(frozen=True, slots=True)
class Policy:
    """One row of the ordered list `policies`; the first row that matches decides.

    `senders` and `recipients` hold addresses (``user@example.com``) or domains
    (``example.com``); an empty tuple matches all. `intake_address` is present only
    where `action` is ``custom``.
    """

    name: str
    action: PolicyAction
    senders: tuple[str, ...] = ()
    recipients: tuple[str, ...] = ()
    intake_address: str | None = None


T = TypeVar("T")

Value = bool | int | str | tuple[str, ...] | tuple[Policy, ...]
"""The value of a setting: durations in whole seconds, sizes in whole bytes."""

NONE: Value = ""
"""Present and saying that there is none: no value here, whatever the levels above have.

Only a setting without a default can say so (`schema.Setting.optional`). It is not absence, which
means "as above"; people and documents write it `NONE_WORD`.
"""

NONE_WORD = "none"


@dataclass(frozen=True)
class Settings(Mapping[str, Value]):
    """The settings present at one level: setting name -> value, in name order.

    Invariant: every value has the type of its row in `schema.SCHEMA`; `check.checked` makes
    them from untrusted input.
    """

    _present: Mapping[str, Value] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def of(cls, present: Mapping[str, Value]) -> Self:
        """Settings with these names and values, copied and sorted by name."""
        return cls(MappingProxyType(dict(sorted(present.items()))))

    def __getitem__(self, name: str) -> Value:
        return self._present[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._present)

    def __len__(self) -> int:
        return len(self._present)

    def __contains__(self, name: object) -> bool:
        return name in self._present

    @overload
    def get(self, name: str, /) -> Value | None: ...

    @overload
    def get(self, name: str, /, default: Value | T) -> Value | T: ...

    def get(self, name: str, /, default: Value | T | None = None) -> Value | T | None:
        """The value of `name`, or `default` if it is absent."""
        return self._present.get(name, default)  # no KeyError: most are absent

    @cached_property
    def _hashed(self) -> int:
        return hash(tuple(self._present.items()))

    def __hash__(self) -> int:
        return self._hashed  # kept: a plan over many machines asks for it often

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Settings):
            return NotImplemented
        # True == 1 in Python, but a flag and a number are different values.
        return len(self) == len(other) and all(
            name in other and same_value(value, other[name]) for name, value in self.items()
        )

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in self.items())})"

    def without(self, name: str) -> Settings:
        """A copy in which `name` is absent."""
        return Settings.of({key: value for key, value in self.items() if key != name})


def same_value(one: Value | None, other: Value | None) -> bool:
    """Whether two values are the same; ``True`` and ``1`` are not."""
    return type(one) is type(other) and one == other


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an effective value comes from.

    `name` is the name of the cluster, group or machine (empty for a built-in default);
    `revision` is the revision of the commit that set the value there (0 for a default).
    """

    level: Level
    name: str
    revision: int


@dataclass(frozen=True, slots=True)
class Sourced:
    """An effective value with its origin; None if the setting has no default either."""

    value: Value | None
    origin: Origin


@dataclass(frozen=True, slots=True)
class Effective:
    """What is in force on one machine: every setting of the schema, each with its origin.

    `revision` is the cluster's revision it was resolved from; `content_hash` is
    `canonical.content_hash` of the values alone, so that equal settings have equal hashes
    whatever their origins and revision.
    """

    cluster: str
    group: str
    machine: str
    revision: int
    settings: Mapping[str, Sourced]
    content_hash: str

    def values(self) -> dict[str, Value | None]:
        """Setting name -> value, without the origins."""
        return {name: sourced.value for name, sourced in self.settings.items()}


VerificationMethod = Literal["webpki", "pinned"]
WhenFull = Literal["pass", "tempfail"]
