"""The product's own source: its three trees, its modules by name, and who imports whom."""

from __future__ import annotations

import ast
import functools
import tomllib
from pathlib import Path
from typing import Any

import grimp

ROOT = Path(__file__).parents[2]
TREES = {name: ROOT / name / "tdc" for name in ("manager", "node_agent", "shared")}
PACKAGES = ("tdc.shared", "tdc.manager", "tdc.node_agent")
GENERATED = ("tdc.v1", "tdc.manager.etcd.stubs")


@functools.cache
def modules() -> dict[str, Path]:
    """Each module of ours by its name, without what is generated."""
    found = {}
    for tree in TREES.values():
        for path in tree.rglob("*.py"):
            name = ".".join(("tdc", *path.relative_to(tree).with_suffix("").parts))
            found[name.removesuffix(".__init__")] = path
    return {name: path for name, path in sorted(found.items()) if not is_in(name, *GENERATED)}


def is_in(module: str, *packages: str) -> bool:
    """True where a module is one of these, or lies within one."""
    return any(module == package or module.startswith(f"{package}.") for package in packages)


@functools.cache
def marked_pure() -> frozenset[str]:
    """The modules whose docstring begins with the word PURE."""
    return frozenset(
        name
        for name, path in modules().items()
        if (ast.get_docstring(ast.parse(path.read_text())) or "").startswith("PURE")
    )


@functools.cache
def imports() -> grimp.ImportGraph:
    """Who imports whom, outside libraries included; imports for types alone count as well."""
    return grimp.build_graph(*PACKAGES, "tdc.v1", include_external_packages=True)


def contracts() -> list[dict[str, Any]]:
    """The import contracts in pyproject.toml."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return list(settings["tool"]["importlinter"]["contracts"])
