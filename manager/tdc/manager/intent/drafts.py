"""Drafts of operators: gathered, compared with the cluster as it is, shared, put aside.

A draft commits nothing by itself: its edits are planned and committed as any others are
(`changes`), by its owner or, once it is shared, by anybody who may commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tdc.manager.intent.actor import Actor
from tdc.manager.intent.asked_by import asked_by
from tdc.manager.intent.changes import require_etcd
from tdc.manager.intent.errors import BadRequest, UnknownDraft
from tdc.manager.intent.own_acts import OwnActs
from tdc.manager.intent.permissions import operation
from tdc.manager.intent.targets import ChangeAsked, LevelAsked, level_key, level_of, target_of
from tdc.manager.intent.within import Fleet, within
from tdc.manager.levels import draft as drafts
from tdc.manager.levels.changes import SetValues, UnsetValues
from tdc.manager.levels.draft import Draft, Row, Standing
from tdc.manager.levels.fleet import Cluster, LevelKey
from tdc.manager.levels.identities import identity_at, name_of
from tdc.manager.store.drafts import DraftStore
from tdc.manager.view.fleet import FleetView
from tdc.manager.view.names import SAY_WHICH, AmbiguousName
from tdc.shared.edge.clock import Clock, wall
from tdc.shared.settings.schema import setting
from tdc.shared.settings.values import Level


@dataclass(frozen=True, slots=True)
class Add:
    """Add edits of settings."""

    asked: ChangeAsked


@dataclass(frozen=True, slots=True)
class Remove:
    """Leave out a level's rows, or those of these settings."""

    level: LevelAsked
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Keep:
    """Let a level's rows stand on what it holds now: yours, not theirs."""

    level: LevelAsked
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Share:
    """Let others read and commit it, or no more."""

    on: bool


@dataclass(frozen=True, slots=True)
class Discard:
    """Put it aside."""


@dataclass(frozen=True, slots=True)
class Restore:
    """Take back what was discarded last."""


@dataclass(frozen=True, slots=True)
class Tidy:
    """Leave out what was committed."""


DraftChange = Add | Remove | Keep | Share | Discard | Restore | Tidy


@dataclass(frozen=True, slots=True)
class DraftRead:
    """A draft against its cluster at a revision."""

    draft: Draft
    revision: int
    rows: tuple[Standing, ...]

    @property
    def edits(self) -> tuple[SetValues | UnsetValues, ...]:
        """What commits its open rows."""
        return drafts.edits_of(self.rows)


class DraftOperations:
    """Reads the view; reads and writes drafts."""

    def __init__(
        self,
        view: FleetView,
        store: DraftStore,
        acts: OwnActs | None = None,
        clock: Clock = wall,
    ) -> None:
        """`acts` counts what each person does; without it, what he drafts alone."""
        self._view = view
        self._store = store
        self._acts = acts or OwnActs()
        self._clock = clock

    @operation("drafts.read")
    async def read(self, actor: Actor, cluster: str, owner: str) -> DraftRead:
        """Read a draft, the actor's own without `owner`; raises UnknownDraft, UnknownName, …"""
        found = within(self._view, actor).find_cluster(cluster)
        draft = self._of_now(await self._store.read(found.name, owner or actor.name))
        _require_shared(actor, draft, found)
        return self._against(found, draft)

    @operation("drafts.list")
    async def list_drafts(self, actor: Actor, cluster: str) -> list[DraftRead]:
        """List the actor's own drafts and those that are shared, by cluster, then by owner."""
        fleet = within(self._view, actor)
        name = fleet.find_cluster(cluster).name if cluster else ""
        found = [
            self._against(home, draft)
            for draft in map(self._of_now, await self._store.all(name))
            if (home := fleet.clusters.get(draft.cluster)) is not None
            and _may_read(actor, draft, home)
        ]
        return sorted(
            (each for each in found if not each.draft.is_empty),
            key=lambda each: (each.draft.cluster, each.draft.owner),
        )

    @operation("drafts.change")
    async def change(
        self, actor: Actor, cluster: str, owner: str, change: DraftChange | None
    ) -> DraftRead:
        """Change the actor's own draft, or tidy one that is shared.

        Raises EditRefused, UnknownLevel, UnknownName, UnknownDraft, BadRequest, TooManyActs,
        LostRace, …
        """
        if change is None:
            raise BadRequest("the request has no change of the draft that this version knows")
        require_etcd(self._view)
        if owner not in ("", actor.name) and not isinstance(change, Tidy):
            raise BadRequest(f"the draft is {owner}'s: only its owner can change it")
        wanted: list[drafts.Wish] = []
        fleet = within(self._view, actor)
        if isinstance(change, Add):
            found, edits = target_of(fleet, change.asked)
            wanted = drafts.wishes(_of_settings(edits))
        else:
            found = await self._cluster_of(fleet, change, cluster, actor.name)
        self._acts.take(actor.name)
        draft = await self._store.change(
            found.name,
            owner or actor.name,
            lambda before: self._changed(actor, found, before, change, wanted),
            asked_by(actor),
        )
        return self._against(found, draft)

    async def _cluster_of(
        self, fleet: Fleet, change: DraftChange, cluster: str, owner: str
    ) -> Cluster:
        """The cluster named, or else that of the draft that has the level, even a gone one."""
        if not isinstance(change, Remove | Keep):
            return fleet.find_cluster(cluster)
        if cluster or change.level.cluster:
            return fleet.find_cluster(cluster or change.level.cluster)
        key = level_key(change.level)
        if key.level is Level.CLUSTER:
            return level_of(fleet, key, "")[0]
        homes = {
            draft.cluster
            for draft in await self._store.all()
            if draft.owner == owner and any(row.key == key for row in draft.rows)
        } & fleet.clusters.keys()
        if len(homes) > 1:
            named = ", ".join(sorted(homes))
            raise AmbiguousName(f"your drafts of clusters {named} have {key}: {SAY_WHICH}")
        return fleet.clusters[homes.pop()] if homes else level_of(fleet, key, "")[0]

    def _changed(
        self,
        actor: Actor,
        cluster: Cluster,
        before: Draft,
        change: DraftChange,
        wanted: Sequence[drafts.Wish],
    ) -> Draft:
        now = self._clock()
        draft = drafts.aged(self._of_now(before), now)
        _require_shared(actor, draft, cluster)
        match change:
            case Add():
                return drafts.drafted(draft, cluster, wanted, now)
            case Remove(level, names):
                return drafts.without(draft, _key(level, cluster), _known(names), now)
            case Keep(level, names):
                return drafts.kept(draft, cluster, _key(level, cluster), _known(names), now)
            case Share(on):
                return drafts.shared(draft, now, on=on)
            case Discard():
                return drafts.discarded(draft, now)
            case Restore():
                return drafts.restored(draft, now)
            case Tidy():
                return drafts.tidied(draft, cluster, now)

    def _of_now(self, draft: Draft) -> Draft:
        """The draft; empty if its user was deleted, though another has his name by now."""
        owner = self._view.people.users.get(draft.owner)
        if owner is None or not (owner.deleted or owner.took_the_name_over(draft.changed)):
            return draft
        return Draft(draft.cluster, draft.owner)

    def _against(self, cluster: Cluster, draft: Draft) -> DraftRead:
        draft = drafts.aged(draft, self._clock())
        return DraftRead(draft, cluster.revision, drafts.standings(draft, cluster))


def _may_read(actor: Actor, draft: Draft, cluster: Cluster) -> bool:
    """Whether it is the actor's own, or shared and of nothing but what he reaches."""
    if draft.owner == actor.name:
        return True
    there = actor.reach.has_cluster(draft.cluster) or all(
        _is_there(cluster, row) for row in draft.rows
    )
    return draft.shared and there


def _is_there(cluster: Cluster, row: Row) -> bool:
    if row.key.level is Level.CLUSTER:
        return True
    if row.which is not None:
        return bool(name_of(cluster, row.key.level, row.which))
    return identity_at(cluster, row.key) is not None


def _require_shared(actor: Actor, draft: Draft, cluster: Cluster) -> None:
    if not _may_read(actor, draft, cluster):
        raise UnknownDraft(
            f"{draft.owner} has no draft of cluster {draft.cluster} that is shared: `tdc draft "
            "share` of its owner lets others read and commit it"
        )


def _of_settings(edits: Sequence[object]) -> list[SetValues | UnsetValues]:
    """The edits, which must set and unset; raises BadRequest."""
    found = [each for each in edits if isinstance(each, SetValues | UnsetValues)]
    if not found or len(found) < len(edits):
        raise BadRequest("a draft gathers settings that are set and unset, and nothing else")
    return found


def _key(level: LevelAsked, cluster: Cluster) -> LevelKey:
    key = level_key(level)
    return LevelKey(Level.CLUSTER, cluster.name) if key.level is Level.CLUSTER else key


def _known(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(setting(name).name for name in names)
