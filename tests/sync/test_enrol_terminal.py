"""`tdc-agent enrol` on a terminal: it says what it waits for, and Ctrl-C is no fault of ours."""

from __future__ import annotations

import os
from pathlib import Path

from tests.cli.terminal import on_terminal
from tests.sync.test_program import AGENT, config

PROMPT = "Paste the join token, then Enter:"


def enrol(folder: Path) -> list[str]:
    flags = ["--manager", "127.0.0.1:1", "--token-file", "-"]
    return ["enrol", "--config", str(config(folder)), *flags]


def test_ctrl_c_at_the_prompt_says_that_nothing_was_sent(tmp_path: Path) -> None:
    with on_terminal(enrol(tmp_path), dict(os.environ), [AGENT]) as terminal:
        assert PROMPT in terminal.read_until(PROMPT)
        terminal.type(b"\x03")
        seen = terminal.read_until(None)
        assert terminal.exit_code() == 130
    assert "tdc-agent: interrupted; nothing was sent" in seen
    assert "Traceback" not in seen


def test_a_token_that_is_pasted_is_read(tmp_path: Path) -> None:
    with on_terminal(enrol(tmp_path), dict(os.environ), [AGENT]) as terminal:
        terminal.read_until(PROMPT)
        terminal.type(b"not-a-token\n")
        seen = terminal.read_until(None)
        assert terminal.exit_code() == 1
    assert "tdc-agent: not enrolled: " in seen
