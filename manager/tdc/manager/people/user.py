"""PURE. Users, and by what they prove who they are: sessions, API tokens, operator certificates.

The policy
----------
A user is never forgotten: one that was deleted stays as such, so that a certificate of his name
does not count as one of nobody's. He is `born` when he is created, and API tokens are of that user,
not of the next one of his name; so are drafts, and certificates that were issued before he was
deleted. Sessions are of his `epoch`, which grows whenever what he may do, or how he proves who he
is, was changed: they all end then, and begin again with a new login.

A session ends IDLE seconds after it was last used, and ABSOLUTE seconds after it began. A token
ends when it says so. Each may do what its user may at the moment of the call, and a token no more
than was given to it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from tdc.manager.people.reach import EVERYWHERE, Reach, Role
from tdc.shared.sync.words import moment_words

IDLE = 1_800.0
"""Seconds without a call after which a session ends."""
ABSOLUTE = 43_200.0
"""Seconds that a session lasts at most."""
USE_WRITTEN_EVERY = 300.0
"""Seconds between two notes of a last use in the store, at least."""
TOKEN_LIFETIME = 90 * 86_400
"""Seconds that an API token is good for, by default."""
LONGEST_TOKEN_LIFETIME = 366 * 86_400

LONGEST_SUBJECT = 255
"""Characters of what a provider calls a person for good (OpenID Connect Core 2)."""

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._@+-]{0,62}[A-Za-z0-9])?")


class PeopleError(ValueError):
    """A name or record of people that is not valid. One sentence for the operator."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who somebody is at a provider, for good: the provider's own name, and his there."""

    issuer: str
    subject: str


@dataclass(frozen=True, slots=True)
class User:
    """A user. `number` grows with each change of the record, `epoch` with those that end sessions.

    `reach` is as it is kept: by places and slots.

    `password` is the hash (PHC form), empty for a user who can't log in by one. `second_factor` is
    the sealed secret of his one-time codes, empty without; `last_step` the step of the last code
    that was used. Times are Unix seconds; `born` is made unique among users of a name. Certificates
    that were issued before `certificates_from` are of earlier users of the name, who were deleted.

    `identity` is who he is at the provider by which he logs in, `last_begun` when the last of these
    logins began; `mapped`: his role and reach follow from his groups there. `barred` are identities
    of users of this name who were deleted.
    """

    name: str
    role: Role
    reach: Reach = EVERYWHERE
    password: str = ""
    born: float = 0.0
    made_by: str = ""
    number: int = 1
    epoch: int = 1
    certificates_from: float = 0.0
    last_login: float | None = None
    deleted: bool = False
    second_factor: str = ""
    last_step: int = 0
    identity: Identity | None = None
    mapped: bool = False
    last_begun: float = 0.0
    barred: frozenset[Identity] = frozenset()

    def took_the_name_over(self, at: float) -> bool:
        """Whether `at` an earlier user had this name, who was deleted since."""
        return bool(self.certificates_from) and not self.deleted and at < self.born

    @property
    def administers_all(self) -> bool:
        """Whether he is an administrator of the whole installation, whatever a provider does.

        By what he can come in is another question (`administrators`).
        """
        administers = self.role is Role.ADMINISTRATOR and self.reach.everywhere
        return administers and not self.deleted and not self.mapped

    @property
    def barred_next(self) -> frozenset[Identity]:
        """The identities that stay out once another user of this name is made."""
        own = self.identity if self.deleted else None
        return self.barred if own is None else self.barred | {own}


@dataclass(frozen=True, slots=True)
class Session:
    """A session; `id` is the hash of its secret. `used` is its last use as far as it is stored."""

    id: str
    user: str
    epoch: int
    born: float
    used: float
    origin: str = ""

    @property
    def ends(self) -> float:
        """When it ends at the latest."""
        return self.born + ABSOLUTE


@dataclass(frozen=True, slots=True)
class ApiToken:
    """An API token; `id` is the hash of its secret. `used` is None until it was used.

    `reach` is as it is kept: by places and slots.
    """

    id: str
    user: str
    user_born: float
    label: str
    role: Role
    reach: Reach
    made: float
    ends: float
    used: float | None = None
    origin: str = ""


@dataclass(frozen=True, slots=True)
class OperatorCertificate:
    """An operator's certificate that was seen or withdrawn, by its SHA-256 (hexadecimal).

    `number` grows with each change. `ends` is None where it was never seen; so is `issued`, and
    where it was last noted by an older manager. `issuer` is how it names the CA that it is by;
    empty where it was last noted by an older manager.
    """

    fingerprint: str
    name: str = ""
    number: int = 1
    issued: float | None = None
    ends: float | None = None
    first: float | None = None
    used: float | None = None
    withdrawn: float | None = None
    withdrawn_by: str = ""
    reason: str = ""
    issuer: str = ""


def check_user_name(text: str) -> str:
    """Return `text` if a user may have this name; raises PeopleError."""
    if not _NAME.fullmatch(text):
        raise PeopleError(
            f"{text[:64]!r} is not a valid user name: use 1 to 64 letters, digits, '.', '_', '@', "
            "'+' or '-', with a letter or digit at both ends"
        )
    return text


def other_spelling(name: str, names: Iterable[str]) -> str:
    """The one of `names` that differs from `name` in nothing but case; empty without one."""
    folded = name.casefold()
    return next((each for each in names if each != name and each.casefold() == folded), "")


def certificates_shut(user: User, now: float, newest: float) -> float:
    """From when on a certificate of this name has to be issued, if the user is deleted now.

    `newest` is when the last one was issued of those that were seen, perhaps by a faster clock.
    """
    return max(user.certificates_from, math.floor(now) + 1.0, newest + 1.0)


def of_former_user(user: User, at: float) -> bool:
    """Whether what was made in this name at `at` is of an earlier user, who was deleted."""
    return user.deleted or at < user.certificates_from


def with_its_user(certificate: OperatorCertificate, user: User | None) -> OperatorCertificate:
    """The certificate, as withdrawn if the user that it was made for was deleted.

    `user` is he who has its name now, or had it last.
    """
    made = certificate.issued if certificate.issued is not None else certificate.first or 0.0
    if certificate.withdrawn is not None or user is None or not of_former_user(user, made):
        return certificate
    return replace(certificate, withdrawn=user.certificates_from, reason="its user was deleted")


def session_ended(session: Session, user: User | None, used: float, now: float) -> str:
    """Why a session is not good any more, in words; empty while it is.

    `used` is its last use as far as it is known here.
    """
    if user is None or user.deleted:
        return "its user was deleted"
    if user.epoch != session.epoch:
        return "its user's role, reach, password or one-time codes were changed"
    if now >= session.ends:
        return (
            f"it lasts {ABSOLUTE / 3600:g} hours, and this manager's clock reads "
            f"{moment_words(now)}"
        )
    if now - max(session.used, used) > IDLE:
        # Another manager may have noted its last use, by its own clock.
        here = f"by this manager's clock, which reads {moment_words(now)}"
        return f"it was not used for {IDLE / 60:g} minutes ({here})"
    return ""


def token_ended(token: ApiToken, user: User | None, now: float) -> str:
    """Why an API token is not good any more, in words; empty while it is."""
    if user is None or user.deleted or user.born != token.user_born:
        return "its user was deleted"
    return "it has expired" if now >= token.ends else ""
