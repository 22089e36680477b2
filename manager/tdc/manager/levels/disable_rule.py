"""PURE. The disable rule: a machine-level disable also disables the machine's group and cluster.

The specified behaviour, always on (DESIGN section 3, docs/decisions/0005). It acts at the edit,
so a later edit of the same commit may enable a level again. What it does not do matters as much:

- ``enabled = true`` does not propagate, nor does unset;
- a disable at group or cluster level does not propagate;
- setting ``enabled = false`` where it is already so is no edit and does not propagate;
- restoring what was recorded is not a *set* and does not propagate;
- what the rule sets is not an edit of the operator's and does not set off the rule again.

A machine or group with its own ``enabled = true`` stays enabled, for its own setting is nearer:
that follows from resolution and needs nothing here.
"""

from __future__ import annotations

from tdc.manager.levels.changes import SetValues
from tdc.manager.levels.fleet import LevelKey
from tdc.shared.settings.values import Level, Settings, Value

_DISABLED = Settings.of({"enabled": False})


def after_edit(
    edit: SetValues, *, enabled_before: Value | None, group: str, cluster: str
) -> tuple[SetValues, ...]:
    """Return the edits that must follow `edit` at once.

    `enabled_before` is what the edited level stored before the edit (None: absent); `group` and
    `cluster` are the machine's, and of no meaning where `edit` is not at the machine level.
    """
    if edit.key.level is not Level.MACHINE:
        return ()
    if edit.settings.get("enabled") is not False or enabled_before is False:
        return ()
    return (
        SetValues(LevelKey(Level.GROUP, group), _DISABLED),
        SetValues(LevelKey(Level.CLUSTER, cluster), _DISABLED),
    )
