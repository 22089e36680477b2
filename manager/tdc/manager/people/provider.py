"""PURE. Who may come in by a provider, as whom, and what he may do.

The policy
----------
A provider proves *who* somebody is: by its own name (issuer) and his lasting name there (subject),
which nobody can choose. What he is called there (a claim) may be changed, by himself perhaps; it
names his user here the first time, and never leads to a user who is there already.

What he may *do* is decided here. Groups at the provider are mapped to roles one by one; the first
row that names one of his groups counts, and without a row he stays out. His role is looked up again
at each login. If an administrator sets it, it is his own from then on, and groups don't matter.

Who was deleted stays out, whatever his groups and whatever he is called by now, until an
administrator makes a user for his subject.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from tdc.manager.people.reach import GroupKey, Reach, Role, reach_of
from tdc.manager.people.user import Identity, PeopleError, User, check_user_name, other_spelling

MOST_GROUPS = 10_000
"""Groups of a person that are looked at."""

_ROLES = {str(role).replace(" ", "-"): role for role in Role}


class NotAdmitted(PeopleError):
    """The provider has proven who somebody is, and he may not come in. One sentence."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What the members of a group at the provider may do here."""

    group: str
    role: Role
    reach: Reach


def read_grant(text: str) -> Grant:
    """Read ``ROLE=GROUP`` or ``ROLE@CLUSTER+CLUSTER/GROUP=GROUP``; raises PeopleError."""
    left, equals, group = text.partition("=")
    name, at, places = left.partition("@")
    role = _ROLES.get(name.strip())
    if not equals or not group.strip() or role is None or (at and not places.strip()):
        raise PeopleError(
            f"{text[:200]!r} is not of the form ROLE=GROUP or ROLE@CLUSTER+CLUSTER/GROUP=GROUP; "
            f"roles are {', '.join(reversed(_ROLES))}"
        )
    return Grant(group.strip(), role, _read_reach(places, text))


def _read_reach(places: str, text: str) -> Reach:
    clusters: list[str] = []
    groups: list[GroupKey] = []
    for place in places.split("+") if places else ():
        cluster, slash, group = (each.strip() for each in place.partition("/"))
        if not cluster or bool(slash) != bool(group) or "/" in group:
            raise PeopleError(f"{text[:200]!r}: {place!r} is not CLUSTER or CLUSTER/GROUP")
        if group:
            groups.append((cluster, group))
        else:
            clusters.append(cluster)
    return reach_of(clusters, groups)


def granted(grants: Sequence[Grant], groups: Collection[str]) -> Grant | None:
    """The first grant for one of these groups, in the order of the file."""
    return next((each for each in grants if each.group in groups), None)


def groups_in(claim: object) -> frozenset[str]:
    """The groups in a claim: a list of texts, or one text. What is neither counts as none."""
    if isinstance(claim, str):
        return frozenset({claim})
    if not isinstance(claim, list):
        return frozenset()
    return frozenset(each for each in claim[:MOST_GROUPS] if isinstance(each, str))


def name_in(claims: Mapping[str, object], claim: str) -> str:
    """The name in a claim, as a user may have it; raises NotAdmitted."""
    name = claims.get(claim)
    if not isinstance(name, str) or not name:
        raise NotAdmitted(
            f"the provider does not say what this person is called: there is no claim {claim} "
            "(oidc_name_claim, oidc_scopes)"
        )
    try:
        return check_user_name(name)
    except PeopleError as error:
        raise NotAdmitted(
            f"what the provider calls this person can't be his name here: {error} "
            "(oidc_name_claim chooses another claim)"
        ) from None


def owner_of(users: Iterable[User], identity: Identity) -> User | None:
    """Whose identity it is: the user's of today, else that of a user who was deleted."""
    found = None
    for user in users:
        if user.identity == identity and not user.deleted:
            return user
        if user.identity == identity or identity in user.barred:
            found = user
    return found


def admitted(
    users: Mapping[str, User],
    identity: Identity,
    claims: Mapping[str, object],
    name_claim: str,
    grant: Grant | None,
    now: float,
    taken: Iterable[str] = (),
) -> User:
    """The user as whom somebody comes in, as he is to be stored; raises NotAdmitted.

    `taken` are names of operators' certificates, whose owners a user of the name would be.
    """
    user = owner_of(users.values(), identity)
    who = f"tdc: `tdc user create NAME --subject SUBJECT`, his subject being {identity.subject!r}"
    if user is not None and (user.deleted or user.identity != identity):
        raise NotAdmitted(
            f"the user {user.name} of this person was deleted. An administrator can let him in "
            f"again ({who})"
        )
    if user is not None and not user.mapped:
        return user
    if grant is None:
        raise NotAdmitted(
            "none of this person's groups at the provider has a role here (oidc_roles). An "
            f"administrator can let him in by hand ({who})"
        )
    if user is not None:
        after = replace(user, role=grant.role, reach=grant.reach)
        if after == user:
            return user
        return replace(after, number=user.number + 1, epoch=user.epoch + 1)
    try:
        name = name_in(claims, name_claim)
    except NotAdmitted as error:
        raise NotAdmitted(f"{error}. Or an administrator makes him a user ({who})") from None
    others = {*users, *taken}
    other = name if name in others else other_spelling(name, others)
    if other:
        raise NotAdmitted(
            f"there is or was a user or a certificate {other} here, for whom the provider does not "
            f"speak. An administrator can make a user of another name for this person ({who})"
        )
    return User(
        name,
        grant.role,
        grant.reach,
        born=now,
        made_by=f"the provider {identity.issuer}",
        identity=identity,
        mapped=True,
    )
