"""PURE. Levels in addresses: ``/c/emea``, ``/c/emea/g/eu``, ``/c/emea/m/mx1``, pages below."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from tdc.shared.settings.values import Level

PATHS = ("/c/{cluster}", "/c/{cluster}/g/{group}", "/c/{cluster}/m/{machine}")
"""Where the three levels are."""


@dataclass(frozen=True, slots=True)
class Place:
    """A cluster, or a group or machine in it."""

    cluster: str
    group: str = ""
    machine: str = ""

    @property
    def level(self) -> Level:
        """Which of the levels it is."""
        if self.machine:
            return Level.MACHINE
        return Level.GROUP if self.group else Level.CLUSTER

    @property
    def name(self) -> str:
        """Its own name."""
        return self.machine or self.group or self.cluster

    @property
    def words(self) -> str:
        """``machine mx1``."""
        return f"{self.level} {self.name}"

    @property
    def address(self) -> str:
        """Where it is, without a page."""
        if self.machine:
            return f"/c/{_in_path(self.cluster)}/m/{_in_path(self.machine)}"
        if self.group:
            return f"/c/{_in_path(self.cluster)}/g/{_in_path(self.group)}"
        return f"/c/{_in_path(self.cluster)}"

    def page(self, name: str) -> str:
        """Where a page of it is; what one level does not have, the nearest that does."""
        if name == "machines" and self.machine:
            return self.address
        return f"{self.address}/{name}"


def place_of(path: Mapping[str, str]) -> Place:
    """The level that an address names."""
    return Place(path["cluster"], path.get("group", ""), path.get("machine", ""))


def place_at(cluster: str, level: Level, name: str) -> Place:
    """The place of a level."""
    if level is Level.MACHINE:
        return Place(cluster, machine=name)
    return Place(cluster, group=name) if level is Level.GROUP else Place(cluster)


def _in_path(name: str) -> str:
    return quote(name, safe="")
