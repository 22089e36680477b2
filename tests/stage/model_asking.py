"""What a walk asks of the manager, and where it then stands.

In: edits. Out: the model and the numbers of machines and groups after them, which the manager must
agree with.
"""

from __future__ import annotations

import asyncio
import copy
import itertools
from collections import Counter
from collections.abc import Awaitable
from typing import ClassVar, TypeVar

import grpc
from tdc.manager.levels.changes import (
    AddGroup,
    AddMachine,
    Edit,
    RemoveGroup,
    RemoveMachine,
    RenameGroup,
    RenameMachine,
)
from tdc.shared.wire.settings import LEVEL_FROM_WIRE, settings_from_wire
from tdc.v1 import fleet_pb2, operators_pb2

from tests.pure.dumb_levels import Dumb
from tests.stage.edits_on_the_wire import sent
from tests.stage.manager import Api

T = TypeVar("T")

ANSWERED = 120.0
"""Seconds within which each call is answered, whatever else the processors do."""
CODE = grpc.StatusCode
REFUSALS = {CODE.NOT_FOUND, CODE.INVALID_ARGUMENT, CODE.FAILED_PRECONDITION, CODE.ABORTED}

NUMBERS = itertools.count(1)
Numbers = dict[tuple[str, str], int]
"""By level and name, of machines and groups."""


class Refused(Exception):
    """The manager refused the step; its text is the status."""


class Asking:
    """Asks the manager that `at` names, about one cluster; keeps the model of it.

    `numbers` has a number for each machine and group, which it keeps whatever it is called.
    """

    at: ClassVar[tuple[asyncio.AbstractEventLoop, Api]]
    steps: ClassVar[int] = 0
    """Steps of all walks."""
    outcomes: ClassVar[Counter[str]] = Counter()
    """What they met: commits, refusals, conflicts."""

    cluster: str
    model: Dumb
    past: list[Dumb]
    numbers: Numbers

    @property
    def _machines(self) -> dict[str, int]:
        """The numbers of machines, by name."""
        return {
            name: number for (level, name), number in self.numbers.items() if level == "machine"
        }

    @property
    def _api(self) -> Api:
        return self.at[1]

    def _run(self, call: Awaitable[T]) -> T:
        try:
            return self.at[0].run_until_complete(_awaited(call))
        except grpc.aio.AioRpcError as error:
            if error.code() in REFUSALS:
                self.outcomes["refusals"] += 1
                raise Refused(error.details()) from None
            raise

    def _plan(self, edits: list[Edit]) -> fleet_pb2.Plan:
        wire = [sent(each, self.cluster) for each in edits]
        return self._run(self._api.plan(*wire, cluster=self.cluster))

    def _make(self, plan: fleet_pb2.Plan, edits: list[Edit]) -> operators_pb2.CommitResponse:
        wire = [sent(each, self.cluster) for each in edits]
        return self._run(self._api.commit_as_planned(plan, *wire, cluster=self.cluster))

    def _commit(self, edits: list[Edit]) -> None:
        plan = self._plan(edits)
        try:
            made = self._make(plan, edits)
        except Refused:
            assert plan.problems
            return
        assert not plan.problems
        self._moved_to(self.model.after(edits), followed(self.numbers, edits), made.committed)

    def _step_back(self, edit: fleet_pb2.Edit) -> Dumb | None:
        """Commit a step back and take the manager's word for the outcome; None if it made none."""
        try:
            plan = self._run(self._api.plan(edit, cluster=self.cluster))
            if plan.problems:
                return None
            made = self._run(self._api.commit_as_planned(plan, edit, cluster=self.cluster))
        except Refused:
            return None
        found = self._found()
        self._moved_to(found, followed_as_planned(self.numbers, plan), made.committed)
        return found

    def _moved_to(self, model: Dumb, numbers: Numbers, committed: bool) -> None:
        if committed:
            self.outcomes["commits"] += 1
            were = {number: key for key, number in self.numbers.items()}
            self.outcomes["renames"] += sum(
                were.get(number, key) != key for key, number in numbers.items()
            )
            self.model, self.numbers = model, numbers
            self.past.append(copy.deepcopy(model))
        else:
            assert (model.levels, model.group_of) == (self.model.levels, self.model.group_of)

    def _found(self) -> Dumb:
        request = operators_pb2.GetClusterRequest(cluster=self.cluster)
        whole = self._run(self._api.changes.GetCluster(request))
        found = Dumb("c1", {("cluster", "c1"): dict(settings_from_wire(whole.settings))})
        for group in whole.groups:
            found.levels["group", group.name] = dict(settings_from_wire(group.settings))
            for machine in group.machines:
                found.levels["machine", machine.name] = dict(settings_from_wire(machine.settings))
                found.group_of[machine.name] = group.name
        return found


async def _awaited(call: Awaitable[T]) -> T:
    async with asyncio.timeout(ANSWERED):
        return await call


def followed(numbers: Numbers, edits: list[Edit]) -> Numbers:
    """The numbers of machines and groups after edits."""
    numbers = dict(numbers)
    for edit in edits:
        match edit:
            case AddMachine(name):
                numbers["machine", name] = next(NUMBERS)
            case RenameMachine(name, to):
                numbers["machine", to] = numbers.pop(("machine", name))
            case RemoveMachine(name):
                del numbers["machine", name]
            case AddGroup(name):
                numbers["group", name] = next(NUMBERS)
            case RenameGroup(name, to):
                numbers["group", to] = numbers.pop(("group", name))
            case RemoveGroup(name):
                del numbers["group", name]
    return numbers


def followed_as_planned(numbers: Numbers, plan: fleet_pb2.Plan) -> Numbers:
    """The numbers of machines and groups after a step back, which says itself what it does."""
    rows = [(str(LEVEL_FROM_WIRE[each.level]), each) for each in plan.topology]
    left = [(level, each.name if each.removed else each.before_name) for level, each in rows]
    after = {key: number for key, number in numbers.items() if key not in left}
    for level, each in rows:
        if not each.removed:
            was = numbers[level, each.before_name] if each.before_name else next(NUMBERS)
            after[level, each.name] = was
    return after
