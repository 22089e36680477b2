"""The part of the model walk that drafts: rows here and at the manager are in the same states."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from tdc.manager.levels.changes import Edit, SetValues, UnsetValues
from tdc.manager.levels.fleet import LevelKey
from tdc.shared.settings.values import Level, Settings
from tdc.shared.wire.settings import LEVEL_FROM_WIRE
from tdc.v1 import fleet_pb2, operators_pb2

from tests.pure.dumb_levels import ABSENT, Dumb
from tests.pure.topology_edits import edits_for
from tests.stage.edits_on_the_wire import sent
from tests.stage.manager import level as level_ref
from tests.stage.model_asking import Asking

Wishes = dict[tuple[str, str, str], tuple[Any, Any, int]]
"""(level, name, setting) -> what it was when it was drafted, what it is to be, and the number of
the machine or group that it is for, 0 for the cluster."""


class Drafting(Asking):
    """Rules about the draft of the walk's cluster."""

    draft: Wishes
    aside: Wishes
    """What was discarded last."""

    @rule(data=st.data())
    def draft_something(self, data: st.DataObject) -> None:
        edits = [
            each
            for each in data.draw(edits_for(self.model))  # settings alone are drafted
            if isinstance(each, SetValues | UnsetValues)
            and (str(each.key.level), each.key.name) in self.model.levels
        ]
        wanted = [wish for edit in edits for wish in _wishes(edit)]
        if not wanted:
            return
        self._change(
            add=operators_pb2.DraftEdits(edits=[sent(each, self.cluster) for each in edits])
        )
        for level, setting, yours in wanted:
            was, number = self.model.levels[level].get(setting, ABSENT), self._number(*level)
            before = self.draft.get((*level, setting))
            if before is not None and before[2] == number:
                was = before[0]
            self.draft[*level, setting] = (was, yours, number)

    @precondition(lambda self: self.draft)
    @rule(data=st.data(), keep=st.booleans())
    def settle_a_row(self, data: st.DataObject, keep: bool) -> None:
        level, name, setting = row = data.draw(st.sampled_from(sorted(self.draft)))
        wire = operators_pb2.DraftSelection(
            level=_ref(level, name, self.cluster), settings=[setting]
        )
        if not keep:
            self._change(remove=wire)
            del self.draft[row]
        elif (level, name) in self.model.levels:
            self._change(keep=wire)
            now = self.model.levels[level, name].get(setting, ABSENT)
            self.draft[row] = (now, self.draft[row][1], self._number(level, name))

    @precondition(lambda self: self.draft)
    @rule()
    def commit_the_draft(self) -> None:
        """Only open rows are committed, in their order; what is done leaves it."""
        draft = self._run(self._api.drafts.GetDraft(self._get_draft()))
        if not draft.edits:
            return
        planned = self._run(self._api.plan(*draft.edits, cluster=self.cluster))
        if planned.problems:
            return
        edits: list[Edit] = []
        for (level, name, setting), (_, yours, _) in self.draft.items():
            if self._state(level, name, setting) == "open":
                key = LevelKey(Level(level), name)
                edits.append(
                    UnsetValues(key, (setting,))
                    if yours == ABSENT
                    else SetValues(key, Settings.of({setting: yours}))
                )
        made = self._run(self._api.commit_as_planned(planned, *draft.edits, cluster=self.cluster))
        self._moved_to(_one_by_one(self.model, edits), self.numbers, made.committed)
        self._change(tidy=operators_pb2.DraftNothingMore())
        self.draft = {row: wish for row, wish in self.draft.items() if self._state(*row) != "done"}

    @precondition(lambda self: self.draft)
    @rule()
    def discard_the_draft(self) -> None:
        self._change(discard=operators_pb2.DraftNothingMore())
        self.draft, self.aside = {}, self.draft

    @precondition(lambda self: self.aside and not self.draft)
    @rule()
    def restore_the_draft(self) -> None:
        self._change(restore=operators_pb2.DraftNothingMore())
        self.draft, self.aside = self.aside, {}

    def _drafted(self) -> None:
        draft = self._run(self._api.drafts.GetDraft(self._get_draft()))
        states = {(*self._level(row), row.setting): row.state for row in draft.rows}
        assert states == {row: self._state(*row) for row in self.draft}
        self.outcomes.update(f"rows {state}" for state in states.values())
        assert draft.discarded_count == len(self.aside)

    def _state(self, level: str, name: str, setting: str) -> str:
        was, yours, number = self.draft[level, name, setting]
        if (level, name) not in self.model.levels or self._number(level, name) != number:
            return "gone"
        now = self._now(level, name, setting)
        if now == yours:
            return "done"
        return "open" if now == was else "conflict"

    def _now(self, level: str, name: str, setting: str) -> Any:
        return self.model.levels.get((level, name), {}).get(setting, ABSENT)

    def _number(self, level: str, name: str) -> int:
        return self.numbers.get((level, name), 0)

    def _change(self, **what: Any) -> None:
        request = operators_pb2.ChangeDraftRequest(cluster=self.cluster, **what)
        self._run(self._api.drafts.ChangeDraft(request))

    def _get_draft(self) -> operators_pb2.GetDraftRequest:
        return operators_pb2.GetDraftRequest(cluster=self.cluster)

    def _level(self, row: operators_pb2.DraftRow) -> tuple[str, str]:
        level = str(LEVEL_FROM_WIRE[row.level])
        return level, "c1" if level == "cluster" else row.name


def _ref(level: str, name: str, cluster: str) -> fleet_pb2.LevelRef:
    return level_ref(level, cluster if level == "cluster" else name, cluster)


def _wishes(edit: SetValues | UnsetValues) -> list[tuple[tuple[str, str], str, Any]]:
    level = (str(edit.key.level), edit.key.name)
    if isinstance(edit, SetValues):
        return [(level, name, value) for name, value in edit.settings.items()]
    return [(level, name, ABSENT) for name in edit.names]


def _one_by_one(model: Dumb, edits: list[Edit]) -> Dumb:
    for edit in edits:
        model = model.after([edit])
    return model
