"""The least role, and how far one must reach, for each operation.

Written out, not read from the table: a row that is widened there fails where this is used.
"""

from __future__ import annotations

from collections.abc import Mapping

from tdc.manager.people.reach import Role

LEAST: Mapping[Role, str] = {
    Role.HELP_DESK: "monitoring.read_status monitoring.read_delivery queue.list_dead "
    "people.who_am_i people.set_password people.set_second_factor people.list_sessions "
    "people.end_sessions people.create_token people.list_tokens people.revoke_tokens "
    "people.look_after_oneself",
    Role.READ_ONLY: "changes.plan changes.list_commits changes.read_commit changes.read_cluster "
    "changes.read_difference drafts.read drafts.list drafts.change recovery.find_edits "
    "settings.read_level settings.read_effective settings.explain "
    "settings.check fleet.list_clusters fleet.list_groups fleet.list_machines queue.plan "
    "managers.list managers.status",
    Role.OPERATOR: "changes.commit queue.do suspensions.suspend suspensions.resume",
    Role.ADMINISTRATOR: "changes.create_cluster changes.delete_cluster "
    "changes.rename_cluster tokens.create tokens.withdraw "
    "people.look_after_others people.list_users people.create_user people.set_role "
    "people.remove_second_factor people.delete_user people.list_operators "
    "people.withdraw_operator audit.list audit.read audit.verify",
}

EXTENT: Mapping[str, str] = {
    "the whole installation": "changes.create_cluster changes.rename_cluster "
    "people.look_after_others people.list_users "
    "people.create_user people.set_role people.remove_second_factor people.delete_user "
    "people.list_operators people.withdraw_operator audit.list audit.read audit.verify "
    "managers.list managers.status",
    "a whole cluster": "changes.delete_cluster changes.list_commits changes.read_commit "
    "changes.read_cluster changes.read_difference settings.check recovery.find_edits",
}
"""What is not here needs groups only, or is about the actor himself."""


def role_for(operation: str) -> Role:
    return next(role for role, names in LEAST.items() if operation in names.split())


def needs_of(operation: str) -> str:
    """How far one must reach for it; empty where a group is enough."""
    return next((words for words, names in EXTENT.items() if operation in names.split()), "")
