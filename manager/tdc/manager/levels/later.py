"""PURE. What later commits did to the levels that one commit left.

That a level has a name, or a setting a value, does not say that they are those of before: a machine
may have been removed and another created by its name, a value changed and set again. So the levels
are followed from one commit to the next. A level that was created since has no name of then.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tdc.manager.levels.changes import Step, TopologyChange
from tdc.manager.levels.fleet import LevelKey
from tdc.shared.settings.values import Level


@dataclass(slots=True)
class Later:
    """What was done since. Levels are called as the one commit left them, but in `created`."""

    settings: set[tuple[LevelKey, str]] = field(default_factory=set)  # changed again
    placed: dict[LevelKey, str] = field(default_factory=dict)  # moved or renamed again: which
    created: set[LevelKey] = field(default_factory=set)  # names that were given to new levels
    _then: dict[LevelKey, LevelKey | None] = field(default_factory=dict)  # by the name now

    @classmethod
    def of(cls, newest_first: Iterable[Step]) -> Later:
        """Follow the levels through these commits."""
        later = cls()
        for levels, topology in reversed([*newest_first]):
            later._follow(tuple(topology))
            for each in levels:
                key = later._as_then(each.key)
                if key is not None:
                    later.settings.add((key, each.setting))
        return later

    def is_same(self, key: LevelKey) -> bool:
        """Whether what is called so now, if anything is, is what was called so then.

        Its cluster is always the same one.
        """
        return key.level is Level.CLUSTER or self._as_then(key) == key

    def _as_then(self, key: LevelKey) -> LevelKey | None:
        return self._then.get(key, key)

    def _follow(self, topology: tuple[TopologyChange, ...]) -> None:
        keys = [(LevelKey(each.level, each.name), each) for each in topology]
        was = {
            key: self._as_then(LevelKey(key.level, each.before.name))
            for key, each in keys
            if each.before is not None
        }
        for key, each in keys:
            left = each.before.name if each.before is not None else each.name
            self._then[LevelKey(key.level, left)] = None
        self._then |= was
        self.created |= {key for key, each in keys if each.created}
        for key, each in keys:
            then = was.get(key)
            if then is not None:
                self.placed[then] = "moved" if len(each.names) == 1 else "renamed"
