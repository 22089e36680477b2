"""The running manager against plain dictionaries; the long form is `make model`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.stage.model_walk import Walk, walk

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_the_manager_agrees_with_plain_dictionaries_after_each_step(tmp_path: Path) -> None:
    """Effective settings, origins, levels, names, history, drafts, suspensions and refusals."""
    walk(tmp_path, walks=6, length=25)
    assert Walk.steps > 10
    assert Walk.outcomes["commits"] > 0
