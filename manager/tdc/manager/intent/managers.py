"""The managers of this store, as operators see them: who is there, who answers, what etcd holds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.errors import EtcdError, EtcdRefused
from tdc.manager.etcd.values import EtcdStatus
from tdc.manager.etcd.writes import HOUR
from tdc.manager.intent.actor import Actor
from tdc.manager.intent.permissions import operation
from tdc.manager.store.announced import Announced
from tdc.manager.view.fleet import FleetView
from tdc.manager.view.managers import PeerFacts

AGENTS = "agents"
"""For whom the writes are counted that agents cause."""


ETCD_PATIENCE = 4.0
"""Seconds that etcd has to say how it does: less than operators wait for the manager."""


class Others(Protocol):
    """The other managers."""

    async def facts(self) -> Sequence[tuple[Announced, PeerFacts | str]]:
        """How each of them does, or why it does not answer."""


@dataclass(frozen=True, slots=True)
class ManagerRow:
    """One manager. `problem` is why it does not answer (then nothing is known of what follows it),
    or what is wrong with one that does.

    `clock_ahead` is in seconds, against the manager that was asked; `owns` is what it alone does.
    """

    announced: Announced
    asked: bool
    problem: str = ""
    machines: int | None = None
    clock_ahead: float | None = None
    owns: tuple[str, ...] = ()

    @property
    def answers(self) -> bool:
        """Whether it answered."""
        return self.machines is not None


@dataclass(frozen=True, slots=True)
class ManagerStatus:
    """The manager that was asked, and its etcd; `etcd` is None where that can't be asked.

    `writes` counts transactions that wrote, by who asked, within `watched` seconds.
    """

    manager: ManagerRow
    endpoints: tuple[str, ...]
    etcd: EtcdStatus | None
    etcd_problem: str
    members: tuple[str, ...]
    writes: Mapping[str, int]
    watched: float
    per_agent_hour: float
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Own:
    """This manager: what it announces, its streams, and what it alone does now, as last seen."""

    announced: Callable[[], Announced]
    streams: Callable[[], int]
    owners: Callable[[], Mapping[str, str]]
    """Work -> id of the manager that does it; empty where nobody does."""
    trouble: Callable[[], str] = str
    """Why it has no etcd; empty while it has."""


class ManagerOperations:
    """Reads of the managers themselves."""

    def __init__(
        self,
        own: Own,
        others: Others,
        etcd: EtcdClient,
        view: FleetView,
        endpoints: tuple[str, ...],
    ) -> None:
        """`endpoints` are those of an external etcd; empty for the embedded one."""
        self._own = own
        self._others = others
        self._etcd = etcd
        self._view = view
        self._endpoints = endpoints

    @operation("managers.list")
    async def list_managers(self, actor: Actor) -> tuple[ManagerRow, ...]:
        """All managers, those that do not answer too; by name."""
        rows = [self._own_row()]
        for announced, answer in await self._others.facts():
            owns = self._owned_by(announced.id)
            if isinstance(answer, str):
                rows.append(ManagerRow(announced, asked=False, problem=answer, owns=owns))
            else:
                facts = (answer.problem, answer.machines, answer.clock_ahead)
                rows.append(ManagerRow(announced, False, *facts, owns))
        return tuple(sorted(rows, key=lambda row: (row.announced.name, row.announced.id)))

    @operation("managers.status")
    async def read_status(self, actor: Actor) -> ManagerStatus:
        """The manager that is asked, and its etcd."""
        (etcd, problem), members = await asyncio.gather(self._etcd_status(), self._members())
        writes = self._etcd.writes
        by, watched, streams = writes.last_hour(), writes.watched, self._own.streams()
        per_hour = by.get(AGENTS, 0) * HOUR / max(watched, 1.0) / max(streams, 1)
        return ManagerStatus(
            manager=self._own_row(),
            endpoints=self._endpoints,
            etcd=etcd,
            etcd_problem=problem,
            members=members,
            writes=by,
            watched=watched,
            per_agent_hour=per_hour,
            warnings=self._view.problems,
        )

    def _own_row(self) -> ManagerRow:
        own = self._own.announced()
        trouble, streams = self._own.trouble(), self._own.streams()
        return ManagerRow(own, True, trouble, streams, 0.0, self._owned_by(own.id))

    def _owned_by(self, manager: str) -> tuple[str, ...]:
        return tuple(work for work, owner in self._own.owners().items() if owner == manager)

    async def _etcd_status(self) -> tuple[EtcdStatus | None, str]:
        try:
            async with asyncio.timeout(ETCD_PATIENCE):
                return await self._etcd.status(), ""
        except TimeoutError:
            return None, f"etcd did not answer within {ETCD_PATIENCE:g} s"
        except EtcdRefused as error:
            return None, f"{error} (from 3.5.28 on only root may ask for it)"
        except EtcdError as error:
            return None, str(error)

    async def _members(self) -> tuple[str, ...]:
        try:
            async with asyncio.timeout(ETCD_PATIENCE):
                members = await self._etcd.members()
        except (EtcdError, TimeoutError):
            return ()
        return tuple(each.name or next(iter(each.endpoints), "not started") for each in members)
