"""Settings as operators read them: what a level stores, what is in force on a machine, and why.

Promise: what is in force is answered from the view alone, also while etcd is unreachable; who set
it and why is shown where history can be read.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from tdc.manager.etcd.errors import EtcdError
from tdc.manager.intent.actor import Actor
from tdc.manager.intent.permissions import operation
from tdc.manager.intent.targets import LevelAsked, level_key, level_of
from tdc.manager.intent.within import require_cluster, within
from tdc.manager.levels.consistency import (
    Finding,
    Kind,
    ending_certificates,
    findings_of,
    not_known,
    operator_certificate_ends,
    other_versions,
)
from tdc.manager.levels.fleet import Cluster, LevelKey, StoredSettings
from tdc.manager.levels.resolve import ChainStep, explain, resolve
from tdc.manager.people.ending import ending_operators
from tdc.manager.store.history import History
from tdc.manager.store.record import CommitRecord
from tdc.manager.view.fleet import FleetView
from tdc.manager.view.presence import Presence
from tdc.manager.view.problems import unreachable
from tdc.manager.view.seen import SyncState
from tdc.manager.view.suspended import suspended_on
from tdc.shared.edge.clock import Clock, wall
from tdc.shared.settings.known import KNOWN_HERE
from tdc.shared.settings.schema import SCHEMA, setting
from tdc.shared.settings.values import Effective, Level
from tdc.shared.sync.suspension_state import NO_SUSPENSION, SuspensionFacts
from tdc.shared.sync.values import Attempt, Running

log = logging.getLogger(__name__)


_UNREAD = (
    "who set these values, and when, can't be read now, because etcd is unreachable; the values "
    "are those last known{since}"
)


@dataclass(frozen=True, slots=True)
class StoredLevel:
    """What one level of a cluster stores, as of a revision."""

    cluster: str
    revision: int
    key: LevelKey
    stored: StoredSettings


@dataclass(frozen=True, slots=True)
class ExplainedStep:
    """One level's part in a chain, and the commit that set it.

    Author and comment are empty and `time` (Unix seconds) is None if no commit set it, or if
    history can't be read or no longer has it.
    """

    step: ChainStep
    author: str = ""
    comment: str = ""
    time: float | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """The chains behind settings of one machine, by setting, nearest level first.

    `state` is the machine's sync state, `since` when it began and `reason` why it is not in sync,
    as in the status; `running` is what it last reported to run, None if nothing, and `attempt` its
    last attempt to apply settings. `unknown_there` are the settings that its agent doesn't know, of
    `agent_version`.
    `suspension` is what is suspended there, whatever the settings say.
    `unread` says why it is not shown who set the values, and when; empty if history was read.
    """

    cluster: str
    machine: str
    revision: int
    chains: Mapping[str, tuple[ExplainedStep, ...]]
    state: str
    running: Running | None
    unread: str = ""
    since: float | None = None
    reason: str = ""
    attempt: Attempt | None = None
    agent_version: str = ""
    unknown_there: frozenset[str] = frozenset()
    suspension: SuspensionFacts = NO_SUSPENSION


@dataclass(frozen=True, slots=True)
class Checked:
    """What is worth a look in a cluster, and what can't be known of it now, in sentences."""

    cluster: Cluster
    findings: tuple[Finding, ...]
    warnings: tuple[str, ...]


class SettingsOperations:
    """Reads of settings."""

    def __init__(
        self, view: FleetView, presence: Presence, history: History, clock: Clock = wall
    ) -> None:
        """`clock` gives Unix seconds: the end of a suspension is a moment that people named."""
        self._view = view
        self._presence = presence
        self._history = history
        self._clock = clock

    @operation("settings.read_level")
    async def read_level(self, actor: Actor, asked: LevelAsked) -> StoredLevel:
        """Read what one level stores; raises UnknownName, AmbiguousName, BadRequest."""
        cluster, key = level_of(within(self._view, actor), level_key(asked), asked.cluster)
        return StoredLevel(cluster.name, cluster.revision, key, cluster.stored_at(key))

    @operation("settings.read_effective")
    async def read_effective(self, actor: Actor, machine: str, cluster: str) -> Effective:
        """Read what is in force on a machine, with origins; raises UnknownName, AmbiguousName."""
        found, known = within(self._view, actor).find_machine(machine, cluster)
        return resolve(found, known.name)

    @operation("settings.explain")
    async def explain(self, actor: Actor, machine: str, cluster: str, name: str) -> Explanation:
        """Explain one setting of a machine, or all; raises UnknownName, SettingError."""
        found, known = within(self._view, actor).find_machine(machine, cluster)
        wanted = [setting(name).name] if name else list(SCHEMA)
        chains = {each: explain(found, known.name, each) for each in wanted}
        revisions = {step.revision for chain in chains.values() for step in chain if step.revision}
        commits, unread = await self._records(found.name, revisions)
        await self._presence.ask_others()
        facts = self._presence.facts(found.name, known.name)
        return Explanation(
            cluster=found.name,
            machine=known.name,
            revision=found.revision,
            chains={
                each: tuple(_explained(step, commits.get(step.revision)) for step in chain)
                for each, chain in chains.items()
            },
            state=facts.state,
            running=facts.status.running if facts.status is not None else None,
            unread=unread,
            since=facts.since,
            reason=facts.reason,
            attempt=facts.last_attempt,
            agent_version=facts.agent_version,
            unknown_there=frozenset() if facts.known is None else KNOWN_HERE - facts.known,
            suspension=suspended_on(self._view, found.name, known.name, facts, self._clock()),
        )

    @operation("settings.check")
    async def check(self, actor: Actor, cluster: str) -> Checked:
        """Look for what hides something, does nothing, or differs; raises UnknownName, …"""
        found = within(self._view, actor).find_cluster(cluster)
        require_cluster(actor, found.name, "a check of settings")
        await self._presence.ask_others()
        facts = {name: self._presence.facts(found.name, name) for name in sorted(found.machines)}
        late = (
            Finding(
                Kind.NOT_IN_SYNC,
                LevelKey(Level.MACHINE, name),
                "",
                f"it is {each.state}: {each.reason}" if each.reason else f"it is {each.state}",
                f"tdc machine show {name} --cluster {found.name}",
                each.since,
            )
            for name, each in facts.items()
            if each.state is not SyncState.IN_SYNC and each.since is not None
        )
        versions = other_versions((name, each.agent_version) for name, each in facts.items())
        less = not_known(
            (name, each.agent_version, each.known, each.lacks)
            for name, each in facts.items()
            if each.known is not None
        )
        ends = (
            (name, each.status.certificate_ends)
            for name, each in facts.items()
            if each.status is not None
        )
        ending = ending_certificates(found.name, ends, self._clock())
        of_agents = (*late, *ending, *versions, *less)
        operators = self._ending_operators(found)
        findings = (*self._ahead(found), *operators, *of_agents, *findings_of(found))
        # What is wrong with the store names keys, of other clusters too.
        problems = (
            self._view.problems if actor.reach.everywhere else unreachable(self._view.etcd_away)
        )
        return Checked(found, findings, (*problems, *self._presence.problems))

    def _ending_operators(self, cluster: Cluster) -> Iterator[Finding]:
        now = self._clock()
        for each in ending_operators(self._view.people.certificates_now, now):
            text = operator_certificate_ends(each.operator, each.fingerprint, each.ends, now)
            remedy = f"{each.remedy}, on a manager's machine"
            yield Finding(
                Kind.OPERATOR_CERTIFICATE, LevelKey(Level.CLUSTER, cluster.name), "", text, remedy
            )

    def _ahead(self, cluster: Cluster) -> Iterator[Finding]:
        for each in self._presence.ahead.in_cluster(cluster.name):
            remedy = f"tdc recover {cluster.name}"
            yield Finding(Kind.AHEAD, LevelKey(Level.CLUSTER, cluster.name), "", str(each), remedy)

    async def _records(
        self, cluster: str, revisions: Iterable[int]
    ) -> tuple[dict[int, CommitRecord], str]:
        """Read what history still has of these commits, and say why if etcd does not answer."""
        records: dict[int, CommitRecord] = {}
        if self._view.etcd_away:
            return records, _UNREAD.format(since=f" (unreachable since {self._view.etcd_away})")
        try:
            for revision in sorted(revisions):
                record = await self._history.commit_record(cluster, revision)
                if isinstance(record, CommitRecord):
                    records[revision] = record
        except EtcdError as error:
            log.warning("explained without authors: %s", error)
            return records, _UNREAD.format(since=f" ({error})")
        return records, ""


def _explained(step: ChainStep, commit: CommitRecord | None) -> ExplainedStep:
    if commit is None:
        return ExplainedStep(step)
    return ExplainedStep(step, commit.signature.author, commit.signature.comment, commit.time)
