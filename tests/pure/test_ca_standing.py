"""Who is not ready for a rotation's next step."""

from __future__ import annotations

import shlex
from dataclasses import replace

import pytest
from tdc.manager.flags import read_flags
from tdc.manager.people.ending import NEAR, ending_operators
from tdc.manager.people.user import OperatorCertificate
from tdc.manager.rotation.standing import (
    CertificateStands,
    MachineStands,
    ManagerStands,
    Standing,
    behind,
    holding,
    not_trusting,
)

OLD, NEW = ("old", "old key"), ("new", "new key")
DAY = 86_400.0
LONGEST = 14 * DAY
READY = MachineStands("c1", "mx1", "1.0", "new", ("new", "old"), connected=True)
OPERATOR = CertificateStands("ana", "f" * 64, "old key", first=1.0, ends=900 * DAY)
READY_MANAGER = ManagerStands("ready", 2)
SWITCHED_AT, NOW = 100 * DAY, 101 * DAY


def held(
    *,
    machine: MachineStands = READY,
    certificates: tuple[CertificateStands, ...] = (),
    now: float = NOW,
) -> tuple[str, ...]:
    standing = Standing((ManagerStands("one", 2),), (machine,), certificates)
    return holding(standing, OLD, NEW, now=now, since=SWITCHED_AT, longest=LONGEST)


def test_managers_that_have_not_followed_are_named() -> None:
    rows = (ManagerStands("one", 2), ManagerStands("two", 1), ManagerStands("three", -1))
    late = behind(rows, 2)
    assert [each.partition(" ")[2].split()[0] for each in late] == ["two", "three"]
    assert "upgrade" in late[1]


def test_no_manager_is_taken_for_ready_without_its_own_word() -> None:
    silent = ManagerStands("one", 2, silent="no answer within 3 s")
    assert behind([silent], 2) == ("manager one can't be asked: no answer within 3 s",)
    (late,) = behind([ManagerStands("two", 2, late="etcd did not answer"), READY_MANAGER], 2)
    assert "manager two may hear of no step now: etcd did not answer" in late
    (nobody,) = behind([], 2)
    assert "no manager answers" in nobody


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        (READY, ""),
        (replace(READY, trusted=("old",)), "does not trust the new CA yet"),
        (replace(READY, trusted=()), "upgrade it"),
        (MachineStands("c1", "mx1"), ""),  # away: it finds a way by the bridge
        (replace(READY, trusted=("old",), connected=False), ""),
        (replace(READY, trusted=(), connected=False), "upgrade it"),
    ],
)
def test_a_switch_waits_for_machines_that_would_be_lost(machine: MachineStands, words: str) -> None:
    late = not_trusting(Standing(machines=(machine,)), "new")
    assert bool(late) == bool(words)
    assert words in "".join(late)


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        (READY, ""),
        (replace(READY, issuer="old"), "a certificate by the CA that is to go"),
        (replace(READY, trusted=("old",)), "does not trust the CA that stays"),
        (MachineStands("c1", "mx1"), "was not seen"),
        (MachineStands("c1", "mx1", "0.9"), "upgrade it"),
    ],
)
def test_the_last_step_waits_for_machines_that_need_the_old_ca(
    machine: MachineStands, words: str
) -> None:
    late = held(machine=machine)
    assert bool(late) == bool(words)
    assert words in "".join(late)


def test_a_machine_that_nobody_saw_may_be_at_a_manager_that_does_not_answer() -> None:
    unseen = (MachineStands("c1", "mx1"),)
    for silent, words in (("", "is it off?"), ("no answer", "may be connected to one that does")):
        standing = Standing((ManagerStands("one", 2, silent),), unseen)
        (late,) = holding(standing, OLD, NEW, now=NOW, since=SWITCHED_AT, longest=LONGEST)
        assert words in late


def test_a_machine_that_is_away_is_waited_for_as_long_as_its_certificate_may_last() -> None:
    away = MachineStands("c1", "mx1")
    assert held(machine=away, now=SWITCHED_AT + LONGEST)
    assert not held(machine=away, now=SWITCHED_AT + LONGEST + 1)
    old = replace(READY, issuer="old")  # this one says so itself
    assert held(machine=old, now=SWITCHED_AT + LONGEST + 1)


@pytest.mark.parametrize(
    ("certificates", "named"),
    [
        ((OPERATOR,), True),
        ((replace(OPERATOR, issuer="", first=SWITCHED_AT - 1),), True),
        ((replace(OPERATOR, issuer="", first=SWITCHED_AT + 1),), False),
        ((replace(OPERATOR, ends=NOW),), False),
        ((OPERATOR, replace(OPERATOR, fingerprint="e" * 64, issuer="new key")), False),
        ((replace(OPERATOR, issuer="new key"),), False),
    ],
)
def test_and_for_operators(certificates: tuple[CertificateStands, ...], named: bool) -> None:
    late = held(certificates=certificates)
    assert bool(late) == named
    for each in late:
        given = read_flags(shlex.split(each.split("`")[1])[1:])
        assert (given["operator"], given["folder"]) == ("ana", "DATA_FOLDER")
    assert all("--operator ana" in each and "tdc operator withdraw f" in each for each in late)


def _certificate(name: str, ends: float | None, **more: object) -> OperatorCertificate:
    return OperatorCertificate(f"{name}{ends}", name, ends=ends, **more)  # type: ignore[arg-type]  # its own fields


def test_operators_certificates_are_named_near_their_end() -> None:
    now = 1_000 * DAY
    found = ending_operators(
        (
            _certificate("soon", now + NEAR - 1),
            _certificate("later", now + NEAR),
            _certificate("over", now - 1),
            _certificate("long ago", now - NEAR),
            _certificate("moved on", now + 1),
            _certificate("moved on", now + 2 * NEAR),
            _certificate("withdrawn", now + 1, withdrawn=1.0),
            _certificate("never seen", None),
        ),
        now,
    )
    assert [each.operator for each in found] == ["over", "soon"]
    assert read_flags(shlex.split(found[1].remedy)[1:])["operator"] == "soon"
