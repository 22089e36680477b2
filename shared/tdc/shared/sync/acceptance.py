"""PURE. May these wanted settings run here? What can be said without knowing the machine.

The order of the questions matters: what can't be read is not hashed, what does not match its
hash is not looked into, and nothing is judged that is from before what runs.
"""

from __future__ import annotations

from tdc.shared.settings.canonical import content_hash
from tdc.shared.settings.schema import SCHEMA
from tdc.shared.settings.values import Settings
from tdc.shared.sync.values import Running, Wanted


def objection(wanted: Wanted, running: Running) -> str:
    """Return why `wanted` must be refused, in one sentence; empty if there is no reason."""
    if wanted.fault:
        return wanted.fault
    if wanted.revision < 1:
        return f"revision {wanted.revision} is no commit's"
    missing = [
        name
        for name, row in SCHEMA.items()
        if row.default is not None and name not in wanted.settings
    ]
    if missing:
        # An empty or torn message must never turn into "use the defaults".
        return (
            f"the settings are not whole: no value for {', '.join(missing)}; "
            "a manager older than this agent does not know all of its settings"
        )
    found = hash_of(wanted.settings)
    if found != wanted.hash:
        return f"the settings do not match their hash: sent {wanted.hash}, found {found}"
    if wanted.store_id == running.store_id and wanted.revision < running.revision:
        return (
            f"revision {wanted.revision} is older than revision {running.revision} that runs here;"
            " if the store was restored from a backup, commit again above that revision"
        )
    return ""


def hash_of(settings: Settings) -> str:
    """Return the content hash of effective settings; one without a value counts as none."""
    return content_hash({name: settings.get(name) for name in SCHEMA})
