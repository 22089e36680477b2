"""Looks at everything of a manager: its folder, its etcd, what is stored. It changes nothing."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from shlex import quote

from tdc.manager.at_hand import NoStore, store_of
from tdc.manager.doctor.facts import (
    EndLook,
    EtcdLook,
    FileLook,
    FolderLook,
    Look,
    StoreLook,
    Trouble,
    ValueLook,
)
from tdc.manager.doctor.members import look_at_etcd
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.errors import EtcdError, EtcdSetupError
from tdc.manager.first_setup import CA_FOLDER, ETCD_FOLDER, OPERATOR_FOLDER
from tdc.manager.identity.authorities import Authorities
from tdc.manager.identity.ca_folder import STATE, AuthorityMissing, AuthorityUnusable
from tdc.manager.identity.ca_record import ForeignRecord, open_record
from tdc.manager.identity.expiry import end_of
from tdc.manager.membership import ID_FILE
from tdc.manager.options import Options, OptionsError
from tdc.manager.people.ending import new_folder
from tdc.manager.reach import cautions
from tdc.manager.store.beside import head_in
from tdc.manager.store.encoding import Damaged
from tdc.manager.store.errors import StoreError
from tdc.manager.store.history import History
from tdc.manager.store.keys import (
    AUTHORITY,
    CLUSTERS,
    ENROLMENTS,
    JOIN_TOKENS,
    PLACE,
    REQUESTS,
    ROOT,
    head_key,
    parse_document_key,
)
from tdc.manager.store.maintenance import last_round
from tdc.manager.store.others import others
from tdc.manager.store.record import CommitRecord
from tdc.manager.store.repair import Finding, repair
from tdc.shared.edge import durable_file
from tdc.shared.edge.clock import wall

_AGAIN = 1.0
"""Seconds after which what was found is looked for again: a commit in between may look like it."""


async def looked(options: Options) -> Look:
    """Look; whatever can't be looked at is in what is returned."""
    folder = _folder(options)
    flag = f"--folder {quote(str(options.folder))}"
    if folder.trouble:  # no etcd is made in a folder that is no manager's
        unseen = EtcdLook(embedded=options.embedded)
        return Look(wall(), flag, unseen, folder, tuple(_ends(options)))
    etcd, store = await _etcd_and_store(options, flag)
    return Look(wall(), flag, etcd, folder, tuple(_ends(options)), store)


async def _etcd_and_store(options: Options, flag: str) -> tuple[EtcdLook, StoreLook | None]:
    said = None if options.embedded else partial(cautions, options)
    try:
        async with store_of(options, beside=True, there=True) as client:
            etcd = await look_at_etcd(client, said)
            if etcd.trouble is not None:
                return etcd, None
            return etcd, await _store(client, flag, options.folder / CA_FOLDER)
    except NoStore:
        return EtcdLook(embedded=True, absent=True), StoreLook(empty=True)
    except (EtcdSetupError, OptionsError) as error:
        return EtcdLook(embedded=options.embedded, trouble=Trouble(str(error))), None


async def _store(etcd: EtcdClient, flag: str, ca_folder: Path) -> StoreLook:
    try:
        there = {item.key for item in (await etcd.range(ROOT, keys_only=True)).items}
        if not there - {PLACE}:
            return StoreLook(empty=True)
        first = await repair(etcd, write=False)
        if first:
            await asyncio.sleep(_AGAIN)
            again = {each.text for each in await repair(etcd, write=False)}
            first = tuple(each for each in first if each.text in again)
        values = [*await _authority(etcd, ca_folder), *(_of_repair(each, flag) for each in first)]
        async for other in others(etcd, ENROLMENTS, JOIN_TOKENS, REQUESTS):
            values.append(ValueLook(str(other.fault), other.means, other.do))
        return StoreLook(tuple(values), await _newest(etcd), await last_round(etcd))
    except (EtcdError, StoreError) as error:
        return StoreLook(trouble=str(error))


async def _authority(etcd: EtcdClient, folder: Path) -> list[ValueLook]:
    """What is wrong with the CA in the store, or with this folder's by it."""
    item = await etcd.get(AUTHORITY)
    if item is None:
        return []
    own = Authorities.load(folder)
    try:
        open_record(item.value, own.state)
    except ForeignRecord as error:
        what = (
            f"the store's CA is {str(error)[:16]}, and this folder has only {own.fingerprint[:16]}"
        )
        if not error.follows:
            return [
                ValueLook(
                    f"{what}, from which that does not follow",
                    "no manager starts in this folder: the store is of another installation, or "
                    "somebody wrote its CA by hand",
                    f"see to etcd_endpoints, and who can write to etcd; etcdctl del {AUTHORITY}, "
                    f"if this folder's CA is right; if its CA is new: {_SET_UP_AGAIN}",
                )
            ]
        return [
            ValueLook(
                f"{what}, which was replaced while this manager was away",
                "no manager starts in this folder, and one that runs ends when it hears of it; "
                "nobody accepts a certificate that is made here",
                _SET_UP_AGAIN,
            )
        ]
    except Damaged as error:
        return [
            ValueLook(
                f"what the store says of the CA is not used: {error}",
                "somebody wrote it by hand; the CAs that managers have count, and a manager that "
                "has made a rotation's step writes it again",
                "find out who can write to etcd",
            )
        ]
    return []


_SET_UP_AGAIN = (
    "tdc-manager package at a manager that runs, then tdc-manager init --join in a new folder "
    "(operator guide, A second manager)"
)


def _of_repair(finding: Finding, flag: str) -> ValueLook:
    return ValueLook(
        finding.text,
        "the last known value is in force at managers that run, and commits that touch it are "
        "refused; one that starts offers its machines nothing of it",
        f"stop a manager with an embedded store; tdc-manager repair {flag}"
        if finding.right
        else "what the sentence says; if something is lost, tdc-manager restore of a backup",
    )


async def _newest(etcd: EtcdClient) -> dict[str, float]:
    """By cluster, the time of its newest commit that can be read."""
    items = (await etcd.range(CLUSTERS, keys_only=True)).items
    parsed = (parse_document_key(item.key) for item in items)
    found = {}
    for place in sorted({each.cluster for each in parsed if each is not None}):
        rows = await History(etcd).commits(place, limit=1)
        if rows and isinstance(rows[0], CommitRecord):
            item = await etcd.get(head_key(place))
            head = head_in(item.key, item.value) if item is not None else None
            found[(head.called if head is not None else "") or place] = rows[0].time
    return found


# -- the folder ----------------------------------------------------------------------------------


def _folder(options: Options) -> FolderLook:
    trouble = ""
    try:
        Authorities.load(options.folder / CA_FOLDER)
    except (AuthorityMissing, AuthorityUnusable) as error:
        trouble = str(error)
    free = whole = None
    try:
        usage = shutil.disk_usage(options.folder)
        free, whole = usage.free, usage.total
    except OSError:
        pass  # it is not there, and that is said
    files = tuple(_files(options))
    # What the first start writes, and no other verb.
    ran = durable_file.exists(options.folder / ID_FILE)
    return FolderLook(str(options.folder), files, free, whole, trouble, ran=ran)


def _files(options: Options) -> Iterator[FileLook]:
    folder = options.folder
    try:
        owner = folder.stat().st_uid
    except OSError:
        return
    secret = [
        folder / CA_FOLDER,
        *sorted((folder / CA_FOLDER).glob("*key*.pem")),
        folder / CA_FOLDER / STATE,
        *sorted((folder / OPERATOR_FOLDER).glob("*.key")),
        folder / ETCD_FOLDER,
        options.etcd_key,
        options.etcd_password_file,
    ]
    expected = os.geteuid() or owner
    yield from _file(folder, expected, secret=False)
    for path in secret:
        if path is not None:
            yield from _file(path, owner, secret=True)


def _file(path: Path, owner: int, *, secret: bool) -> Iterator[FileLook]:
    try:
        found = path.stat()
    except OSError:
        return  # what must be there is named where it is used
    mode = stat.S_IMODE(found.st_mode)
    yield FileLook(str(path), mode, found.st_uid == owner, secret, path.is_dir())


def _ends(options: Options) -> Iterator[EndLook]:
    folder = options.folder
    for what, path, then in (
        (
            "the CA of this manager",
            folder / CA_FOLDER / "ca.pem",
            "no machine and no operator can connect then, mail flows with the last settings. "
            "Make a new CA before: tdc-manager ca prepare (operator guide, Rotate the CA)",
        ),
        (
            "the operator's certificate in the folder",
            folder / OPERATOR_FOLDER / "operator.pem",
            f"tdc is refused with it then. {new_folder('NAME', quote(str(folder)))}",
        ),
        (
            f"the client certificate for etcd ({options.etcd_certificate})",
            options.etcd_certificate,
            "etcd refuses the manager then, and no change can be made. Replace the file: no "
            "restart is needed",
        ),
        (
            f"etcd's CA ({options.etcd_ca})",
            options.etcd_ca,
            "the manager refuses etcd then, and no change can be made. Replace the file",
        ),
    ):
        end = end_of(path) if path is not None else None
        if end is not None:
            yield EndLook(what, end, then)
