"""What a manager saw of machines: `view.seen` <-> tdc.v1 messages between managers.

Moments travel as ages: managers' clocks differ, and each shows times by its own.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from tdc.manager.store.announced import Announced
from tdc.manager.view.etcd_link import EtcdLink
from tdc.manager.view.names import MachineKey
from tdc.manager.view.seen import Moment, Seen, SyncState
from tdc.shared.settings.known import KNOWN_HERE, known_of
from tdc.shared.wire.moments import timestamp, unix_seconds
from tdc.shared.wire.printable import MOST_WORD, cut
from tdc.shared.wire.report import report_of, report_to_wire
from tdc.shared.wire.stream import attempt_of, attempt_to_wire, running_of, running_to_wire
from tdc.v1 import managers_pb2


def seen_to_wire(
    key: MachineKey, seen: Seen, enrolment: str, clones: str, now: float
) -> managers_pb2.MachinePresence:
    """What was seen of a machine, at `now` by the clock that makes ages."""
    lacks = () if seen.known is None else sorted(KNOWN_HERE - seen.known)
    message = managers_pb2.MachinePresence(
        cluster=key[0],
        machine=key[1],
        connected=seen.connected,
        heard_age=_age(seen.heard, now),
        running=running_to_wire(seen.running),
        agent_version=seen.agent_version,
        dead=seen.dead,
        gone=seen.gone,
        state=seen.state,
        state_age=_age(seen.since, now),
        clones=clones,
        enrolment=enrolment,
        lacks=lacks,
    )
    if seen.last_attempt is not None:
        with contextlib.suppress(ValueError):  # a time that no message can carry
            message.last_attempt.CopyFrom(attempt_to_wire(seen.last_attempt))
    if seen.status is not None and seen.status_time is not None:
        message.status.CopyFrom(report_to_wire(seen.status))
        message.status_age = _age(seen.status_time, now)
    if seen.refused_since is not None:
        message.refused_age = _age(seen.refused_since, now)
    return message


def seen_of(
    message: managers_pb2.MachinePresence, now: Moment, manager: str, settings: frozenset[str]
) -> tuple[MachineKey, Seen]:
    """Which machine it is, and what the manager with this name saw; raises BadMessage.

    `settings` are those of ours that the manager knows.
    """
    status = report_of(message.status) if message.HasField("status") else None
    attempt = attempt_of(message.last_attempt) if message.HasField("last_attempt") else None
    refused = message.refused_age if message.HasField("refused_age") else None
    known = message.state in list(SyncState)
    seen = Seen(
        connected=message.connected,
        heard=_ago(now, message.heard_age),
        running=running_of(message.running),
        last_attempt=attempt,
        status=status,
        status_time=None if status is None else _ago(now, message.status_age),
        agent_version=message.agent_version,
        known=known_of(settings - set(message.lacks)) if message.lacks else settings,
        dead=message.dead,
        gone=message.gone,
        state=SyncState(message.state) if known else SyncState.OFFLINE,
        since=_ago(now, message.state_age),
        refused_since=None if refused is None else _ago(now, refused),
        clones=message.clones,
        manager=manager,
        enrolment=message.enrolment,
    )
    return (message.cluster, message.machine), seen


def link_to_wire(link: EtcdLink, now: float) -> managers_pb2.EtcdLink:
    """A manager's link to etcd, at `now` by the clock that makes ages."""
    return managers_pb2.EtcdLink(
        away=link.cut_for(now), problem=link.problem, reached=link.reached_for(now)
    )


def link_of(
    message: managers_pb2.PeerResponse | managers_pb2.PresenceResponse, now: Moment
) -> EtcdLink:
    """What another manager says of its link; of an older one, which says nothing, that it is new.

    So nobody is sent to it, and nothing is said against it.
    """
    if not message.HasField("etcd"):
        return EtcdLink(now)
    age = message.etcd.away if message.etcd.problem else message.etcd.reached
    return EtcdLink(_ago(now, age), cut(message.etcd.problem, MOST_WORD))


def announced_to_wire(each: Announced) -> managers_pb2.PeerAnnouncement:
    """A manager that says to another one that it is there."""
    return managers_pb2.PeerAnnouncement(
        name=each.name,
        address=each.address,
        version=each.version,
        instance=each.instance,
        started=timestamp(each.started),
        certificate_ends=timestamp(each.certificate_ends),
        ca=each.ca,
    )


def announced_of(manager: str, message: managers_pb2.PeerAnnouncement) -> Announced:
    """What the manager with this id says of itself; raises BadMessage."""
    return Announced(
        id=manager,
        name=message.name,
        address=message.address,
        version=message.version,
        instance=message.instance,
        started=unix_seconds(message.started),
        certificate_ends=unix_seconds(message.certificate_ends),
        ca=message.ca if message.HasField("ca") else -1,
    )


def known_to_wire(each: Announced, *, there: bool) -> managers_pb2.KnownPeer:
    """A manager of which this one knows; `there`: it said a moment ago that it is."""
    return managers_pb2.KnownPeer(id=each.id, announced=announced_to_wire(each), there=there)


@dataclass(frozen=True, slots=True)
class Rotating:
    """How far a manager has followed the rotation of the CA, and who else it knows.

    `step` is that which it followed last, -1 of one that can't; `problem` says why it may be late.
    `others` are the other managers, with whether each said a moment ago that it is there.
    """

    step: int
    problem: str = ""
    others: tuple[tuple[Announced, bool], ...] = ()


def rotating_of(message: managers_pb2.PeerResponse, announced: Announced) -> Rotating:
    """What a manager answered to a look; of an older one what it announced. Raises BadMessage."""
    if not message.HasField("authority"):
        problem = cut(message.etcd.problem, MOST_WORD) if message.HasField("etcd") else ""
        return Rotating(announced.ca, problem)
    said = message.authority
    others = tuple((announced_of(each.id, each.announced), each.there) for each in message.others)
    return Rotating(said.step, cut(said.problem, MOST_WORD), others)


def _age(moment: Moment, now: float) -> float:
    return max(0.0, now - moment.at)


def _ago(now: Moment, age: float) -> Moment:
    return Moment(now.at - age, now.wall - age)
