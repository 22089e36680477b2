"""PURE. What a cluster's settings hold that hides something above it, or does nothing at all.

Nothing here is wrong by itself: a value that equals the one above pins it, an override is what
levels are for. Each finding is a line for who looks after the cluster, with what would undo it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tdc.manager.levels.fleet import Cluster, LevelKey, StoredSettings
from tdc.manager.levels.resolve import winning_level
from tdc.shared.mail.address import domain_of, matching_form
from tdc.shared.settings.known import KNOWN_HERE, unknown_there
from tdc.shared.settings.schema import SCHEMA
from tdc.shared.settings.values import Level, Origin, Policy, same_value
from tdc.shared.sync.words import moment_words


class Kind(StrEnum):
    """What was found; a word for programs."""

    OVERRIDE = "override"
    SAME = "same"
    UNREACHED_POLICY = "unreached-policy"
    NOT_IN_SYNC = "not-in-sync"
    OTHER_VERSION = "other-version"
    LACKS_SETTING = "lacks-setting"
    KNOWS_LESS = "knows-less"
    AHEAD = "ahead"
    CERTIFICATE = "certificate"
    OPERATOR_CERTIFICATE = "operator-certificate"


CERTIFICATE_NEAR = 5 * 86_400.0
"""Seconds before its end from which a machine's certificate is named: it lasts 14 days and is
renewed after 7, so a renewal has failed for days."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: of a level, perhaps of one setting there. `remedy` is a command, or what to do.

    `since` is Unix seconds, of what is so since a known time.
    """

    kind: Kind
    key: LevelKey
    setting: str
    text: str
    remedy: str
    since: float | None = None


def findings_of(cluster: Cluster) -> tuple[Finding, ...]:
    """Look at every level, nearest first, then by name."""
    return tuple(finding for key in _levels(cluster) for finding in _at(cluster, key))


def other_versions(versions: Iterable[tuple[str, str]]) -> tuple[Finding, ...]:
    """Of (machine, agent version), those that differ from what most machines run.

    Of two that are equally frequent the higher in order of text counts as the one that most run.
    """
    known = sorted((name, version) for name, version in versions if version)
    counts: dict[str, int] = {}
    for _, version in known:
        counts[version] = counts.get(version, 0) + 1
    if len(counts) < 2:
        return ()
    most = max(counts, key=lambda version: (counts[version], version))
    return tuple(
        Finding(
            Kind.OTHER_VERSION,
            LevelKey(Level.MACHINE, name),
            "",
            f"it runs version {version} of the agent, most machines run {most}",
            f"install {most} there, or {version} on the others",
        )
        for name, version in known
        if version != most
    )


def not_known(
    agents: Iterable[tuple[str, str, frozenset[str], Sequence[str]]],
) -> tuple[Finding, ...]:
    """Of (machine, agent version, settings that it knows, those in use that it lacks)."""
    return tuple(finding for agent in agents for finding in _not_known(*agent))


def _not_known(
    name: str, version: str, known: frozenset[str], lacks: Sequence[str]
) -> Iterator[Finding]:
    key = LevelKey(Level.MACHINE, name)
    for setting in lacks:
        text = (
            f"{unknown_there([setting], version)}, and its value there is not the default: nothing "
            "is sent to the machine"
        )
        yield Finding(Kind.LACKS_SETTING, key, setting, text, "upgrade the agent there")
    unused = sorted(KNOWN_HERE - known - set(lacks))
    if unused:
        text = f"{unknown_there(unused, version)}; nothing is lost while these have their defaults"
        yield Finding(Kind.KNOWS_LESS, key, "", text, "upgrade the agent there")


def ending_certificates(
    cluster: str, ends: Iterable[tuple[str, float | None]], now: float
) -> tuple[Finding, ...]:
    """Of (machine, end of its certificate as it reports that), those that end soon, or have ended.

    Times are Unix seconds; `now` is by this manager's clock.
    """
    return tuple(
        Finding(
            Kind.CERTIFICATE,
            LevelKey(Level.MACHINE, name),
            "",
            f"its certificate {'ends' if at > now else 'ended'} {moment_words(at)} and was not "
            "renewed; its agent's log and its warnings say why",
            f"tdc machine token {name} --cluster {cluster}, then tdc-agent enrol on the machine",
            None,
        )
        for name, at in ends
        if at is not None and at - now < CERTIFICATE_NEAR
    )


def operator_certificate_ends(name: str, fingerprint: str, at: float, now: float) -> str:
    """What is said of an operator's certificate that ends at `at`, or has; times as above."""
    return (
        f"the certificate of operator {name} ({fingerprint[:12]}) "
        f"{'ends' if at > now else 'ended'} {moment_words(at)}"
    )


def _levels(cluster: Cluster) -> Iterator[LevelKey]:
    yield from (LevelKey(Level.MACHINE, name) for name in sorted(cluster.machines))
    yield from (LevelKey(Level.GROUP, name) for name in sorted(cluster.groups))
    yield LevelKey(Level.CLUSTER, cluster.name)


def _above(cluster: Cluster, key: LevelKey) -> tuple[tuple[LevelKey, StoredSettings], ...]:
    """The levels that this one hides, nearest first."""
    of_cluster = (LevelKey(Level.CLUSTER, cluster.name), cluster.stored)
    match key.level:
        case Level.MACHINE:
            group = cluster.machines[key.name].group
            return (LevelKey(Level.GROUP, group), cluster.groups[group].stored), of_cluster
        case Level.GROUP:
            return (of_cluster,)
        case _:
            return ()


def _at(cluster: Cluster, key: LevelKey) -> Iterator[Finding]:
    above = _above(cluster, key)
    settings = cluster.stored_at(key).settings
    for name in sorted(settings):
        hidden = next((each.settings[name] for _, each in above if name in each.settings), None)
        origin = winning_level(name, *above)
        remedy = f"tdc settings unset {key.level} {key.name} {name} --cluster {cluster.name}"
        if same_value(settings[name], SCHEMA[name].default if hidden is None else hidden):
            whose = "by default" if origin.level is Level.DEFAULT else f"from {_words(origin)}"
            text = f"it sets {name} to what it would have {whose}"
            yield Finding(Kind.SAME, key, name, text, remedy)
        elif origin.level is not Level.DEFAULT:
            text = f"it overrides {name} of {_words(origin)}"
            yield Finding(Kind.OVERRIDE, key, name, text, remedy)
    policies = settings.get("policies")
    if isinstance(policies, tuple):
        yield from _unreached(key, [each for each in policies if isinstance(each, Policy)])


def _words(origin: Origin) -> str:
    return f"{origin.level} {origin.name}"


def _unreached(key: LevelKey, policies: list[Policy]) -> Iterator[Finding]:
    for at, policy in enumerate(policies):
        first = next((each for each in policies[:at] if _covers(each, policy)), None)
        if first is not None:
            yield Finding(
                Kind.UNREACHED_POLICY,
                key,
                "policies",
                f"its policy {policy.name} is never reached: {first.name} before it matches all "
                "that it matches",
                f"put {policy.name} before {first.name}, or leave it out",
            )


def _covers(first: Policy, second: Policy) -> bool:
    """Whether each message that the second would match is matched by the first."""
    return _all_in(second.senders, first.senders) and _all_in(second.recipients, first.recipients)


def _all_in(patterns: tuple[str, ...], others: tuple[str, ...]) -> bool:
    """Whether what these patterns match is matched by the others; no patterns match all."""
    if not others:
        return True
    wanted = {matching_form(each) if "@" in each else each for each in others}
    return bool(patterns) and all(
        (matching_form(each) in wanted or domain_of(each) in wanted)
        if "@" in each
        else each in wanted
        for each in patterns
    )
