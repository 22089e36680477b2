"""Random operations on a running manager and on plain dictionaries: they agree after each step.

The dictionaries (`Dumb`, and here a list of them for the past, one for a draft, one for what is
suspended) know nothing of stores, plans and revisions. What they don't decide is whether a result
is valid and whether a step back is refused; then nothing may have changed. A machine or a group has
a number here that it keeps under any name, and so do suspensions and rows of the draft.
`make model` is the long form.
"""

from __future__ import annotations

import asyncio
import copy
import sys
import tempfile
import uuid
from collections.abc import Awaitable
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tdc.manager.levels.changes import (
    RemoveMachine,
    RenameMachine,
)
from tdc.manager.levels.identities import MOST_FORMER
from tdc.shared.settings.schema import SCHEMA
from tdc.shared.wire.settings import LEVEL_FROM_WIRE, settings_from_wire
from tdc.v1 import fleet_pb2, operators_pb2

from tests.examples import examples
from tests.pure.dumb_levels import Dumb
from tests.pure.topology_edits import edits_for
from tests.stage.manager import add_group, add_machine, manager, put, rename_cluster, restore
from tests.stage.model_asking import NUMBERS, Refused, followed
from tests.stage.model_drafting import Drafting, Wishes

WORKS = ("copying", "delivery")


class Walk(Drafting, RuleBasedStateMachine):
    """Each walk has a cluster of its own on one manager, which `at` names."""

    @initialize()
    def begin(self) -> None:
        self.cluster = f"walk{next(NUMBERS)}"
        self._run(self._api.create_cluster(self.cluster))
        self.past: list[Dumb] = []
        self.left: list[str] = []
        """Names that it had and no other cluster has; those that are not too long ago."""
        self.former: list[str] = []
        self.others: list[str] = []
        """Clusters that got a name which it had."""
        self._begin_again()

    def _begin_again(self) -> None:
        """A cluster that was just created: nothing of one before is in it but its history."""
        self.model = Dumb("c1", {("cluster", "c1"): {}, ("group", "Main_Group"): {}})
        self.past.append(copy.deepcopy(self.model))
        self.first = len(self.past)
        self.numbers = {("group", "Main_Group"): next(NUMBERS)}
        self.suspended: dict[int, dict[str, str]] = {}
        self.draft: Wishes = {}
        self.aside: Wishes = {}

    # -- commits -----------------------------------------------------------------------------------

    @rule(data=st.data())
    def commit(self, data: st.DataObject) -> None:
        self._commit(data.draw(edits_for(self.model, renaming=True)))

    @rule(data=st.data())
    def commit_what_was_planned_before_somebody_else_came(self, data: st.DataObject) -> None:
        """It has the outcome that was planned, or is refused."""
        mine, theirs = (data.draw(edits_for(self.model, renaming=True)) for _ in range(2))
        planned = self._plan(mine)
        self._commit(theirs)
        if planned.problems:
            return
        try:
            made = self._make(planned, mine)
        except Refused:
            return
        self._moved_to(self.model.after(mine), followed(self.numbers, mine), made.committed)

    @precondition(lambda self: len(self._machines) > 1)
    @rule(data=st.data())
    def commit_what_was_planned_before_names_were_swapped(self, data: st.DataObject) -> None:
        """It names none of those two, or is refused."""
        mine = data.draw(edits_for(self.model, renaming=True))
        planned, were = self._plan(mine), self._machines
        one, other = data.draw(st.permutations(sorted(self._machines)))[:2]
        spare = f"spare{next(NUMBERS)}"  # a step back may have left an earlier one there
        for name, to in ((one, spare), (other, one), (spare, other)):
            self._commit([RenameMachine(name, to)])
        if planned.problems:
            return
        try:
            made = self._make(planned, mine)
        except Refused:
            return
        swapped = {name for name, number in were.items() if self._machines.get(name) != number}
        named = {each.machine for each in planned.machines}
        level = fleet_pb2.LEVEL_MACHINE
        named |= {each.before_name or each.name for each in planned.topology if each.level == level}
        named |= {each.name for each in planned.levels if each.level == level}
        assert not named & swapped, "another machine has that name now"
        self._moved_to(self.model.after(mine), followed(self.numbers, mine), made.committed)

    @rule(wrong=st.sampled_from(["machine", "group", "again", "level", "fingerprint"]))
    def ask_for_what_can_not_be(self, wrong: str) -> None:
        edit = {
            "machine": add_machine("mx9", "nowhere"),
            "group": fleet_pb2.Edit(
                move_machine=fleet_pb2.MoveMachine(name="mx99", group="Main_Group")
            ),
            "again": add_group(next(name for level, name in self.model.levels if level == "group")),
            "level": put("group", "nowhere", self.cluster, retry__initial=1),
            "fingerprint": put("cluster", self.cluster, retry__initial=77),
        }[wrong]
        try:
            plan = self._run(self._api.plan(edit, cluster=self.cluster))
            plan.fingerprint = "0" * len(plan.fingerprint)
            self._run(self._api.commit_as_planned(plan, edit, cluster=self.cluster))
        except Refused:
            return
        raise AssertionError(f"{wrong} was not refused")

    @rule(data=st.data())
    def roll_back(self, data: st.DataObject) -> None:
        """What there was has its settings and its place of then; what came since has none."""
        revision = data.draw(st.integers(1, len(self.past)))
        then = self.past[revision - 1]
        found = self._step_back(restore(revision))
        assert found is None or revision >= self.first, "it is of a cluster that was deleted"
        if found is None:
            return
        for level, values in found.levels.items():
            assert values == then.levels.get(level, {}), (level, revision)
        assert then.levels.keys() <= found.levels.keys()
        assert then.group_of.items() <= found.group_of.items()

    @rule(data=st.data())
    def revert(self, data: st.DataObject) -> None:
        """The newest commit undone is the cluster as it was before; others only keep the rules."""
        revision = data.draw(st.integers(1, len(self.past)))
        edit = fleet_pb2.Edit(revert=fleet_pb2.RevertRevision(revision=revision))
        newest = revision == len(self.past)
        found = self._step_back(edit)
        assert found is None or revision > self.first, "what there was before is another cluster"
        if found is None or not newest:
            return
        before = self.past[revision - 2]
        assert found.levels == before.levels
        assert found.group_of == before.group_of

    # -- the whole cluster, and beside its history -------------------------------------------------

    @precondition(lambda self: len(self.past) > self.first + 3)
    @rule(refused=st.booleans())
    def delete_the_cluster_and_create_it_again(self, refused: bool) -> None:
        """Machines keep it. Its history goes on; all else of it is gone."""
        delete = fleet_pb2.Edit(remove_cluster=fleet_pb2.RemoveCluster(name=self.cluster))
        if self.model.group_of:
            try:
                self._run(self._api.plan(delete))
            except Refused:
                pass
            else:
                raise AssertionError("a cluster with machines was to be deleted")
            if refused:
                return
            self._commit([RemoveMachine(name) for name in sorted(self.model.group_of)])
            if self.model.group_of:
                return
        plan = self._run(self._api.plan(delete))
        made = self._run(self._api.commit_as_planned(plan, delete, cluster=self.cluster))
        assert made.revision == len(self.past) + 1
        self.past.append(Dumb("c1", {}))
        self.outcomes["deletions"] += 1
        names = self._run(
            self._api.fleet.ListClusters(operators_pb2.ListClustersRequest())
        ).clusters
        assert self.cluster not in [each.name for each in names]
        assert self._revisions() == list(range(len(self.past), 0, -1))
        self._run(self._api.create_cluster(self.cluster))
        self.former.clear()
        self.left.clear()  # its history goes on by the name that it was deleted by
        self._begin_again()

    @rule(back=st.booleans(), give_away=st.booleans())
    def rename_the_cluster(self, back: bool, give_away: bool) -> None:
        """All that is in it stays; another that gets its old name has nothing of it."""
        was = self.cluster
        self.cluster = self.left.pop() if back and self.left else f"walk{next(NUMBERS)}"
        edit = rename_cluster(was, self.cluster)
        plan = self._run(self._api.plan(edit))
        made = self._run(self._api.commit_as_planned(plan, edit))
        assert (made.cluster, made.revision) == (self.cluster, len(self.past) + 1)
        self.past.append(copy.deepcopy(self.model))
        self.outcomes["renamed clusters"] += 1
        self.former = [*(each for each in self.former if each != self.cluster), was]
        self.left = [each for each in self.left if each in self.former[-MOST_FORMER:]]
        if not give_away:
            self.left.append(was)
            return
        self._run(self._api.create_cluster(was))
        self.others.append(was)
        for machine in list(self.model.group_of)[:1]:
            self._run(self._api.commit(add_machine(machine, "Main_Group"), cluster=was))

    @precondition(lambda self: self.model.group_of)
    @rule(data=st.data(), reason=st.sampled_from(["disk", "loop"]))
    def suspend_or_resume(self, data: st.DataObject, reason: str) -> None:
        """What is ordered again alike changes nothing."""
        machines = data.draw(st.sets(st.sampled_from(sorted(self.model.group_of)), min_size=1))
        works = data.draw(st.sets(st.sampled_from(WORKS), min_size=1))
        suspend = data.draw(st.booleans())
        reply = self._run(self._ordered(sorted(machines), works, reason if suspend else ""))
        changed, numbers = set[str](), self._machines
        for name in machines:
            there = self.suspended.get(numbers[name], {})
            now = {**there, **dict.fromkeys(works, reason)} if suspend else _without(there, works)
            changed |= {name} if now != there else set()
            self.suspended[numbers[name]] = now
        assert {row.machine for row in reply.machines if row.changed} == changed
        self.outcomes["suspensions"] += len(changed)

    def _ordered(
        self, machines: list[str], works: set[str], reason: str
    ) -> Awaitable[operators_pb2.SuspensionResponse]:
        copying, delivery = (work in works for work in WORKS)
        what = (machines, self.cluster, copying, delivery, str(uuid.uuid4()))
        if reason:
            suspend = operators_pb2.SuspendRequest(
                machines=what[0], cluster=what[1], copying=what[2], delivery=what[3],
                request_id=what[4], reason=reason,
            )  # fmt: skip
            return self._api.fleet.SuspendMachines(suspend)
        resume = operators_pb2.ResumeRequest(
            machines=what[0], cluster=what[1], copying=what[2], delivery=what[3], request_id=what[4]
        )
        return self._api.fleet.ResumeMachines(resume)

    # -- they agree --------------------------------------------------------------------------------

    @invariant()
    def agree(self) -> None:
        if not hasattr(self, "model"):
            return
        type(self).steps += 1
        found = self._found()
        assert found.levels == self.model.levels
        assert found.group_of == self.model.group_of
        for machine in self.model.group_of:
            self._in_force(machine)
        for name in (self.cluster, *self.left):
            assert self._revisions(name) == list(range(len(self.past), 0, -1))
        for name in self.others:
            assert len(self._revisions(name)) <= 2
        self._suspended()
        self._drafted()

    def _revisions(self, name: str = "") -> list[int]:
        request = operators_pb2.ListCommitsRequest(cluster=name or self.cluster, limit=1_000)
        commits = self._run(self._api.changes.ListCommits(request)).commits
        assert len({each.request_id for each in commits}) == len(commits)
        return [each.revision for each in commits]

    def _suspended(self) -> None:
        request = operators_pb2.StatusRequest(cluster=self.cluster)
        rows = self._run(self._api.monitoring.GetStatus(request)).machines
        wanted = {
            row.name: {
                work: getattr(row.suspension, f"wanted_{work}").reason
                for work in WORKS
                if row.suspension.HasField(f"wanted_{work}")
            }
            for row in rows
        }
        assert wanted == {
            name: self.suspended.get(number, {}) for name, number in self._machines.items()
        }

    def _in_force(self, machine: str) -> None:
        request = operators_pb2.GetEffectiveRequest(machine=machine, cluster=self.cluster)
        effective = self._run(self._api.settings.GetEffective(request))
        values = settings_from_wire(effective.settings)
        model = self.model.effective(machine)
        assert {name: values.get(name) for name in SCHEMA} == model
        chain = [("machine", machine), ("group", self.model.group_of[machine]), ("cluster", "c1")]
        for name in SCHEMA:
            origin = effective.origins[name]
            nearest = next((one for one in chain if name in self.model.levels[one]), None)
            level = str(LEVEL_FROM_WIRE[origin.level])
            assert level == (nearest[0] if nearest else "default"), (machine, name)


def _without(there: dict[str, str], works: set[str]) -> dict[str, str]:
    return {work: reason for work, reason in there.items() if work not in works}


def walk(folder: Path, *, walks: int, length: int) -> None:
    """Start a manager in this folder, and walk so often, so many steps at most each time."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)  # gRPC takes it where a call is made
    try:
        running = manager(folder / "manager")
        Walk.at = (loop, loop.run_until_complete(running.__aenter__()))
        try:
            run_state_machine_as_test(
                Walk,
                settings=settings(
                    examples(walks),
                    stateful_step_count=length,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            loop.run_until_complete(running.__aexit__(None, None, None))
    finally:
        asyncio.set_event_loop(None)
        loop.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="tdc-model-") as place:
        walk(Path(place), walks=int(sys.argv[1]) if sys.argv[1:] else 75, length=40)
    told = ", ".join(f"{count} {what}" for what, count in sorted(Walk.outcomes.items()))
    print(f"model: {Walk.steps} steps, all agree ({told})")
