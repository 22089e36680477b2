"""What a change makes of users' records, and who is known: functions over what there is."""

from __future__ import annotations

import math
from dataclasses import replace

from tdc.manager.intent.errors import UnknownPerson
from tdc.manager.people.reach import Role
from tdc.manager.people.user import PeopleError, User, check_user_name, other_spelling
from tdc.manager.store.people import Users


def recovered(users: Users, name: str, password: str, now: float) -> User:
    """PURE. The user `name` as an administrator of all with this password's hash, made if needed.

    For who is at the manager's own machine, when nobody else can let him in. Raises PeopleError.
    """
    other = other_spelling(name, (each.name for each in users.values() if not each.deleted))
    if other:
        raise PeopleError(
            f"there is a user {other}, and names differ in more than case: name him, or another"
        )
    before = users.get(name) or User(check_user_name(name), Role.ADMINISTRATOR, number=0, epoch=0)
    born = max(now, before.born + 0.001) if before.deleted or not before.born else before.born
    since = max(before.certificates_from, math.floor(now) if before.deleted else 0.0)
    return replace(
        User(
            name,
            Role.ADMINISTRATOR,
            password=password,
            born=born,
            certificates_from=since,
            barred=before.barred_next,
        ),
        identity=None if before.deleted else before.identity,
        last_login=before.last_login,
        made_by=before.made_by or "tdc-manager user-recover",
        number=before.number + 1,
        epoch=before.epoch + 1,
    )


def renewed(user: User) -> User:
    """The record with its next numbers: what was good of the one before is not any more."""
    return replace(user, number=user.number + 1, epoch=user.epoch + 1)


def user_named(users: Users, name: str) -> User:
    """The user of this name; raises UnknownPerson."""
    found = users.get(name)
    if found is None or found.deleted:
        raise unknown(name)
    return found


def unknown(name: str) -> UnknownPerson:
    """That there is no such user, and what shows who is."""
    return UnknownPerson(f"there is no user {name[:64]!r} (tdc: `tdc user list` shows them)")


def is_known(users: Users, wanted: User) -> bool:
    """Whether this change of a user, or a later one, has been seen."""
    found = users.get(wanted.name)
    return found is not None and found.number >= wanted.number
