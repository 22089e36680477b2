"""A state folder that this user can't look into is a fault in words, never a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tdc.node_agent.program import main
from tdc.shared.edge import durable_file

from tests.stage.other_user import acting_as_nobody, only_as_root, open_folder

pytestmark = only_as_root

TOKEN = f"tdc1.{'0' * 64}.aaaa"


@pytest.fixture
def config() -> Iterator[Path]:
    """An agent.toml that everyone can read; its state folder is root's, with an identity in it."""
    with open_folder() as folder:
        (folder / "state" / "identity").mkdir(parents=True)
        (folder / "state").chmod(0o700)
        file = folder / "agent.toml"
        file.write_text(
            'state_folder = "state"\n[manager]\naddresses = ["127.0.0.1:1"]\n'
            '[ingest]\nlisten = "127.0.0.1:0"\nnext_hop = "127.0.0.1:1"\n'
        )
        yield file


def _said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with acting_as_nobody(), pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code != 0
    return capsys.readouterr().err


def test_check_names_the_folder(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = _said(capsys, "check", "--config", str(config))
    state = config.parent / "state"
    assert f"state_folder: {state} is not writable for this user" in said
    assert f"identity.folder: {state}/identity can't be read: Permission denied" in said


def test_enrol_says_who_may(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ("--config", str(config), "--manager", "127.0.0.1:1", "--token", TOKEN)
    said = _said(capsys, "enrol", *flags)
    assert f"can't write in {config.parent}/state, which belongs to root" in said


def test_a_file_that_can_not_be_seen_is_neither_there_nor_missing(config: Path) -> None:
    hidden = config.parent / "state" / "identity"
    assert durable_file.exists(hidden)
    assert not durable_file.exists(hidden / "none")
    assert not durable_file.exists(config / "none")
    with acting_as_nobody(), pytest.raises(durable_file.NotReadable, match="Permission denied"):
        durable_file.exists(hidden)
