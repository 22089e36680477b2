"""The operator guide holds together: what one reads at 3 a.m. is what the product can do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
GUIDE = ROOT.joinpath("docs", "operator-guide.md").read_text("utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_heading_is_empty(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "code", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    lines = [line for line in text.splitlines() if line.strip()]
    for line, after in zip(lines, [*lines[1:], "# end"], strict=True):
        level, below = (re.match("#+ ", each) for each in (line, after))
        assert not level or not below or len(below[0]) > len(level[0]), line


def test_a_stolen_key_of_an_operator_is_answered_by_withdrawing_its_certificate() -> None:
    (row,) = re.findall(r"^\| an operator's key was copied.*$", GUIDE, re.MULTILINE)
    assert "tdc operator withdraw" in row
    assert "new CA" not in row
    for page in PAGES:
        words = " ".join(page.read_text("utf-8").split())
        assert "cannot be revoked" not in words, page.name
        assert "It can't be withdrawn" not in words, page.name


def test_every_port_of_a_manager_is_in_the_table_of_ports() -> None:
    table = GUIDE.split("| port | who connects | TLS |")[1].split("\n\n")[0]
    assert all(port in table for port in ("7443", "7444", "`operator_port`"))


def test_a_command_for_cron_says_what_cron_does_with_a_percent_sign() -> None:
    assert r"In a crontab write `\%F`" in " ".join(GUIDE.split())
