"""PURE. Records of people as stored bytes, each sealed; docs/store.md has their form."""

from __future__ import annotations

from collections.abc import Mapping

from tdc.manager.people.reach import EVERYWHERE, Reach, Role
from tdc.manager.people.user import ApiToken, Identity, OperatorCertificate, Session, User
from tdc.manager.store.encoding import Damaged, count_of, list_of, moment_of, object_of, text_of
from tdc.manager.store.seal import Edited, is_sealed, pack_sealed, unpack_sealed

_ROLES = {str(role): role for role in Role}


def pack_user(key: str, user: User) -> bytes:
    """The bytes of the user at `key`."""
    document: dict[str, object] = {
        "name": user.name,
        "role": str(user.role),
        "reach": _packed_reach(user.reach),
        "born": user.born,
        "made_by": user.made_by,
        "number": user.number,
        "epoch": user.epoch,
    }
    if user.certificates_from:
        document["certificates_from"] = user.certificates_from
    if user.password:
        document["password"] = user.password
    if user.second_factor:
        document |= {"second_factor": user.second_factor, "last_step": user.last_step}
    if user.identity is not None:
        document |= {
            "identity": [user.identity.issuer, user.identity.subject],
            "mapped": user.mapped,
            "last_begun": user.last_begun,
        }
    if user.barred:
        document["barred"] = sorted([each.issuer, each.subject] for each in user.barred)
    if user.last_login is not None:
        document["last_login"] = user.last_login
    if user.deleted:
        document["deleted"] = True
    return pack_sealed(key, document)


def read_user(key: str, raw: bytes) -> User:
    """Read the user at `key`; raises Damaged, Edited."""
    document = _sealed(key, raw)
    return User(
        name=text_of(document, "name"),
        role=_role(document),
        reach=_reach(document),
        password=_text_or_none(document, "password"),
        born=moment_of(document, "born"),
        made_by=text_of(document, "made_by"),
        number=count_of(document, "number"),
        epoch=count_of(document, "epoch"),
        certificates_from=_moment_or_none(document, "certificates_from") or 0.0,
        last_login=_moment_or_none(document, "last_login"),
        deleted=document.get("deleted") is True,
        second_factor=_text_or_none(document, "second_factor"),
        last_step=count_of(document, "last_step") if "last_step" in document else 0,
        identity=_identity(document["identity"]) if "identity" in document else None,
        mapped=document.get("mapped") is True,
        last_begun=moment_of(document, "last_begun") if "last_begun" in document else 0.0,
        barred=frozenset(map(_identity, list_of(document, "barred")))
        if "barred" in document
        else frozenset(),
    )


def pack_session(key: str, session: Session) -> bytes:
    """The bytes of the session at `key`."""
    return pack_sealed(
        key,
        {
            "user": session.user,
            "epoch": session.epoch,
            "born": session.born,
            "used": session.used,
            "origin": session.origin,
        },
    )


def read_session(key: str, session_id: str, raw: bytes) -> Session:
    """Read the session at `key`; raises Damaged, Edited."""
    document = _sealed(key, raw)
    return Session(
        id=session_id,
        user=text_of(document, "user"),
        epoch=count_of(document, "epoch"),
        born=moment_of(document, "born"),
        used=moment_of(document, "used"),
        origin=text_of(document, "origin"),
    )


def pack_api_token(key: str, token: ApiToken) -> bytes:
    """The bytes of the API token at `key`."""
    document: dict[str, object] = {
        "user": token.user,
        "user_born": token.user_born,
        "label": token.label,
        "role": str(token.role),
        "reach": _packed_reach(token.reach),
        "made": token.made,
        "ends": token.ends,
    }
    if token.used is not None:
        document |= {"used": token.used, "origin": token.origin}
    return pack_sealed(key, document)


def read_api_token(key: str, token_id: str, raw: bytes) -> ApiToken:
    """Read the API token at `key`; raises Damaged, Edited."""
    document = _sealed(key, raw)
    return ApiToken(
        id=token_id,
        user=text_of(document, "user"),
        user_born=moment_of(document, "user_born"),
        label=text_of(document, "label"),
        role=_role(document),
        reach=_reach(document),
        made=moment_of(document, "made"),
        ends=moment_of(document, "ends"),
        used=_moment_or_none(document, "used"),
        origin=_text_or_none(document, "origin"),
    )


def pack_operator(key: str, certificate: OperatorCertificate) -> bytes:
    """The bytes of what is known of an operator's certificate."""
    document: dict[str, object] = {"name": certificate.name, "number": certificate.number}
    for name in ("issued", "ends", "first", "used"):
        moment = getattr(certificate, name)
        if moment is not None:
            document[name] = moment
    if certificate.issuer:
        document["issuer"] = certificate.issuer
    if certificate.withdrawn is not None:
        document |= {
            "withdrawn": certificate.withdrawn,
            "withdrawn_by": certificate.withdrawn_by,
            "reason": certificate.reason,
        }
    return pack_sealed(key, document)


def read_operator(key: str, fingerprint: str, raw: bytes) -> OperatorCertificate:
    """Read what is known of an operator's certificate; raises Damaged, Edited."""
    document = _sealed(key, raw)
    return OperatorCertificate(
        fingerprint=fingerprint,
        name=text_of(document, "name"),
        number=count_of(document, "number"),
        issued=_moment_or_none(document, "issued"),
        ends=_moment_or_none(document, "ends"),
        first=_moment_or_none(document, "first"),
        used=_moment_or_none(document, "used"),
        withdrawn=_moment_or_none(document, "withdrawn"),
        withdrawn_by=_text_or_none(document, "withdrawn_by"),
        reason=_text_or_none(document, "reason"),
        issuer=_text_or_none(document, "issuer"),
    )


def pack_people_head(key: str, number: int) -> bytes:
    """The bytes of the head: how many changes of users there were."""
    return pack_sealed(key, {"number": number})


def read_people_head(key: str, raw: bytes) -> int:
    """Read the head; raises Damaged, Edited."""
    return count_of(_sealed(key, raw), "number")


def _identity(pair: object) -> Identity:
    if isinstance(pair, list) and len(pair) == 2:
        issuer, subject = pair
        if isinstance(issuer, str) and isinstance(subject, str):
            return Identity(issuer, subject)
    raise Damaged("an identity is not a provider's name with a person's there")


def _sealed(key: str, raw: bytes) -> dict[str, object]:
    document = unpack_sealed(key, raw)
    if not is_sealed(document):
        raise Edited("it has lost its seal")
    return document


def _packed_reach(reach: Reach) -> object:
    if reach.everywhere:
        return "everywhere"
    return {
        "clusters": sorted(reach.clusters),
        "groups": [list(key) for key in sorted(reach.groups)],
    }


def _reach(document: Mapping[str, object]) -> Reach:
    if document.get("reach") == "everywhere":
        return EVERYWHERE
    named = object_of(document, "reach")
    clusters, groups = list_of(named, "clusters"), list_of(named, "groups")
    pairs = [tuple(each) for each in groups if isinstance(each, list) and len(each) == 2]
    names = [*clusters, *(name for pair in pairs for name in pair)]
    if len(pairs) != len(groups) or not all(isinstance(name, str) for name in names):
        raise Damaged("reach names what is not a cluster or group")
    return Reach(clusters=frozenset(map(str, clusters)), groups=frozenset(
        (str(home), str(group)) for home, group in pairs
    ))  # fmt: skip


def _role(document: Mapping[str, object]) -> Role:
    role = _ROLES.get(text_of(document, "role"))
    if role is None:
        raise Damaged(f"role is {document['role']!r}, which this version does not know")
    return role


def _text_or_none(document: Mapping[str, object], name: str) -> str:
    return text_of(document, name) if name in document else ""


def _moment_or_none(document: Mapping[str, object], name: str) -> float | None:
    return moment_of(document, name) if name in document else None
