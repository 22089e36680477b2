"""PURE. Who is not ready for a rotation's next step, from what managers know of all.

Nobody is taken for ready without a word of his own: a machine by what it reports it trusts and has,
a manager by the step that it says it followed, an operator by a certificate of the new CA that was
used. A machine that has been away since before the switch is not waited for once its certificate
must have expired: it needs a join token whatever is done.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from tdc.manager.people.ending import new_folder
from tdc.shared.sync.words import moment_words


@dataclass(frozen=True, slots=True)
class ManagerStands:
    """A manager: the step that it followed, and why that is not known to be the last one.

    `silent` is why it can't be asked, `late` why it may not have heard of a step, as it says.
    """

    name: str
    step: int
    silent: str = ""
    late: str = ""


@dataclass(frozen=True, slots=True)
class MachineStands:
    """An enrolled machine, and what it reports; `issuer` is empty of one that reported nothing.

    `version` is that of its agent, empty of one that was not seen.
    """

    cluster: str
    name: str
    version: str = ""
    issuer: str = ""
    trusted: tuple[str, ...] = ()
    connected: bool = False

    def __str__(self) -> str:
        return f"machine {self.name} of cluster {self.cluster}"


@dataclass(frozen=True, slots=True)
class CertificateStands:
    """An operator's certificate that was used; `issuer` names its CA, empty of one noted before.

    `first` and `ends` are Unix seconds.
    """

    operator: str
    fingerprint: str
    issuer: str
    first: float
    ends: float


@dataclass(frozen=True, slots=True)
class Standing:
    """Where everybody stands."""

    managers: tuple[ManagerStands, ...] = ()
    machines: tuple[MachineStands, ...] = ()
    certificates: tuple[CertificateStands, ...] = ()


def behind(managers: Collection[ManagerStands], step: int) -> tuple[str, ...]:
    """Managers that have not followed this step, or of which that is not known."""
    if not managers:
        return (
            "no manager answers, and none is announced in etcd: nobody says who has followed. "
            "Start one, or see to its way to etcd",
        )
    return tuple(
        f"manager {each.name} can't be asked: {each.silent}"
        if each.silent
        else f"manager {each.name} may hear of no step now: {each.late}. See to its way to etcd, "
        "or stop it (SIGTERM): one that is late for all steps is shut out"
        if each.late
        else f"manager {each.name} is of a version that can't follow: upgrade it"
        if each.step < 0
        else f"manager {each.name} has not followed step {step} yet: see its log and `tdc status`"
        for each in managers
        if each.silent or each.late or each.step < step
    )


def not_trusting(standing: Standing, fingerprint: str) -> tuple[str, ...]:
    """Who would not trust, or not take, certificates by the CA with this fingerprint.

    A machine that is away is not among them, unless its agent is too old: it finds a way by the
    bridge when it is back.
    """
    return tuple(
        f"{each}: its agent ({each.version}) does not follow a rotation: upgrade it"
        if not each.trusted
        else f"{each} does not trust the new CA yet: it learns of it within minutes"
        for each in standing.machines
        if each.version
        and (not each.trusted or (each.connected and fingerprint not in each.trusted))
    )


def holding(
    standing: Standing,
    old: tuple[str, str],
    kept: tuple[str, str],
    *,
    now: float,
    since: float,
    longest: float,
    folder: str = "DATA_FOLDER",
) -> tuple[str, ...]:
    """Who needs the old CA still. `old` and `kept`: each CA's fingerprint, and its key's name.

    `since` (Unix seconds) is when the other one began to sign, `longest` (seconds) how long a
    machine's certificate lasts. `folder` is this manager's, as a shell takes it.
    """
    return (
        *_machines_holding(standing, kept[0], expired=now - since > longest),
        *_operators_holding(standing.certificates, (old[1], kept[1]), (now, since), folder),
    )


def _machines_holding(standing: Standing, kept: str, *, expired: bool) -> Iterable[str]:
    unseen = (
        "was not seen by a manager that answers, and may be connected to one that does not"
        if any(each.silent for each in standing.managers)
        else "was not seen since the managers started: is it off?"
    )
    for each in standing.machines:
        if each.issuer == kept and kept in each.trusted:
            continue
        if not each.issuer and expired:
            continue
        why = (
            "has a certificate by the CA that is to go; while connected it renews within minutes"
            if each.issuer and each.issuer != kept
            else "does not trust the CA that stays yet"
            if each.issuer
            else unseen
            if not each.version
            else f"does not say by which CA its certificate is (agent {each.version}): upgrade it"
        )
        yield f"{each} {why}"


def _operators_holding(
    certificates: Collection[CertificateStands],
    keys: tuple[str, str],
    times: tuple[float, float],
    folder: str,
) -> Iterable[str]:
    """Of each operator that has used no certificate of the kept CA, those that are good still."""
    (old, kept), (now, since) = keys, times
    moved = {each.operator for each in certificates if each.issuer == kept}
    for each in sorted(certificates, key=lambda each: (each.operator, each.fingerprint)):
        before = each.issuer == old or (not each.issuer and each.first < since)
        if before and each.ends > now and each.operator not in moved:
            yield (
                f"operator {each.operator} has a certificate by the CA that is to go (ends "
                f"{moment_words(each.ends)}): make a new folder with "
                f"`{new_folder(each.operator, folder)}`, or withdraw it: `tdc operator withdraw "
                f"{each.fingerprint[:12]}`"
            )
