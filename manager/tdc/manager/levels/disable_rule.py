"""PURE. The disable rule: disabling a machine also disables its group and its cluster.

The policy
----------
When an edit sets ``enabled = false`` at a machine, ``enabled = false`` is stored at the machine's
group and at its cluster too, in the same commit, right after that edit. This is specified
behaviour and always on (docs/decisions/0005). One edit of one machine can therefore stop a whole
cluster from copying, which is why every plan shows the blast radius and every commit carries the
plan's fingerprint (`plan`).

*It acts at the edit, not at the end of the commit.* The edits of a commit apply in order, so a
later edit may enable the group or the cluster again, and the plan shows that. Only so can an
exported fleet be applied to an empty manager and come out the same: machines first, then groups,
then clusters, the upper levels having the last word.

*It stores ordinary values.* Resolution knows nothing of the rule. `explain` shows the values it
stored with commit and author, and rolling the commit back removes them. Removing only the
machine's override later restores nothing above.

*A nearer decision survives.* A group or machine with its own ``enabled = true`` goes on copying,
because its setting is nearer. That follows from resolution and needs nothing here.

What does not set it off
------------------------
- ``enabled = true``, and unset: there is no rule in that direction;
- disabling a group (its cluster stays as it is) or a cluster;
- ``enabled = false`` where it is already false: that is no edit;
- restoring a revision or a backup, and moving a machine: they store what was recorded;
- what the rule itself stored.
"""

from __future__ import annotations

from tdc.manager.levels.changes import SetValues
from tdc.manager.levels.fleet import LevelKey
from tdc.shared.settings.values import Level, Settings, Value

_DISABLED = Settings.of({"enabled": False})


def after_edit(
    edit: SetValues, *, enabled_before: Value | None, group: str, cluster: str
) -> tuple[SetValues, ...]:
    """Name the edits that must follow `edit` at once; usually none.

    `enabled_before` is what the edited level stored before the edit, None if absent. `group` and
    `cluster` are the machine's; they are not looked at if the edit is at another level.
    """
    if edit.key.level is not Level.MACHINE:
        return ()
    if edit.settings.get("enabled") is not False or enabled_before is False:
        return ()
    return (
        SetValues(LevelKey(Level.GROUP, group), _DISABLED),
        SetValues(LevelKey(Level.CLUSTER, cluster), _DISABLED),
    )
