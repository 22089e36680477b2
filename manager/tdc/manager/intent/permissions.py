"""Who may do what: one row for each operation, and no operation without its row.

The policy: deny by default. A room of `intent` is a class whose public methods are operations, each
with a name (`@operation`). A name without a row below stops the start, and so does a row without an
operation, and a public method without a name, which would run unchecked. The check is around the
operation itself, not around an RPC or a route: gRPC, REST and console call the same method, and
there is no other way in.

Each row names the least role. All operators are administrators today, so no row refuses anybody
yet; users and roles will go by these rows.
"""

from __future__ import annotations

import functools
import inspect
import logging
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, TypeVar

from tdc.manager.intent.actor import Actor, Role, Scope
from tdc.manager.intent.errors import NotPermitted

log = logging.getLogger(__name__)

Room = TypeVar("Room")
P = ParamSpec("P")
R = TypeVar("R")
Method = Callable[Concatenate[Room, Actor, P], Coroutine[Any, Any, R]]

_NAME = "__operation__"


@dataclass(frozen=True, slots=True)
class Permission:
    """The least that an actor needs for an operation."""

    role: Role
    scope: Scope = Scope.INSTALLATION

    def allows(self, actor: Actor) -> bool:
        """Whether `actor` has at least this role, reaching at least this far."""
        return actor.role >= self.role and actor.scope >= self.scope


PERMISSIONS: Mapping[str, Permission] = {
    "changes.plan": Permission(Role.READ_ONLY),
    "changes.commit": Permission(Role.OPERATOR),
    "changes.create_cluster": Permission(Role.ADMINISTRATOR),
    "changes.delete_cluster": Permission(Role.ADMINISTRATOR),
    "changes.rename_cluster": Permission(Role.ADMINISTRATOR),
    "changes.list_commits": Permission(Role.READ_ONLY),
    "changes.read_commit": Permission(Role.READ_ONLY),
    "changes.read_cluster": Permission(Role.READ_ONLY),
    "changes.read_difference": Permission(Role.READ_ONLY),
    "drafts.read": Permission(Role.READ_ONLY),
    "drafts.list": Permission(Role.READ_ONLY),
    "drafts.change": Permission(Role.READ_ONLY),
    "settings.read_level": Permission(Role.READ_ONLY),
    "settings.read_effective": Permission(Role.READ_ONLY),
    "settings.explain": Permission(Role.READ_ONLY),
    "settings.check": Permission(Role.READ_ONLY),
    "fleet.list_clusters": Permission(Role.READ_ONLY),
    "fleet.list_groups": Permission(Role.READ_ONLY),
    "fleet.list_machines": Permission(Role.READ_ONLY),
    "monitoring.read_status": Permission(Role.HELP_DESK),
    "monitoring.read_delivery": Permission(Role.HELP_DESK),
    "queue.list_dead": Permission(Role.HELP_DESK),
    "queue.plan": Permission(Role.READ_ONLY),
    "queue.do": Permission(Role.OPERATOR),
    "suspensions.suspend": Permission(Role.OPERATOR),
    "suspensions.resume": Permission(Role.OPERATOR),
    "tokens.create": Permission(Role.ADMINISTRATOR),
}


class PermissionTableError(Exception):
    """A permission table disagrees with what it is about; the manager does not start."""


def operation(name: str) -> Callable[[Method[Room, P, R]], Method[Room, P, R]]:
    """Make a method the operation `name`: it runs only for an actor whom the table permits it.

    Raises PermissionTableError if the table has no row of that name. The method raises
    NotPermitted, which is logged.
    """
    if name not in PERMISSIONS:
        raise PermissionTableError(f"operation {name} has no row in the permission table")

    def around(method: Method[Room, P, R]) -> Method[Room, P, R]:
        @functools.wraps(method)
        async def checked(room: Room, actor: Actor, /, *args: P.args, **kwargs: P.kwargs) -> R:
            _require(actor, name)
            return await method(room, actor, *args, **kwargs)

        setattr(checked, _NAME, name)
        return checked

    return around


def check_operations(
    rooms: Collection[object], permissions: Mapping[str, Permission] = PERMISSIONS
) -> None:
    """Raise PermissionTableError unless the rooms' public methods and the rows agree."""
    methods = {
        f"{type(room).__name__}.{name}": getattr(method, _NAME, None)
        for room in rooms
        for name, method in inspect.getmembers(type(room), inspect.isroutine)
        if not name.startswith("_")
    }
    operations = Counter(name for name in methods.values() if name is not None)
    faults = [f"{name} is not an operation" for name, each in methods.items() if each is None]
    faults += [f"{count} methods are {name}" for name, count in operations.items() if count > 1]
    faults += [
        f"operation {name} has no row in the permission table"
        for name in sorted(operations.keys() - permissions.keys())
    ]
    faults += [
        f"the row {name} belongs to no operation"
        for name in sorted(permissions.keys() - operations.keys())
    ]
    if faults:
        raise PermissionTableError("; ".join(faults) + ". The manager does not start.")


def _require(actor: Actor, name: str) -> None:
    needed = PERMISSIONS.get(name)
    if needed is not None and needed.allows(actor):
        return
    what = f"the role {needed.role} for {needed.scope}" if needed else "a row in the table"
    log.warning("refused: %s by %s, which needs %s", name, actor, what)
    raise NotPermitted(
        f"{name} needs {what}; {actor.name} has the role {actor.role} for {actor.scope}"
    )
