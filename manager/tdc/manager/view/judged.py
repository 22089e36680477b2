"""PURE. Since when machines at other managers are in the states that this manager judges.

The manager that has a machine's stream sees each change of its state. Where both judge alike, its
word counts. Where they do not, as when it has not heard of a commit, it can't say since when: that
is kept here, whatever it says again meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tdc.manager.view.names import MachineKey
from tdc.manager.view.seen import Moment, Seen, SyncState, rename


@dataclass(frozen=True, slots=True)
class Judged:
    """A state, and since when; `wanted` is when other settings were last wanted of the machine."""

    state: SyncState
    since: Moment
    wanted: Moment


class JudgedElsewhere:
    """What this manager judged of machines whose streams are elsewhere."""

    def __init__(self, started: Moment) -> None:
        """`started` is when this manager began to look."""
        self._started = started
        self._judged: dict[MachineKey, Judged] = {}

    def since(self, key: MachineKey, seen: Seen, state: SyncState) -> Moment:
        """Since when a machine is in `state`, which is judged of what another manager saw."""
        kept = self._judged.get(key)
        wanted = self._started if kept is None else kept.wanted
        if seen.state is state:
            since = seen.since
        elif kept is not None and kept.state is state and kept.since.at >= seen.since.at:
            return kept.since
        else:  # it was as the other says until, at the latest, something else was wanted of it
            since = max(seen.since, wanted)
        if kept is None or kept.state is not state or kept.since != since:
            self._judged[key] = Judged(state, since, wanted)
        return since

    def wanted(self, key: MachineKey, now: Moment) -> None:
        """Note that other settings are wanted of a machine."""
        kept = self._judged.get(key)
        state, since = (SyncState.UNKNOWN, now) if kept is None else (kept.state, kept.since)
        self._judged[key] = Judged(state, since, now)

    def forget(self, key: MachineKey) -> None:
        """Forget a machine that was removed."""
        self._judged.pop(key, None)

    def renamed(self, names: Mapping[MachineKey, MachineKey]) -> None:
        """Note that machines have another name now, each by that of before."""
        rename(self._judged, names)
