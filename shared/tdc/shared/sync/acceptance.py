"""PURE. May these wanted settings run here? What can be judged without knowing the machine.

The order of the questions matters: what can't be read is not hashed, what does not match its hash
is not looked into, and nothing older than what runs is considered at all.
"""

from __future__ import annotations

from tdc.shared.settings.canonical import content_hash
from tdc.shared.settings.schema import SCHEMA
from tdc.shared.settings.values import Settings
from tdc.shared.sync.values import Running, Wanted


def objection(wanted: Wanted, running: Running) -> str:
    """Say in one sentence why `wanted` must be refused; empty if it may run."""
    if wanted.fault:
        return wanted.fault
    if wanted.revision < 1:
        return f"revision {wanted.revision} is not a valid revision; they count from 1"
    missing = [
        name
        for name, row in SCHEMA.items()
        if row.default is not None and name not in wanted.settings
    ]
    if missing:
        # An empty or torn message must never turn into "use the defaults".
        return (
            f"the settings are incomplete: no value for {', '.join(missing)}; "
            "is the manager older than this agent? Update the manager first"
        )
    found = hash_of(wanted.settings)
    if found != wanted.hash:
        return f"the settings do not match their hash: expected {wanted.hash}, computed {found}"
    if wanted.store_id == running.store_id and wanted.revision < running.revision:
        return (
            f"revision {wanted.revision} is older than revision {running.revision}, which runs "
            "here; if the store was restored from a backup, commit again until it passes that "
            "revision"
        )
    return ""


def hash_of(settings: Settings) -> str:
    """Hash effective settings as the manager does; a setting without a value counts as None."""
    return content_hash({name: settings.get(name) for name in SCHEMA})
