"""PURE. What is wrong with the store as this manager sees it, in sentences for operators."""

from __future__ import annotations

from collections.abc import Iterable

from tdc.manager.store.documents import Unreadable
from tdc.manager.store.keys import COMMITS


def problems(
    notes: Iterable[str], away: str, unreadable: Iterable[Unreadable], enrolments: Iterable[str]
) -> tuple[str, ...]:
    """List each problem once. `away`: since when etcd is unreachable, and why; empty if it is not.

    `notes` are of the store itself; `enrolments` name those that can't be read.
    """
    settings = [f"{trouble}; {_then(trouble)}" for trouble in unreadable]
    return tuple(dict.fromkeys([*notes, *unreachable(away), *settings, *enrolments]))


def unreachable(away: str) -> tuple[str, ...]:
    """The sentence for etcd that is unreachable since `away`; none while that is empty."""
    if not away:
        return ()
    return (f"etcd has been unreachable since {away}. Showing the last known state.",)


def _then(trouble: Unreadable) -> str:
    if trouble.key.startswith(COMMITS):
        return "no commit is made on it until `tdc-manager repair` was run"
    return "its last known value is used, and commits that touch it are refused"
