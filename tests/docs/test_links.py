"""What a page points at exists: other pages, their sections, and files of the programs."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from tdc.manager.web.table import TABLE

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


def test_every_folder_of_the_tests_has_its_row() -> None:
    """A newcomer looks there for the test of a room."""
    page = (ROOT / "docs/architecture.md").read_text("utf-8")
    table = page.split("## The tests")[1].split("\n## ")[0]
    for folder in (ROOT / "tests").iterdir():
        if folder.is_dir() and folder.name != "__pycache__":
            assert f"`{folder.name}`" in table, folder.name


def test_decisions_are_numbered_in_a_row() -> None:
    """A gap or a twin would make a number that comments cite mean nothing."""
    paths = sorted((ROOT / "docs/decisions").glob("*.md"))
    assert [int(path.name[:4]) for path in paths] == list(range(1, len(paths) + 1))
    for path in paths:
        assert path.read_text("utf-8").startswith(f"# {path.name[:4]} "), path.name


def test_every_dependency_has_its_reason() -> None:
    """docs/dependencies.md says why each package of pyproject.toml is here."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(name for names in extras.values() for name in names)]
    page = (ROOT / "docs/dependencies.md").read_text("utf-8").lower()
    for each in wanted:
        name = re.split(r"[<>=]", each)[0].lower()
        assert name in page or name.startswith("types-"), name


@pytest.mark.parametrize("page", NAMING, ids=lambda page: page.name)
def test_every_file_of_a_program_that_a_page_names_exists(page: Path) -> None:
    """`manager/levels/plan.py` stands for manager/tdc/manager/levels/plan.py."""
    named = set(re.findall(r"`((?:manager|node_agent|shared)/[\w/]+\.py)", page.read_text("utf-8")))
    assert len(named) > 10
    for each in sorted(named):
        tree = each.split("/")[0]
        assert (ROOT / each).exists() or (ROOT / tree / "tdc" / each).exists(), each


def test_the_console_s_page_map_has_every_page() -> None:
    """docs/console.md names the address of each, at a cluster where it is at all levels."""
    text = (ROOT / "docs/console.md").read_text("utf-8")
    pages = [row.path for row in TABLE if row.method == "GET" and not row.of_api]
    assert len(pages) > 10
    for path in pages:
        plain = re.sub(r"\{([a-z]+)\}", lambda found: found[1].upper(), path)
        if (
            "/g/" not in path
            and not path.endswith("/edit")
            and plain not in ("/go", "/static/NAME")
        ):
            assert f"`{plain.replace('/m/MACHINE/delivery', '/delivery')}`" in text, path
