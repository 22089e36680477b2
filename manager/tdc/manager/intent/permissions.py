"""Who may do what: one row for each operation, and no operation without its row.

The policy: deny by default. A room of `intent` is a class whose public methods are operations, each
with a name (`@operation`). A name without a row below stops the start, and so does a row without an
operation, and a public method without a name, which would run unchecked. The check is around the
operation itself, not around an RPC or a route: gRPC, REST and console call the same method, and
there is no other way in.

Each row names the least role, and what the operation reaches: the installation as a whole, whole
clusters, or groups. An operation that reaches less than the installation narrows its work to what
its actor reaches (`within`).

Some rows name also by what one must have proven who he is. A proof that may be narrower than its
user, an API token, is good for nothing by which somebody looks after himself: it would leave proofs
behind that do more than it may, or outlive it.
"""

from __future__ import annotations

import functools
import inspect
import logging
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Concatenate, ParamSpec, TypeVar

from tdc.manager.intent.actor import Actor, Means
from tdc.manager.intent.errors import NotPermitted
from tdc.manager.people.reach import Reach, Role

log = logging.getLogger(__name__)

Room = TypeVar("Room")
P = ParamSpec("P")
R = TypeVar("R")
Method = Callable[Concatenate[Room, Actor, P], Coroutine[Any, Any, R]]

_NAME = "__operation__"
_TOKEN_TOO = dict.fromkeys(Means, "") | {Means.TOKEN: ", or for another API token"}

ANY_MEANS = frozenset(Means)
WHOLE_USER = frozenset({Means.CERTIFICATE, Means.SESSION})
"""By these one is his user with all that he may, as long as he may it."""


class Extent(Enum):
    """What an operation is about, and so how far its actor must reach."""

    INSTALLATION = "the whole installation"
    CLUSTERS = "a whole cluster"
    """It narrows its work to clusters, and refuses one of which only groups are in reach."""
    GROUPS = "any of it"
    """It narrows its work to groups; what changes a cluster it refuses to who has only groups. Who
    reaches nothing is refused: an empty answer would say that there is nothing."""
    OWN = "nothing but one's own"
    """It is about the actor himself."""

    def suits(self, reach: Reach) -> bool:
        """Whether somebody with this reach may ask for it at all."""
        match self:
            case Extent.INSTALLATION:
                return reach.everywhere
            case Extent.CLUSTERS:
                return reach.everywhere or bool(reach.clusters)
            case Extent.GROUPS:
                return not reach.is_nothing
            case _:
                return True


@dataclass(frozen=True, slots=True)
class Permission:
    """The least that an actor needs for an operation."""

    role: Role
    extent: Extent = Extent.INSTALLATION
    means: frozenset[Means] = ANY_MEANS

    def allows(self, actor: Actor) -> bool:
        """Whether `actor` has at least this role, reaching at least this far, by such means."""
        has_role = actor.role >= self.role and self.extent.suits(actor.reach)
        return has_role and actor.means in self.means


PERMISSIONS: Mapping[str, Permission] = {
    "changes.plan": Permission(Role.READ_ONLY, Extent.GROUPS),
    "changes.commit": Permission(Role.OPERATOR, Extent.GROUPS),
    "changes.create_cluster": Permission(Role.ADMINISTRATOR),
    "changes.delete_cluster": Permission(Role.ADMINISTRATOR, Extent.CLUSTERS),
    "changes.rename_cluster": Permission(Role.ADMINISTRATOR),
    "changes.list_commits": Permission(Role.READ_ONLY, Extent.CLUSTERS),
    "changes.read_commit": Permission(Role.READ_ONLY, Extent.CLUSTERS),
    "changes.read_cluster": Permission(Role.READ_ONLY, Extent.CLUSTERS),
    "changes.read_difference": Permission(Role.READ_ONLY, Extent.CLUSTERS),
    "drafts.read": Permission(Role.READ_ONLY, Extent.GROUPS),
    "drafts.list": Permission(Role.READ_ONLY, Extent.GROUPS),
    "drafts.change": Permission(Role.READ_ONLY, Extent.GROUPS),
    "settings.read_level": Permission(Role.READ_ONLY, Extent.GROUPS),
    "settings.read_effective": Permission(Role.READ_ONLY, Extent.GROUPS),
    "settings.explain": Permission(Role.READ_ONLY, Extent.GROUPS),
    "settings.check": Permission(Role.READ_ONLY, Extent.CLUSTERS),
    "fleet.list_clusters": Permission(Role.READ_ONLY, Extent.GROUPS),
    "fleet.list_groups": Permission(Role.READ_ONLY, Extent.GROUPS),
    "fleet.list_machines": Permission(Role.READ_ONLY, Extent.GROUPS),
    "monitoring.read_status": Permission(Role.HELP_DESK, Extent.GROUPS),
    "monitoring.read_delivery": Permission(Role.HELP_DESK, Extent.GROUPS),
    "queue.list_dead": Permission(Role.HELP_DESK, Extent.GROUPS),
    "queue.plan": Permission(Role.READ_ONLY, Extent.GROUPS),
    "queue.do": Permission(Role.OPERATOR, Extent.GROUPS),
    "recovery.find_edits": Permission(Role.READ_ONLY, Extent.CLUSTERS),
    "suspensions.suspend": Permission(Role.OPERATOR, Extent.GROUPS),
    "suspensions.resume": Permission(Role.OPERATOR, Extent.GROUPS),
    "people.who_am_i": Permission(Role.HELP_DESK, Extent.OWN),
    "people.set_password": Permission(Role.HELP_DESK, Extent.OWN),
    "people.set_second_factor": Permission(Role.HELP_DESK, Extent.OWN, WHOLE_USER),
    "people.list_sessions": Permission(Role.HELP_DESK, Extent.OWN),
    "people.end_sessions": Permission(Role.HELP_DESK, Extent.OWN),
    "people.create_token": Permission(Role.HELP_DESK, Extent.OWN, WHOLE_USER),
    "people.list_tokens": Permission(Role.HELP_DESK, Extent.OWN),
    "people.revoke_tokens": Permission(Role.HELP_DESK, Extent.OWN),
    "people.look_after_oneself": Permission(Role.HELP_DESK, Extent.OWN, WHOLE_USER),
    "people.look_after_others": Permission(Role.ADMINISTRATOR),
    "people.list_users": Permission(Role.ADMINISTRATOR),
    "people.create_user": Permission(Role.ADMINISTRATOR),
    "people.set_role": Permission(Role.ADMINISTRATOR),
    "people.remove_second_factor": Permission(Role.ADMINISTRATOR),
    "people.delete_user": Permission(Role.ADMINISTRATOR),
    "people.list_operators": Permission(Role.ADMINISTRATOR),
    "people.withdraw_operator": Permission(Role.ADMINISTRATOR),
    "tokens.create": Permission(Role.ADMINISTRATOR, Extent.GROUPS),
    "tokens.withdraw": Permission(Role.ADMINISTRATOR, Extent.GROUPS),
    "managers.list": Permission(Role.READ_ONLY),
    "managers.status": Permission(Role.READ_ONLY),
    "audit.list": Permission(Role.ADMINISTRATOR),
    "audit.read": Permission(Role.ADMINISTRATOR),
    "audit.verify": Permission(Role.ADMINISTRATOR),
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
            try:
                _require(actor, name)
                return await method(room, actor, *args, **kwargs)
            except NotPermitted as error:
                _note_refused(actor, name, error)
                raise

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


def require(actor: Actor, name: str) -> None:
    """Raise NotPermitted, which is logged, unless `actor` may ask for operation `name` at all.

    For an adapter that must know before it reads what is asked; the operation itself asks again.
    """
    try:
        _require(actor, name)
    except NotPermitted as error:
        _note_refused(actor, name, error)
        raise


def may(actor: Actor, name: str) -> bool:
    """Whether `actor` may ask for operation `name` at all: what a page offers him."""
    return PERMISSIONS[name].allows(actor)


def _require(actor: Actor, name: str) -> None:
    needed = PERMISSIONS.get(name)
    if needed is not None and needed.allows(actor):
        return
    if needed is not None and actor.means not in needed.means:
        raise NotPermitted(
            f"{name} is not for an {actor.means}, which does no more than it was made for, and "
            f"nothing about {actor.name}, its own user: log in (tdc: `tdc login`)"
        )
    if needed is not None and needed.extent is not Extent.OWN and actor.reach.is_nothing:
        raise NotPermitted(
            f"{actor.name} reaches nothing here ({actor.reach}), so nothing can be shown or done. "
            f"Ask an administrator (tdc: `tdc user set-role`{_TOKEN_TOO[actor.means]})"
        )
    what = "a row in the table"
    if needed is not None:
        far = "" if needed.extent.suits(actor.reach) else f" for {needed.extent.value}"
        what = f"the role {needed.role}{far}"
    raise NotPermitted(
        f"{name} needs {what}; {actor.name} has the role {actor.role} for {actor.reach}. Ask an "
        "administrator"
    )


def _note_refused(actor: Actor, name: str, why: NotPermitted) -> None:
    """Log an attempt that was refused, once; `intent/refused` has it written down."""
    if why.noted:  # by an operation within this one
        return
    why.noted = True
    log.warning("refused: %s by %s: %s", name, actor, why)
