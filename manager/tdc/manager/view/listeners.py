"""PURE. Who hears that a view has changed. Listeners are called at once, and must not block."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tdc.manager.view.names import MachineKey

Listener = Callable[[frozenset[MachineKey]], None]
"""Called with the machines whose content hash, enrolment or existence changed, or what operators
want suspended on them. Must not block."""


class Listened:
    """Something that others want to hear of: registers them; what it is calls them."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []
        self._enrolment_listeners: list[Listener] = []
        self._replaced_listeners: list[Callable[[], object]] = []
        self._rename_listeners: list[Callable[[Mapping[MachineKey, MachineKey]], object]] = []
        self._people_listeners: list[Callable[[], object]] = []

    def on_change(self, listener: Listener) -> None:
        """Call `listener` after each change, at once and in the order of registration."""
        self._listeners.append(listener)

    def on_enrolment(self, listener: Listener) -> None:
        """Call `listener` with the machines whose valid enrolment is another now, or is gone."""
        self._enrolment_listeners.append(listener)

    def on_renamed(self, listener: Callable[[Mapping[MachineKey, MachineKey]], object]) -> None:
        """Call `listener` with machines that have another name now: each as it was, and as it is.

        Before the listeners of other changes.
        """
        self._rename_listeners.append(listener)

    def on_replaced(self, listener: Callable[[], object]) -> None:
        """Call `listener` when the store has become another, or an older one of itself."""
        self._replaced_listeners.append(listener)

    def on_people(self, listener: Callable[[], object]) -> None:
        """Call `listener` after each change of users, sessions, tokens or certificates."""
        self._people_listeners.append(listener)

    def _notify(self, changed: frozenset[MachineKey]) -> None:
        if changed:
            for listener in self._listeners:
                listener(changed)

    def _notify_enrolled(self, changed: frozenset[MachineKey]) -> None:
        """Of enrolments, and then of what changed with them; a commit changes none."""
        if changed:
            for listener in self._enrolment_listeners:
                listener(changed)
        self._notify(changed)
