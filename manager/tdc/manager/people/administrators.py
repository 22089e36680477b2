"""PURE. Who can really come in as an administrator of the whole installation.

The policy
----------
Nothing that anybody does through a manager takes the last of them away. One who can come in has a
password and a port to log in at, or a certificate that was seen and is good still; a record opens
no door. Who logs in at a provider only does not count, nor does who has his role by his groups
there: the provider may be away, and what its groups are is decided elsewhere. A certificate without
a user of its name is an administrator, so a user of that name may be a loss.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from tdc.manager.people.user import (
    OperatorCertificate,
    PeopleError,
    User,
    check_user_name,
    of_former_user,
    other_spelling,
)


class LastAdministrator(Exception):
    """Nobody would be left who can administer the whole installation; nothing was changed."""


@dataclass(frozen=True, slots=True)
class People:
    """Users by name, the deleted too; certificates that were seen or withdrawn; the time.

    `issuers` are the CAs that are trusted, as certificates name them; None where that is not known.
    `by_password`: there is a port at which people log in with one.
    """

    users: Mapping[str, User]
    certificates: Collection[OperatorCertificate]
    now: float
    issuers: Collection[str] | None = None
    by_password: bool = True

    @property
    def administrators(self) -> frozenset[str]:
        """The names by which somebody can come in as an administrator of everything."""
        users = self.users
        names = {each.name for each in users.values() if each.password and not each.deleted}
        names = names if self.by_password else set()
        names |= {each.name for each in good_certificates(self)}
        return frozenset(name for name in names if _administers_all(users.get(name)))


def good_certificates(people: People) -> Iterable[OperatorCertificate]:
    """Certificates that were seen, and let their owners in now."""
    for each in people.certificates:
        user = people.users.get(each.name)
        ours = people.issuers is None or not each.issuer or each.issuer in people.issuers
        seen = each.first is not None and each.withdrawn is None and ours
        if not seen or each.ends is None or each.ends <= people.now:
            continue
        if user is None:
            if not not_a_name(each.name, people.users):
                yield each
        elif not of_former_user(user, each.issued if each.issued is not None else each.first or 0):
            yield each


def not_a_name(name: str, users: Mapping[str, User]) -> str:
    """Why a certificate of this name, of which there is no user, counts for nobody; else empty."""
    try:
        check_user_name(name)
    except PeopleError as error:
        return str(error)
    other = other_spelling(name, users)
    return f"it differs in nothing but case from that of the user {other}" if other else ""


def require_one_left(before: People, after: People) -> None:
    """Raise LastAdministrator if somebody can administer all before a change, and nobody after."""
    had = before.administrators
    if not had or after.administrators:
        return
    last = ", ".join(sorted(had))
    raise LastAdministrator(
        f"{last} is the last administrator of the whole installation who can come in, and would "
        "not be any more; nothing was changed. Make another one first, with a password (tdc: `tdc "
        "user create`, `tdc user set-role`), or with a certificate that was used at least once"
        + ("" if after.by_password else ". Without operator_port a password lets nobody in")
    )


def _administers_all(user: User | None) -> bool:
    return user is None or user.administers_all
