"""Who may import whom, where a list kept by hand would not do: the mark PURE, and the layers.

The other directions are contracts in pyproject.toml, which lint-imports holds.
"""

from __future__ import annotations

import re

import pytest

from tests.tree.source import PACKAGES, contracts, imports, is_in, marked_pure, modules

# What a pure file can't reach: the world (files, sockets, threads, processes), the clock, chance,
# and the formats and drivers of the edges.
IMPURE = {
    *("asyncio", "concurrent", "fcntl", "glob", "io", "logging", "multiprocessing", "os"),
    *("pathlib", "random", "secrets", "select", "selectors", "shutil", "signal", "socket"),
    *("socketserver", "sqlite3", "ssl", "subprocess", "tempfile", "threading", "time", "uuid"),
    *("aiosmtpd", "dns", "google", "grpc", "tenacity", "uvloop"),
    *("tdc.v1", "tdc.shared.edge"),
}

# What a pure file imports all the same, and why. An entry that is no longer needed fails the test.
EXCUSED = {
    ("tdc.node_agent.journal.report", "secrets"): "a new report's id, where the caller gives none",
}

# Exceptions are values too, but not every room's are marked. They may be imported, and are then
# held like the file that imports them.
UNMARKED = {"errors"}


def wrongs_of(module: str) -> list[str]:
    """What keeps a module from being pure, a sentence each."""
    wrongs = []
    for other in sorted(imports().find_modules_directly_imported_by(module)):
        if (module, other) in EXCUSED:
            continue
        line = imports().get_import_details(importer=module, imported=other)[0]["line_number"]
        where = f"{module}, line {line}, imports {other}"
        if is_in(other, *IMPURE):
            wrongs.append(where)
        elif is_in(other, *PACKAGES) and other not in marked_pure():
            wrongs += (
                wrongs_of(other) if other.split(".")[-1] in UNMARKED else [f"{where}: no PURE"]
            )
    return wrongs


def test_a_file_marked_pure_imports_only_its_like() -> None:
    """No driver, no clock, no chance, and of ours only what is PURE itself."""
    assert len(marked_pure()) > 40
    assert [wrong for module in sorted(marked_pure()) for wrong in wrongs_of(module)] == []


def test_every_excuse_is_needed() -> None:
    for module, other in EXCUSED:
        assert module in marked_pure()
        assert other in imports().find_modules_directly_imported_by(module)


def test_a_room_marked_pure_has_only_pure_files() -> None:
    """The mark of an `__init__.py` is a promise for the whole room."""
    rooms = {name for name in marked_pure() if modules()[name].name == "__init__.py"}
    assert {"tdc.manager.levels", "tdc.shared.settings", "tdc.shared.sync"} <= rooms
    assert {name for name in modules() if is_in(name, *rooms)} - marked_pure() == set()


@pytest.mark.parametrize(
    ("module", "impure"),
    [("tdc.manager.store.commit", "edge.clock"), ("tdc.node_agent.spool.folder", "pathlib")],
)
def test_the_rule_finds_what_it_is_for(module: str, impure: str) -> None:
    """Were these marked, the test above would fail."""
    assert any(impure in wrong for wrong in wrongs_of(module))


@pytest.mark.parametrize("container", PACKAGES)
def test_every_room_is_in_a_layer(container: str) -> None:
    """A room in no layer may import all and be imported by all: nobody decided where it belongs."""
    layers = {
        room
        for contract in contracts()
        if contract["type"] == "layers" and container in contract.get("containers", ())
        for layer in contract["layers"]
        for room in re.split(r"\s*[|:]\s*", layer)
    }
    rooms = {
        name.split(".")[2] for name in modules() if is_in(name, container) and name != container
    }
    assert rooms == layers
