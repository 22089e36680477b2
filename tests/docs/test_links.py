"""What a page points at exists: other pages, their sections, and files of the programs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMING = [ROOT / "docs" / name for name in ("promises.md", "architecture.md")]


def _anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and GitLab make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    """To a file or folder that exists, and to a section that it has."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        if anchor:
            assert anchor in _anchors(linked), target


@pytest.mark.parametrize("tree", ["manager", "node_agent", "shared", "proto", "tests"])
def test_no_comment_cites_a_document_that_a_clone_does_not_have(tree: str) -> None:
    """Only pages in docs/ are cited, and those that are cited exist."""
    files = [path for path in (ROOT / tree).rglob("*") if path.suffix in {".py", ".proto", ".sql"}]
    assert files
    for path in files:
        text = path.read_text("utf-8")
        assert not re.findall(r"\b[A-Z][A-Z-]{4,}(?:\.md)?,? section \d", text), path
        for name in re.findall(r"\bdocs/(\w[\w/-]*)", text):
            assert list((ROOT / "docs").glob(f"{name}*")), f"{path}: docs/{name}"


@pytest.mark.parametrize("page", NAMING, ids=lambda page: page.name)
def test_every_file_of_a_program_that_a_page_names_exists(page: Path) -> None:
    """`manager/levels/plan.py` stands for manager/tdc/manager/levels/plan.py."""
    named = set(re.findall(r"`((?:manager|node_agent|shared)/[\w/]+\.py)", page.read_text("utf-8")))
    assert len(named) > 10
    for each in sorted(named):
        tree = each.split("/")[0]
        assert (ROOT / each).exists() or (ROOT / tree / "tdc" / each).exists(), each
