"""Who can really come in as an administrator of the whole installation."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tdc.manager.people.administrators import LastAdministrator, People, require_one_left
from tdc.manager.people.reach import Reach, Role
from tdc.manager.people.user import Identity, OperatorCertificate, User

NOW = 1000.0
SEEN = OperatorCertificate("f" * 64, "ana", issued=10.0, ends=2000.0, first=20.0, issuer="new")
ANA = User("ana", Role.ADMINISTRATOR)
PART = Reach(clusters=frozenset({"c1"}))


def _of(*users: User, by: OperatorCertificate | None = SEEN) -> People:
    found = (by,) if by is not None else ()
    return People({each.name: each for each in users}, found, NOW, issuers={"new"})


@pytest.mark.parametrize(
    "each",
    [
        _of(),
        _of(ANA),
        _of(replace(ANA, identity=Identity("p", "s"))),
        _of(replace(ANA, password="hash"), by=None),
        _of(by=replace(SEEN, issuer="")),
    ],
)
def test_by_a_password_or_a_good_certificate_one_comes_in(each: People) -> None:
    assert each.administrators == {"ana"}


@pytest.mark.parametrize(
    "each",
    [
        _of(ANA, by=None),
        replace(_of(replace(ANA, password="hash"), by=None), by_password=False),
        _of(replace(ANA, role=Role.OPERATOR)),
        _of(replace(ANA, reach=PART)),
        _of(replace(ANA, password="hash", mapped=True)),
        _of(replace(ANA, password="hash", deleted=True)),
        _of(replace(ANA, certificates_from=11.0)),
        _of(replace(ANA, identity=Identity("p", "s")), by=None),
        _of(User("Ana", Role.READ_ONLY)),
        _of(by=replace(SEEN, name="an a")),
        _of(by=replace(SEEN, ends=NOW)),
        _of(by=replace(SEEN, withdrawn=500.0)),
        _of(by=replace(SEEN, first=None)),
        _of(by=replace(SEEN, issuer="gone")),
    ],
)
def test_a_record_alone_opens_no_door(each: People) -> None:
    assert not each.administrators
    with pytest.raises(LastAdministrator, match="ana is the last"):
        require_one_left(_of(), each)
    require_one_left(each, each)  # who is not there can't be lost
