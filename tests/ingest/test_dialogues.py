"""The content filter's behaviour on the wire, one script each (tests/dialogues/filter_*)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.stage.filter_dialogue import play

SCRIPTS = sorted((Path(__file__).parents[1] / "dialogues").glob("filter_*.smtp"))


def test_there_are_scripts() -> None:
    assert len(SCRIPTS) >= 30


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
@pytest.mark.proves("F26", "F38", "B24", "B28", "B43", "B50")
async def test_dialogue(script: Path, tmp_path: Path) -> None:
    await play(script, tmp_path)
