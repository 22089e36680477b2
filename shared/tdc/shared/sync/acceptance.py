"""PURE. May these wanted settings run here? What can be judged without knowing the machine.

The order of the questions matters: what can't be read is not hashed, what does not match its hash
is not looked into, and nothing older than what runs is considered at all.
"""

from __future__ import annotations

from tdc.shared.settings.known import KNOWN_HERE, hash_of
from tdc.shared.settings.schema import SCHEMA
from tdc.shared.sync.values import BEHIND, Removed, Running, Wanted


def objection(wanted: Wanted, known: frozenset[str] = KNOWN_HERE) -> str:
    """Say in one sentence what is wrong with `wanted` itself; empty if nothing is.

    `known` are the settings of ours that the manager knows. One that it doesn't may be missing: its
    default counts.
    """
    if wanted.fault:
        return wanted.fault
    if wanted.revision < 1:
        return f"revision {wanted.revision} is not a valid revision; they count from 1"
    missing = [
        name
        for name, row in SCHEMA.items()
        if row.default is not None and name in known and name not in wanted.settings
    ]
    if missing:
        # An empty or torn message must never turn into "use the defaults".
        return (
            f"the settings are incomplete: no value for {', '.join(missing)}, though the manager "
            "knows it. That is a fault of the manager: upgrade it"
        )
    found = hash_of(wanted.settings, known)
    if found != wanted.hash:
        return f"the settings do not match their hash: expected {wanted.hash}, computed {found}"
    return ""


def foreign(wanted: Wanted, running: Running, other_history: str) -> str:
    """Say why where `wanted` comes from is refused: another history, or a store that was left.

    `other_history` is what `another_history` said of the manager; empty if nothing.
    """
    if wanted.store_id != running.store_id:
        return _left_store(wanted, running)
    if not other_history and wanted.revision == running.revision:
        return another_history(running, wanted.history)
    return other_history


def _left_store(wanted: Wanted, running: Running) -> str:
    """Refuse a store that this machine has left: two managers must not pull it to and fro."""
    if wanted.store_id not in running.left:
        return ""
    return (
        f"revision {wanted.revision} is of store {wanted.store_id[:8]}, which this machine left "
        f"for store {running.store_id[:8]}: two managers run, one from a copy or an old state of "
        f"the other's store. Stop the wrong one. {_ADOPT}"
    )


def older(wanted: Wanted, running: Running) -> str:
    """Refuse, within one store, what is older than what runs."""
    if wanted.store_id == running.store_id and wanted.revision < running.revision:
        return (
            f"revision {wanted.revision} is older than revision {running.revision}, which runs "
            f"here. Was the store restored from a backup? {_RECOVER}"
        )
    return ""


def doubtful(removed: Removed, running: Running) -> str:
    """Say why a removal is not of the history that runs here; empty if it may be.

    A machine that a revision removed runs no later one, unless it was enrolled again.
    """
    left = removed.store_id in running.left
    before = removed.store_id == running.store_id and removed.revision <= running.revision
    if not removed.store_id or not (left or before):
        return ""
    runs = f"of store {running.store_id[:8]}" if left else "of the same store"
    return (
        f"revision {removed.revision} of store {removed.store_id[:8]} is said to have removed this "
        f"machine, and revision {running.revision} {runs} runs here, so the manager has an older "
        f"state or another history. {_ADOPT}"
    )


def another_history(running: Running, theirs: str) -> str:
    """Say that the manager's history is not the one that runs here; empty if it may be.

    `theirs` is the manager's chain value at the revision that runs.
    """
    if theirs in ("", BEHIND) or running.history in ("", theirs):
        return ""
    return (
        f"the manager's store has another history: its commit {running.revision} is not the one "
        f"that runs here ({theirs[:8]}, not {running.history[:8]}), so there are two managers with "
        "copies of one store, or an older backup was restored. This machine keeps what it runs. "
        f"Stop the wrong manager. {_ADOPT}"
    )


_RECOVER = (
    "If the refused manager's store is the right one, `tdc recover` gives it back what machines "
    "run; `tdc-manager adopt` for it then has machines follow it"
)

_ADOPT = (
    "If the refused manager's store is the right one, run `tdc-manager adopt` for it; machines "
    "then follow it"
)
