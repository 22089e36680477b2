"""PURE. What may be a password.

As NIST SP 800-63B advises: length counts, and all characters are allowed. What refuses one says by
which rule.
"""

from __future__ import annotations

import unicodedata

from tdc.manager.people.user import PeopleError

SHORTEST = 12
LONGEST = 1_024
"""Characters at least, and bytes of UTF-8 at most."""
_DIFFERENT = 5


def normalized(password: str) -> bytes:
    """The bytes that are hashed: two keyboards may compose a letter in different ways."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "replace")


def check_password(password: str, name: str) -> str:
    """Return a new password of the user `name`; raises PeopleError."""
    if len(password) < SHORTEST:
        raise PeopleError(
            f"a password has at least {SHORTEST} characters: several words in a row are easy to "
            "remember and hard to guess"
        )
    if len(normalized(password)) > LONGEST:
        raise PeopleError(f"a password has at most {LONGEST} bytes")
    if name.casefold() in password.casefold():
        raise PeopleError("a password does not contain the name of its user: choose other words")
    if len(set(password)) < _DIFFERENT:
        raise PeopleError(
            f"this password has fewer than {_DIFFERENT} different characters: choose several words "
            "in a row"
        )
    return password
