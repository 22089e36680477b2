"""PURE. Operators' certificates that end soon, or have ended lately.

One that is followed by another of the same operator is not among them: he has moved on. One that
ended long ago is not, either: nobody missed it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tdc.manager.people.user import OperatorCertificate

NEAR = 30 * 86_400.0
"""Seconds before its end from which a certificate is named, and after it until which."""


@dataclass(frozen=True, slots=True)
class EndingCertificate:
    """Whose certificate ends, which it is, and when (Unix seconds)."""

    operator: str
    fingerprint: str
    ends: float

    @property
    def remedy(self) -> str:
        """The command that gives him another, on a manager's machine."""
        return new_folder(self.operator)


def new_folder(operator: str, folder: str = "DATA_FOLDER") -> str:
    """The command that makes an operator's folder; `folder` is a manager's, for a shell."""
    return f"tdc-manager operator --folder {folder} --operator {operator} --out FOLDER"


def ending_operators(
    certificates: Iterable[OperatorCertificate], now: float
) -> tuple[EndingCertificate, ...]:
    """Those that an operator is to replace, by name; `now` is Unix seconds."""
    good = [each for each in certificates if each.withdrawn is None and each.ends is not None]
    last: dict[str, OperatorCertificate] = {}
    for each in good:
        known = last.get(each.name)
        if known is None or (each.ends or 0.0) > (known.ends or 0.0):
            last[each.name] = each
    return tuple(
        EndingCertificate(name, each.fingerprint, each.ends)
        for name, each in sorted(last.items())
        if each.ends is not None and abs(each.ends - now) < NEAR
    )
