"""PURE. Values by name, in name order, of which a changed copy costs little: it shares the rest.

A cluster of 10 000 machines has a new version with each commit, and most commits change one
machine. So the values lie in runs of at most `LONGEST` names. A copy makes the runs again in which
something changes and shares all others, and two versions differ only in runs that they don't share.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import ItemsView, Iterable, Iterator, Mapping, MutableMapping, ValuesView
from itertools import chain, pairwise
from typing import TypeVar

LONGEST = 64
"""Names in a run. A copy costs as much as one run and the list of all runs."""

T = TypeVar("T")


class ByName(Mapping[str, T]):
    """Values by name. Iterates in name order, never changes."""

    __slots__ = ("_count", "_firsts", "_runs")

    def __init__(self, values: Iterable[tuple[str, T]] = ()) -> None:
        self._lay(_cut(dict(sorted(values, key=_name_of))))

    @classmethod
    def of(cls, values: Mapping[str, T]) -> ByName[T]:
        """The same values; of a draft, a copy of its base in which only the changes are new."""
        match values:
            case ByName():
                return values
            case Draft(base=base, changes=changes):
                return base.changed(changes)
            case _:
                return cls(values.items())

    def changed(self, changes: Mapping[str, T | None]) -> ByName[T]:
        """A copy with these values instead, and without the names that have None."""
        by_run: dict[int, dict[str, T | None]] = {}
        for name, value in changes.items():
            if self.get(name) is not value:
                by_run.setdefault(self._run_of(name), {})[name] = value
        if not by_run:
            return self
        runs: list[dict[str, T]] = []
        done = 0
        for number in sorted(by_run):
            runs += self._runs[done:number]
            runs += _cut(_rewritten(self._runs[number], by_run[number]))
            done = number + 1
        runs += self._runs[done:]
        made = ByName[T].__new__(ByName)
        made._lay(_joined(runs))
        return made

    def differing(self, other: ByName[T]) -> set[str]:
        """The names that only one of the two has, or of which the values are not equal."""
        shared = {id(run) for run in self._runs} & {id(run) for run in other._runs}
        own, theirs = self._beside(shared), other._beside(shared)
        missing = theirs.keys() - own.keys()
        return missing | {
            name
            for name, value in own.items()
            if (known := theirs.get(name)) is not value and known != value
        }

    def __getitem__(self, name: str) -> T:
        return self._runs[bisect_right(self._firsts, name) - 1][name]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._runs[self._run_of(name)]

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(self._runs)

    def __len__(self) -> int:
        return self._count

    def values(self) -> ValuesView[T]:
        """The values, in the order of their names."""
        return _Values(self)

    def items(self) -> ItemsView[str, T]:
        """Names and values, in order."""
        return _Items(self)

    def __repr__(self) -> str:
        return f"ByName({dict(self.items())!r})"

    def _lay(self, runs: Iterable[dict[str, T]]) -> None:
        # Without a value there is one empty run, so that each name belongs to a run. A name before
        # the first one belongs to the last, where it is not found either.
        self._runs = tuple(runs) or ({},)
        self._firsts = tuple(next(iter(run), "") for run in self._runs)
        self._count = sum(map(len, self._runs))

    def _run_of(self, name: str) -> int:
        return max(0, bisect_right(self._firsts, name) - 1)

    def _beside(self, shared: set[int]) -> dict[str, T]:
        return dict(chain.from_iterable(r.items() for r in self._runs if id(r) not in shared))


class Draft(MutableMapping[str, T]):
    """Values under edit: only what is changed is kept beside the values as they were."""

    def __init__(self, base: Mapping[str, T]) -> None:
        self.base = ByName.of(base)
        self.changes: dict[str, T | None] = {}  # None: removed

    def __getitem__(self, name: str) -> T:
        value = self.changes[name] if name in self.changes else self.base[name]
        if value is None:
            raise KeyError(name)
        return value

    def __setitem__(self, name: str, value: T) -> None:
        self.changes[name] = value

    def __delitem__(self, name: str) -> None:
        self[name]  # raises KeyError
        self.changes[name] = None

    def __iter__(self) -> Iterator[str]:
        return iter(self.base.changed(self.changes))

    def __len__(self) -> int:
        return len(self.base.changed(self.changes))


class _Values(ValuesView[T]):
    _mapping: ByName[T]

    def __iter__(self) -> Iterator[T]:
        return chain.from_iterable(run.values() for run in self._mapping._runs)


class _Items(ItemsView[str, T]):
    _mapping: ByName[T]

    def __iter__(self) -> Iterator[tuple[str, T]]:
        return chain.from_iterable(run.items() for run in self._mapping._runs)


def _name_of(item: tuple[str, object]) -> str:
    return item[0]


def _rewritten(run: Mapping[str, T], changes: Mapping[str, T | None]) -> dict[str, T]:
    made = {name: value for name, value in run.items() if changes.get(name, value) is not None}
    made |= {name: value for name, value in changes.items() if value is not None}
    return dict(sorted(made.items(), key=_name_of)) if made.keys() != run.keys() else made


def _cut(values: dict[str, T]) -> list[dict[str, T]]:
    """Ordered values as runs of about equal length, none too long; none at all without values."""
    if 0 < len(values) <= LONGEST:
        return [values]
    parts = -(-len(values) // LONGEST)
    ends = [len(values) * part // parts for part in range(parts + 1)] if parts else []
    items = list(values.items())
    return [dict(items[first:end]) for first, end in pairwise(ends)]


def _joined(runs: list[dict[str, T]]) -> Iterable[dict[str, T]]:
    """The runs, cut again if removals left many short ones."""
    total = sum(map(len, runs))
    if len(runs) <= 2 + 4 * total // LONGEST:
        return runs
    return _cut(dict(chain.from_iterable(run.items() for run in runs)))
