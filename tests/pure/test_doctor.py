"""What a look at etcd, folder and store is judged to be."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tdc.manager.doctor.facts import (
    EndLook,
    EtcdLook,
    FileLook,
    FolderLook,
    Look,
    MemberLook,
    StoreLook,
    Trouble,
    ValueLook,
)
from tdc.manager.doctor.judge import Found, Severity, judged
from tdc.manager.etcd.errors import Reason
from tdc.manager.etcd.values import EtcdHash, EtcdStatus

NOW = 1_795_000_000.0
MIB = 1024**2
STATUS = EtcdStatus("3.6.14", 10 * MIB, 9 * MIB, 100 * MIB, 50, 1, 1, 1, ())
GOOD = FolderLook("/f", (FileLook("/f", 0o700, True, False, True),), 90_000 * MIB, 99_000 * MIB)


def _members(*changes: dict[str, object], count: int = 3) -> tuple[MemberLook, ...]:
    looks = [
        MemberLook(
            f"m{number}", f"h{number}:2379", replace(STATUS, member_id=number + 1), ahead=0.0
        )
        for number in range(count)
    ]
    for number, change in enumerate(changes):
        looks[number] = replace(looks[number], **change)  # type: ignore[arg-type]
    return tuple(looks)


def _look(**change: object) -> Look:
    look = Look(NOW, "--folder /f", EtcdLook(False, _members()), GOOD, (), StoreLook())
    return replace(look, **change)  # type: ignore[arg-type]


def _etcd(*changes: dict[str, object], count: int = 3, **more: object) -> Look:
    etcd = EtcdLook(False, _members(*changes, count=count))
    return _look(etcd=replace(etcd, **more))  # type: ignore[arg-type]


def _with(**change: object) -> dict[str, object]:
    return {"status": replace(STATUS, **change)}  # type: ignore[arg-type]


DOWN: dict[str, object] = {"status": None, "trouble": Trouble("no connection")}


def _end(days: float) -> tuple[EndLook, ...]:
    return (EndLook("the CA", NOW + days * 86_400, "nobody connects. Make another"),)


def _file(**change: object) -> FolderLook:
    key = FileLook("/f/key", 0o600, True, True, False)
    return replace(GOOD, files=(replace(key, **change),))  # type: ignore[arg-type]


def test_where_all_is_well_nothing_is_found() -> None:
    assert judged(_look()) == ()
    assert judged(_etcd(count=1)) == ()


CASES = {
    "one of three is down": (_etcd(DOWN), "warning", "m0 does not answer", "systemctl start etcd"),
    "two of three are down": (_etcd(DOWN, DOWN), "critical", "m1 does not answer", "start etcd"),
    "one of five is down": (_etcd(DOWN, count=5), "warning", "m0 does not answer", "start"),
    "a member was never started": (_etcd({"started": False}), "warning", "never been", "start"),
    "an even number": (_etcd(count=4), "warning", "even number", "etcdctl member add"),
    "no leader": (_etcd(_with(leader=0)), "critical", "no leader", "endpoint status"),
    "a learner": (_etcd(_with(is_learner=True)), "warning", "learner", "member promote"),
    "a late member": (_etcd(_with(revision=20_000)), "warning", "19950 revisions late", "disk"),
    "members that differ": (
        _etcd({"hash": EtcdHash(1, 5, 50)}, {"hash": EtcdHash(2, 5, 50)}),
        "critical",
        "different data",
        "etcdctl member remove",
    ),
    "nospace": (
        _etcd(_with(alarms=("NOSPACE",))),
        "critical",
        "NOSPACE",
        "etcdctl compact 50; etcdctl defrag --cluster; etcdctl alarm disarm",
    ),
    "corrupt": (_etcd(_with(alarms=("CORRUPT",))), "critical", "CORRUPT", "member remove"),
    "nearly full": (
        _etcd(_with(size_in_use=81 * MIB)),
        "warning",
        "81 MiB in use",
        "quota-backend",
    ),
    "nearly full, quota not known": (
        _etcd(_with(quota=None, size_in_use=1_700 * MIB)),
        "warning",
        "2048 MiB, etcd's default",
        "quota-backend",
    ),
    "wasteful": (_etcd(_with(size=99 * MIB)), "warning", "takes 99 MiB", "etcdctl defrag"),
    "a slow clock": (_etcd({"ahead": -40.0}), "warning", "m0 is 40 s slow", "chronyc"),
    "a fast clock": (_etcd({"ahead": 6.0}), "warning", "m0 is 6 s fast", "chronyc"),
    "two versions": (_etcd(_with(version="3.7.0")), "warning", "different versions", "upgrade"),
    "a version that loses data": (
        _etcd(_with(version="3.5.2"), count=1),
        "warning",
        "etcd 3.5.2 has a known fault",
        "3.5.3",
    ),
    "cautions": (_etcd(cautions=("no TLS. Set etcd_ca",)), "warning", "no TLS", "Set etcd_ca"),
    "what only root may see": (_etcd(unseen="denied"), "warning", "can't be seen", "alarm list"),
    "an embedded etcd away": (
        _look(etcd=EtcdLook(True, trouble=Trouble("was copied; adopt"))),
        "critical",
        "was copied; adopt",
        "etcd.log",
    ),
    "an etcd away": (_etcd(trouble=Trouble("away")), "critical", "away", "endpoint health"),
    "a login refused": (
        _etcd(trouble=Trouble("refused", Reason.LOGIN)),
        "critical",
        "refused",
        "etcd_password_file",
    ),
    "permission denied": (
        _etcd(trouble=Trouble("denied", Reason.PERMISSION)),
        "critical",
        "denied",
        "grant-permission ROLE --prefix=true readwrite /tdc/v1/",
    ),
    "a key that others can read": (
        _look(folder=_file(mode=0o640)),
        "critical",
        "0640",
        "chmod 600",
    ),
    "a file of another user": (_look(folder=_file(ours=False)), "warning", "another user", "chown"),
    "no CA": (_look(folder=replace(GOOD, trouble="has no CA")), "critical", "has no CA", "restore"),
    "a CA that ends": (_look(ends=_end(20)), "warning", "expires in 20 days", "Make another"),
    "a CA that ends today": (_look(ends=_end(0.5)), "critical", "the CA expires", "Make another"),
    "a CA that ended": (_look(ends=_end(-1)), "critical", "has expired", "Make another"),
    "a value": (
        _look(store=StoreLook((ValueLook("edited", "refused", "repair"),))),
        "critical",
        "edited",
        "repair",
    ),
    "a store that can't be read": (
        _look(store=StoreLook(trouble="newer")),
        "critical",
        "newer",
        "",
    ),
    "a commit of the future": (
        _look(store=StoreLook(newest={"corp": NOW + 600})),
        "warning",
        "cluster corp is 600 s in the future",
        "chronyc",
    ),
    "no maintenance": (
        _look(store=StoreLook(maintained=NOW - 36_000)),
        "warning",
        "10 hours ago",
        "tdc-manager run --folder /f",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_each_fault_has_its_severity_and_the_command_that_fixes_it(name: str) -> None:
    look, severity, what, do = CASES[name]
    found = judged(look)
    fitting = [each for each in found if what in each.what]
    assert fitting, found
    assert fitting[0].severity is Severity(severity)
    assert do in fitting[0].do
    assert all(each.means and each.do for each in found)


@pytest.mark.parametrize(
    "look",
    [
        _etcd({"ahead": None}),
        _etcd({"ahead": 4.0}),
        _etcd(_with(size=60 * MIB)),
        _etcd({"hash": EtcdHash(1, 5, 50)}, {"hash": EtcdHash(2, 6, 50)}),
        _look(ends=_end(31)),
        _look(store=StoreLook(newest={"corp": NOW + 30}, maintained=NOW - 3_700)),
        _look(etcd=EtcdLook(False, _members()), folder=replace(GOOD, free=MIB)),
    ],
)
def test_what_is_near_a_bound_is_none(look: Look) -> None:
    assert judged(look) == ()


@pytest.mark.parametrize(("free", "severity"), [(900 * MIB, "warning"), (100 * MIB, "critical")])
def test_the_disk_of_an_embedded_store_must_have_room(free: int, severity: str) -> None:
    embedded = EtcdLook(True, _members(count=1))
    (found,) = judged(_look(etcd=embedded, folder=replace(GOOD, free=free)))
    assert (found.area, found.severity) == ("disk", Severity(severity))


def test_an_embedded_etcd_that_is_full_is_made_smaller_by_its_manager() -> None:
    full = EtcdLook(True, _members(_with(alarms=("NOSPACE",)), count=1))
    (found,) = judged(_look(etcd=full))
    assert found.do.startswith("nothing: a manager that runs")


def test_the_worst_comes_first() -> None:
    found: tuple[Found, ...] = judged(_etcd(_with(leader=0), {"ahead": 99.0}))
    assert [each.severity for each in found] == [Severity.CRITICAL, Severity.WARNING]
