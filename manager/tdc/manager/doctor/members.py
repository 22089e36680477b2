"""An etcd as its members see it: each is asked alone, all at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from tdc.manager.doctor.clocks import ahead
from tdc.manager.doctor.facts import EtcdLook, MemberLook, Trouble
from tdc.manager.etcd.channel import EtcdOptions
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.errors import (
    EtcdError,
    EtcdOptionsError,
    EtcdRefused,
    Reason,
)
from tdc.manager.etcd.values import EtcdMember
from tdc.manager.store.keys import STORE

_TIMEOUT = 3.0


async def look_at_etcd(
    etcd: EtcdClient, cautions: Callable[[str], Iterable[str]] | None
) -> EtcdLook:
    """Ask each member; `cautions` gives sentences for a version, None for an embedded etcd."""
    trouble = await _trouble(etcd)
    if cautions is None:
        name = "embedded"
        look = await _member(etcd, name, etcd.options.endpoints[0], clock=False)
        members: Sequence[MemberLook] = [look] if trouble is None else []
        return EtcdLook(embedded=True, members=tuple(members), trouble=trouble)
    listed, unseen = await _listed(etcd)
    endpoints = _endpoints(etcd.options, listed)
    looks = await asyncio.gather(*(_asked(etcd.options, each) for each in endpoints))
    denied = [each.trouble.text for each in looks if each.trouble and _is_denied(each)]
    if denied:
        looks = [replace(each, trouble=None) if _is_denied(each) else each for each in looks]
    members = await _with_hashes(etcd.options, _by_member(looks, listed))
    version = next((each.status.version for each in members if each.status), "")
    return EtcdLook(
        embedded=False,
        members=tuple(members),
        trouble=trouble,
        unseen=next(iter([*denied, unseen]), "") if trouble is None else "",
        cautions=tuple(cautions(version)),
    )


async def _trouble(etcd: EtcdClient) -> Trouble | None:
    try:
        await etcd.get(STORE)
    except EtcdError as error:
        return _why(error)
    return None


def _why(error: EtcdError) -> Trouble:
    return Trouble(str(error), error.reason if isinstance(error, EtcdRefused) else None)


def _is_denied(look: MemberLook) -> bool:
    return look.trouble is not None and look.trouble.reason is Reason.PERMISSION


async def _listed(etcd: EtcdClient) -> tuple[tuple[EtcdMember, ...], str]:
    try:
        return await etcd.members(), ""
    except EtcdRefused as error:
        return (), str(error)
    except EtcdError:
        return (), ""  # that etcd is away is said once


def _endpoints(options: EtcdOptions, listed: Iterable[EtcdMember]) -> list[str]:
    ours = [_bare(each) for each in options.endpoints]
    theirs = [_bare(each) for member in listed for each in member.endpoints]
    return list(dict.fromkeys([*ours, *theirs]))


def _bare(endpoint: str) -> str:
    """host:port, whatever the URL says of TLS: our options say that."""
    return urlsplit(endpoint).netloc if "://" in endpoint else endpoint


async def _asked(options: EtcdOptions, endpoint: str) -> MemberLook:
    alone = replace(options, endpoints=(endpoint,), timeout=_TIMEOUT)
    try:
        async with EtcdClient(alone) as etcd:
            return await _member(etcd, "", endpoint, clock=True)
    except EtcdOptionsError as error:
        return MemberLook("", endpoint, trouble=Trouble(str(error)))


async def _member(etcd: EtcdClient, name: str, endpoint: str, *, clock: bool) -> MemberLook:
    theirs = await ahead(endpoint, etcd.options) if clock else None
    try:
        return MemberLook(name, endpoint, status=await etcd.status(), ahead=theirs)
    except EtcdError as error:
        return MemberLook(name, endpoint, trouble=_why(error), ahead=theirs)


def _by_member(looks: Sequence[MemberLook], listed: Sequence[EtcdMember]) -> list[MemberLook]:
    """One look for each member, and for each endpoint that is of no member."""
    if not listed:
        return [replace(each, name=each.endpoint) for each in looks]
    found, used = [], set[str]()
    for member in listed:
        urls = {_bare(each) for each in member.endpoints}
        own = [
            each
            for each in looks
            if (each.status is not None and each.status.member_id == member.id)
            or (each.status is None and each.endpoint in urls)
        ]
        used |= {each.endpoint for each in own}
        best = next((each for each in own if each.status is not None), None)
        look = best or next(iter(own), MemberLook("", ", ".join(member.endpoints)))
        name = member.name or f"{member.id:x}"
        found.append(replace(look, name=name, started=bool(member.name)))
    strays = (each for each in looks if each.endpoint not in used and each.trouble is not None)
    return found + [replace(each, name=each.endpoint) for each in strays]


async def _with_hashes(options: EtcdOptions, members: list[MemberLook]) -> list[MemberLook]:
    """With a hash of each over the same revision, where more than one can be asked."""
    revisions = [each.status.revision for each in members if each.status is not None]
    if len(revisions) < 2:
        return members
    return list(
        await asyncio.gather(*(_with_hash(options, each, min(revisions)) for each in members))
    )


async def _with_hash(options: EtcdOptions, look: MemberLook, revision: int) -> MemberLook:
    if look.status is None:
        return look
    try:
        async with EtcdClient(replace(options, endpoints=(look.endpoint,))) as etcd:
            return replace(look, hash=await etcd.hash(revision))
    except EtcdError:
        return look  # compacted meanwhile, or only root may ask: it is no fault
