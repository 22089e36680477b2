"""PURE. What is wrong, by what a look found: the rules, and the command that fixes each.

In: a `Look`. Out: findings. A finding is *critical* where something does not work, or data or
access are in danger now, and a *warning* where it will come to that unless somebody acts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from tdc.manager.doctor.facts import EtcdLook, FolderLook, Look, MemberLook, StoreLook
from tdc.manager.etcd import versions
from tdc.manager.etcd.errors import Reason
from tdc.manager.etcd.values import EtcdStatus

MIB = 1024**2
DAY = 86_400.0
SOON = 30 * DAY
"""Before the end of a certificate; a day before, it is critical."""
ASKEW = 5.0
"""Seconds that clocks may differ: etcd's answer gives whole seconds, and takes its time."""
NEARLY_FULL = 0.8
DEFAULT_QUOTA = 2 * 1024 * MIB
"""What etcd has without --quota-backend-bytes."""
LITTLE, VERY_LITTLE = 1024 * MIB, 128 * MIB
"""Bytes free on the disk of an embedded store."""
WASTEFUL = 64 * MIB
IDLE = 3 * 3_600.0
"""Seconds without a round of maintenance, which comes once an hour."""


class Severity(StrEnum):
    """How soon somebody must act."""

    CRITICAL = "critical"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Found:
    """One thing that is wrong: in which area, what it is, what it means, what to do."""

    severity: Severity
    area: str
    what: str
    means: str
    do: str


def _critical(area: str, what: str, means: str, do: str) -> Found:
    return Found(Severity.CRITICAL, area, what, means, do)


def _warning(area: str, what: str, means: str, do: str) -> Found:
    return Found(Severity.WARNING, area, what, means, do)


def judged(look: Look) -> tuple[Found, ...]:
    """All that is wrong, the worst first."""
    found = [
        *_folder(look.folder, embedded=look.etcd.embedded),
        *_reach(look.etcd, look.folder_flag),
        *_members(look.etcd),
        *_space(look.etcd),
        *_clocks(look.etcd),
        *_versions(look.etcd),
        *_ends(look),
        *(_store(look.store, look) if look.store is not None else ()),
    ]
    return tuple(sorted(found, key=lambda each: each.severity is not Severity.CRITICAL))


# -- the folder ----------------------------------------------------------------------------------


def _folder(folder: FolderLook, *, embedded: bool) -> Iterator[Found]:
    if folder.trouble:
        yield _critical("folder", folder.trouble, "no manager can run in this folder", folder_do())
    for each in folder.files:
        open_to = each.mode & 0o077
        if each.secret and open_to:
            yield _critical(
                "folder",
                f"{each.path} has mode {each.mode:04o}: other users of this machine can read it",
                "who can read it can pose as a manager or an operator, or change settings in etcd",
                f"chmod {'700' if each.is_folder else '600'} {each.path}; if others had access to "
                "this machine, replace what is in it",
            )
        if not each.ours:
            yield _warning(
                "folder",
                f"{each.path} belongs to another user than the one who runs this",
                "a manager of this user can't read or replace it",
                f"run this as the manager's user, or chown it to that user: {each.path}",
            )
    if embedded and folder.free is not None and folder.free < LITTLE:
        make = _critical if folder.free < VERY_LITTLE else _warning
        yield make(
            "disk",
            f"{_size(folder.free)} are free on the disk of {folder.folder}",
            "etcd ends when its disk is full, and no change can be made then; mail flows",
            f"make room, or move the folder to a larger disk: du -xsh {folder.folder}/*",
        )


def folder_do() -> str:
    """What to do about a folder that no manager can use."""
    return "do what the sentence says; a lost CA comes from a backup: tdc-manager restore"


# -- reaching etcd -------------------------------------------------------------------------------


def _reach(etcd: EtcdLook, folder_flag: str) -> Iterator[Found]:
    for caution in etcd.cautions:
        what, _, do = caution.partition(". ")
        yield _warning("etcd", what, "who is on that network can read or change the store", do)
    if etcd.unseen:
        yield _warning(
            "etcd",
            f"the state of etcd's members can't be seen: {etcd.unseen}",
            "size, quota, alarms and members are not looked at; from 3.5.28 on only root may ask",
            "as etcd's root: etcdctl endpoint status --cluster -w table; etcdctl alarm list",
        )
    if etcd.trouble is None:
        return
    text, reason = etcd.trouble.text, etcd.trouble.reason
    means = "no change can be made and no machine can enrol; machines go on with their settings"
    if reason is Reason.LOGIN:
        do = "set etcd_user and etcd_password_file to what etcd has: etcdctl user list, as its root"
    elif reason is Reason.PERMISSION:
        do = "as etcd's root: etcdctl role grant-permission ROLE --prefix=true readwrite /tdc/v1/"
    elif etcd.embedded:
        do = f"what the sentence says; etcd's own words are in etcd/etcd.log of {folder_flag}"
    else:
        do = "etcdctl endpoint health --cluster; systemctl status etcd, on each member"
    yield _critical("etcd", text, means, do)


def _members(etcd: EtcdLook) -> Iterator[Found]:
    """Which of them run, follow one leader, and hold the same."""
    down = [each for each in etcd.members if each.trouble is not None or not each.started]
    up = [each for each in etcd.members if each not in down]
    spare = (len(etcd.members) - 1) // 2
    for each in down:
        why = each.trouble.text if each.trouble is not None else "it has never been started"
        left = spare - len(down)
        means = (
            f"{left} more may fail before no change can be made"
            if left > 0
            else "if another one fails, no change can be made"
        )
        make = _warning if left >= 0 else _critical
        yield make(
            "etcd",
            f"member {each.name or each.endpoint} does not answer: {why}",
            means,
            f"start it again: systemctl start etcd, at {each.endpoint or 'that member'}",
        )
    if len(etcd.members) > 1 and len(etcd.members) % 2 == 0:
        yield _warning(
            "etcd",
            f"etcd has {len(etcd.members)} members, an even number",
            "one more than an odd number helps against no failure, and is one more that can fail",
            "add a member, or remove one: etcdctl member add, etcdctl member remove",
        )
    for each in up:
        if each.status is not None and not each.status.leader:
            yield _critical(
                "etcd",
                f"member {each.name} knows of no leader",
                "it answers no request; more than half of the members must reach each other",
                "etcdctl endpoint status --cluster -w table; start what is down",
            )
        if each.status is not None and each.status.is_learner:
            yield _warning(
                "etcd",
                f"member {each.name} is a learner",
                "it does not count when members fail, and answers no reads of a manager",
                "etcdctl member promote, once it has caught up",
            )
    yield from _behind(up)
    yield from _unlike(up)


def _behind(members: list[MemberLook]) -> Iterator[Found]:
    newest = max((each.status.revision for each in members if each.status), default=0)
    for each in members:
        if each.status is not None and newest - each.status.revision > 10_000:
            yield _warning(
                "etcd",
                f"member {each.name} is {newest - each.status.revision} revisions late",
                "if it becomes leader, or the others fail, it first has to catch up",
                "look at its disk and network: etcdctl endpoint status --cluster -w table",
            )


def _unlike(members: list[MemberLook]) -> Iterator[Found]:
    hashes = {
        (each.hash.compacted, each.hash.revision, each.hash.hash)
        for each in members
        if each.hash is not None
    }
    moments = {each[:2] for each in hashes}
    if len(hashes) > len(moments):
        yield _critical(
            "etcd",
            "members hold different data at the same revision",
            "what is read depends on which member answers; changes may be lost",
            "stop all managers; tdc-manager backup from the member that you believe; remove the "
            "others and add them empty: etcdctl member remove, etcdctl member add",
        )


# -- space ---------------------------------------------------------------------------------------


def _space(etcd: EtcdLook) -> Iterator[Found]:
    alarms = {alarm for each in etcd.members if each.status for alarm in each.status.alarms}
    revision = max((each.status.revision for each in etcd.members if each.status), default=0)
    if "NOSPACE" in alarms:
        do = (
            "nothing: a manager that runs compacts, defragments and clears the alarm within a "
            "minute. If it comes back, the quota is too small for what is stored"
            if etcd.embedded
            else f"etcdctl compact {revision}; etcdctl defrag --cluster; etcdctl alarm disarm; if "
            "the size in use is near the quota, raise --quota-backend-bytes"
        )
        yield _critical(
            "space",
            "etcd has reached its quota (alarm NOSPACE)",
            "no change can be made; reads, machines and mail go on",
            do,
        )
    if "CORRUPT" in alarms:
        yield _critical(
            "space",
            "etcd found that a member's data is damaged (alarm CORRUPT)",
            "etcd takes no writes until that member is replaced",
            "etcdctl alarm list names it; etcdctl member remove, empty its folder, member add",
        )
    for each in etcd.members:
        if each.status is not None:
            yield from _size_of(each.name, each.status, embedded=etcd.embedded)


def _size_of(name: str, status: EtcdStatus, *, embedded: bool) -> Iterator[Found]:
    quota = status.quota or DEFAULT_QUOTA
    shown = _size(quota) if status.quota else f"{_size(quota)}, etcd's default"
    if status.size_in_use > NEARLY_FULL * quota:
        yield _warning(
            "space",
            f"member {name} has {_size(status.size_in_use)} in use; its quota is {shown}",
            "at the quota no change can be made any more",
            "raise --quota-backend-bytes at each member; see who else writes into this etcd: "
            "etcdctl get / --prefix --keys-only",
        )
    elif status.size > WASTEFUL and status.size > 2 * status.size_in_use and not embedded:
        yield _warning(
            "space",
            f"the database of member {name} takes {_size(status.size)}, of which "
            f"{_size(status.size_in_use)} are in use",
            "what is free in it counts for the quota until it is defragmented",
            "etcdctl defrag, at one member after the other: it does not answer meanwhile",
        )


# -- clocks and versions -------------------------------------------------------------------------


def _clocks(etcd: EtcdLook) -> Iterator[Found]:
    for each in etcd.members:
        if each.ahead is not None and abs(each.ahead) > ASKEW:
            way = "fast" if each.ahead > 0 else "slow"
            yield _warning(
                "clock",
                f"the clock of member {each.name} is {abs(each.ahead):.0f} s {way}, by this one",
                "certificates, join tokens and suspensions begin and end at the wrong time where a "
                "clock is wrong",
                "chronyc tracking, on both machines; run an NTP client",
            )


def _versions(etcd: EtcdLook) -> Iterator[Found]:
    found = {each.status.version for each in etcd.members if each.status is not None}
    if len(found) > 1:
        yield _warning(
            "version",
            f"members run different versions of etcd: {', '.join(sorted(found))}",
            "that is meant for the time of an upgrade only",
            "finish the upgrade, one member after the other",
        )
    for text in sorted(found):
        version = versions.parsed(text)
        if version is None:
            continue
        for fault in versions.data_loss(version, len(etcd.members)):
            first = [".".join(map(str, each)) for each in fault.fixed]
            yield _warning(
                "version",
                f"etcd {text} has a known fault: {fault.text}",
                "committed changes can be lost or spoilt",
                f"upgrade etcd: it is fixed in {', '.join(first)} and later",
            )


# -- certificates and values ---------------------------------------------------------------------


def _ends(look: Look) -> Iterator[Found]:
    for each in look.ends:
        left = each.at - look.now
        if left > SOON:
            continue
        make = _critical if left < DAY else _warning
        when = f"expires in {left / DAY:.0f} days" if left > 0 else "has expired"
        means, _, do = each.then.partition(". ")
        yield make("certificate", f"{each.what} {when}", means, do or means)


def _store(store: StoreLook, look: Look) -> Iterator[Found]:
    if store.trouble:
        yield _critical(
            "store", store.trouble, "no manager starts on it", "do what the sentence says"
        )
    if store.empty:
        yield _empty(look)
    for each in store.values:
        yield _critical("store", each.what, each.means, each.do)
    for cluster, time in sorted(store.newest.items()):
        if time - look.now > 60:
            yield _warning(
                "clock",
                f"the newest commit of cluster {cluster} is {time - look.now:.0f} s in the future",
                "the clock of the manager that made it was ahead, or this one is slow",
                "chronyc tracking, on each manager's machine",
            )
    if store.maintained is not None and look.now - store.maintained > IDLE:
        yield _warning(
            "store",
            f"the store was last maintained {(look.now - store.maintained) / 3_600:.0f} hours ago",
            "history and used tokens are not trimmed and etcd is not compacted, so it grows; a "
            "manager does it once an hour",
            f"is a manager running? tdc-manager run {look.folder_flag}",
        )


def _empty(look: Look) -> Found:
    where = f"in {look.folder.folder}/etcd" if look.etcd.absent else "in the etcd of this manager"
    if not look.folder.ran:
        return _warning(
            "store",
            f"there is no store {where} yet: no manager has been started on this folder",
            "nothing is lost, and no machine can enrol before the first start",
            f"tdc-manager run {look.folder_flag}; or tdc-manager restore FILE {look.folder_flag}, "
            "to have what a backup has",
        )
    return _critical(
        "store",
        f"the store is gone: there is nothing {where}, and a manager has run on this folder",
        "a manager that is started makes an empty one: it knows no cluster and no enrolment, and "
        "refuses every machine; they go on with their settings",
        f"put the data back where it was; or tdc-manager restore FILE {look.folder_flag}. Start "
        "no manager before",
    )


def _size(count: int) -> str:
    return f"{count / MIB:.0f} MiB" if count >= MIB else f"{count} bytes"
