"""Facts that depend on the time when they are read."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tdc.manager.view.names import MachineKey
from tdc.manager.view.presence import Presence, SyncState
from tdc.shared.sync.values import Running
from tdc.v1 import agents_pb2

KEY = ("c1", "mx1")


class OneMachine:
    """A fleet of one machine that is enrolled."""

    def content_hash(self, cluster: str, machine: str) -> str | None:
        return "ab"

    def wanted(self, cluster: str, machine: str) -> agents_pb2.Wanted | None:
        return agents_pb2.Wanted(revision=7, hash="ab")

    def enrolment(self, cluster: str, machine: str) -> str | None:
        return "e1"

    def on_change(self, listener: Callable[[frozenset[MachineKey]], None], /) -> None: ...


@pytest.mark.parametrize("shared", [False, True])
def test_a_silence_grows_while_it_lasts(shared: bool) -> None:
    """However the wall clock is set meanwhile: a day back, a year ahead."""
    now = 1_000.0
    wall = now
    presence = Presence(OneMachine(), lambda: wall, lambda: now, shared=shared)
    presence.connected(KEY, "1.2.3")
    presence.heard(KEY, Running(7, "ab", "s"), None)
    now = wall = 1_015.0
    presence.disconnected(KEY, "nothing heard for 15 s", dead=True)
    for later, words in ((0, "15 s"), (60, "75 s"), (7_200, "2 h"), (10**6, "11 days")):
        now = 1_015.0 + later
        for step in (0, -86_400, 3e7):
            wall = now + step
            facts = presence.facts(*KEY)
            assert facts.state is SyncState.STALE
            assert facts.reason.startswith(f"nothing heard for {words}")
            assert ("another manager" in facts.reason) is shared
            assert facts.since == 1_000.0
            assert facts.lasts == 15 + later
