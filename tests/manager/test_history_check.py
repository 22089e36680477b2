"""Commits while managers and members of etcd are killed; the long form is `make history-check`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.stage.history_check import history_check

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.mark.proves("P13", "F44", "F50", "F53")
async def test_what_was_acknowledged_is_in_history_once_and_what_was_refused_is_not(
    tmp_path: Path,
) -> None:
    seen = await history_check(tmp_path, kills=12)
    assert seen.kills >= 12
    assert seen.counts["acknowledged"] > 20, "there was something to check"
    assert seen.counts["refused"], "and something that may not be there"
    assert seen.revisions == seen.counts["acknowledged"] + seen.made_unheard + 2
