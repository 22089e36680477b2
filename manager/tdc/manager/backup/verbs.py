"""`backup` and `restore`: what an operator asks for on the manager's own machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from shlex import quote

import tomli_w
from tdc.manager.at_hand import require_manager, store_of
from tdc.manager.backup import passphrase, restore
from tdc.manager.backup.contents import Contents
from tdc.manager.backup.form import NotABackup, Origin
from tdc.manager.backup.save import Authority as AuthorityFiles
from tdc.manager.backup.save import save
from tdc.manager.backup.verify import Verified, entries, verified
from tdc.manager.etcd.values import KeyValue
from tdc.manager.first_setup import CA_FOLDER, AlreadySetUp
from tdc.manager.identity.authorities import Authorities
from tdc.manager.identity.authority import Authority
from tdc.manager.options import FILE_NAME, Options, is_option, lasting_of
from tdc.manager.store.identity import (
    StoreIdentity,
    adopted,
    checked_identity,
    identity_in,
    packed,
)
from tdc.manager.store.keys import STORE
from tdc.shared.edge import durable_file
from tdc.shared.edge.clock import wall

DISTRIBUTION = "threat-defense-connector"
HERE_ONLY = {
    *("etcd_endpoints", "etcd_ca", "etcd_certificate", "etcd_key", "etcd_user"),
    *("etcd_password_file", "ports_file"),
}
"""Options that say where things are on one machine: a restore takes those of its own."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a command prints, and whether everything that it saw was sound."""

    lines: tuple[str, ...]
    sound: bool = True


async def backup(options: Options, out: Path, *, with_ca: bool, secret: Path | None) -> Told:
    """Write a backup to `out`, which must not exist.

    Raises AlreadySetUp, AuthorityMissing, AuthorityUnusable, PassphraseRefused, NotWritten,
    NotReadable, OptionsError, EtcdSetupError, or an EtcdError.
    """
    require_manager(options)
    if durable_file.exists(out):
        raise AlreadySetUp(f"{out} exists already; nothing was written; choose a new file")
    authority = None
    if with_ca:
        files = _authority_files(options.folder / CA_FOLDER)
        authority = AuthorityFiles(files, passphrase.asked_for(secret, twice=True))
    fingerprint = Authority.load(options.folder / CA_FOLDER).fingerprint
    async with store_of(options, beside=True, there=True) as etcd:
        origin = Origin(
            made=wall(),
            program=version(DISTRIBUTION),
            revision=0,
            ca_fingerprint=fingerprint,
            etcd="embedded" if options.embedded else ", ".join(options.etcd_endpoints),
            options={
                name: value for name, value in lasting_of(options).items() if name not in HERE_ONLY
            },
        )
        saved = await save(etcd, out, origin, authority)
    contents = saved.contents
    lines = [f"{out}: {saved.size} bytes, whole, of etcd's revision {saved.revision}"]
    lines += _summary(contents)
    if with_ca:
        lines.append("The CA is in it, encrypted: without the passphrase it can't be restored.")
    else:
        lines.append(
            f"The CA is not in it. Keep a copy of {options.folder / CA_FOLDER} in a safe place, or "
            "use --with-ca: without the CA every machine must enrol again."
        )
    if contents.wrong:
        lines.append(
            "The store has faults, so the backup has them too. `tdc-manager repair` puts right "
            "what it can; then make another backup. The faults:"
        )
        lines += _faults(contents)
    return Told(tuple(lines), sound=not contents.wrong)


def described(file: Path, secret: Path | None) -> Told:
    """Say what is in a file; with a passphrase's file, whether it opens the CA.

    Raises NotABackup, PassphraseRefused.
    """
    found = verified(file)
    made = datetime.fromtimestamp(found.origin.made, UTC)
    lines = [
        f"{file} is whole: made {made:%Y-%m-%d %H:%M:%S}Z by tdc-manager {found.origin.program}, "
        f"of etcd's revision {found.origin.revision} ({found.origin.etcd})",
        *_summary(found.contents),
        f"CA {found.origin.ca_fingerprint[:16]}: "
        + ("in it, encrypted" if found.sealed is not None else "not in it"),
    ]
    if found.sealed is not None and secret is not None:
        passphrase.opened(found.sealed, passphrase.asked_for(secret, twice=False), found.first)
        lines.append("The passphrase opens the CA.")
    if found.contents.wrong:
        lines.append("Of the store, this was not as managers wrote it when the backup was made:")
        lines += _faults(found.contents)
    return Told(tuple(lines), sound=not found.contents.wrong)


@dataclass(frozen=True, slots=True)
class How:
    """How a backup is to be restored.

    `new_id`: the store gets a new id, as by `adopt`. `keep_ca`: keep the folder's CA, though it is
    another. `with_faults`: also what managers did not write so. `given`: options of flags, which
    a new manager.toml has beside those of the file.
    """

    new_id: bool
    keep_ca: bool
    with_faults: bool
    secret: Path | None
    given: Mapping[str, object]


async def restored(options: Options, file: Path, how: How) -> Told:
    """Restore a backup into an empty store, and make the data folder where there is none.

    Raises NotABackup, NotEmpty, PassphraseRefused, AlreadySetUp, AuthorityMissing,
    AuthorityUnusable, NotWritten, NotReadable, OptionsError, EtcdSetupError, an EtcdError or a
    StoreError.
    """
    found = verified(file)
    identity, final = _identity(found, how)
    _check_faults(file, found.contents, how)
    authority = _authority_to_write(options, file, found, how)
    kept = {
        name: value
        for name, value in found.origin.options.items()
        if is_option(name) and name not in HERE_ONLY
    }
    durable_file.make_folder(options.folder)
    async with store_of(options) as etcd:
        await restore.check_empty(etcd)
        made = _make_folder(options.folder, authority, {**kept, **how.given})
        count = await restore.restore(etcd, entries(file), identity, final)
    return Told(
        (
            _restored(count, found.contents.entries),
            *_summary(found.contents),
            *made,
            *_then(options, found, new_id=final != found.contents.store),
        )
    )


def _restored(count: int, saved: int) -> str:
    if count == saved:
        return f"All {count} values were restored."
    return (
        f"{count} of the backup's {saved} values were restored; the other {saved - count} speak of "
        "the etcd and the managers of then"
    )


def _identity(found: Verified, how: How) -> tuple[StoreIdentity, bytes]:
    """The identity that the store has while it is restored, and its bytes at the end."""
    stored = found.contents.store
    before = identity_in(stored) if stored is not None else None
    if before is None:
        before = StoreIdentity(f"of before {found.digest[:16]}")
    sound = stored is not None and checked_identity(KeyValue(STORE, stored, 0)) is not None
    if stored is not None and sound and not how.new_id:
        return before, stored
    after = adopted(before)
    return after, packed(after)


def _check_faults(file: Path, contents: Contents, how: How) -> None:
    if contents.newer:
        raise NotABackup(
            f"{file} can't be restored: a newer tdc-manager wrote some of its values. Restore it "
            "with that version or a later one. Nothing was written"
        )
    if contents.wrong and not how.with_faults:
        listed = "\n".join(_faults(contents))
        raise NotABackup(
            f"{file} is whole, but the store had faults when it was made. Nothing was written. "
            "Restore an older backup; or restore this one --with-faults, and run `tdc-manager "
            f"repair` then. The faults:\n{listed}"
        )


def _authority_files(folder: Path) -> dict[str, bytes]:
    """All files of the CA's folder, by name; raises NotReadable."""
    try:
        names = sorted(each.name for each in folder.iterdir() if each.is_file())
    except OSError as error:
        raise durable_file.NotReadable(f"{folder} can't be read: {error.strerror}") from error
    return {name: durable_file.read(folder / name) for name in names if not name.startswith(".")}


def _authority_to_write(
    options: Options, file: Path, found: Verified, how: How
) -> dict[str, bytes]:
    """The files of the CA that are to be written: none where the folder has its own."""
    folder = options.folder / CA_FOLDER
    if durable_file.exists(folder):
        there = Authorities.load(folder)
        if found.origin.ca_fingerprint not in there.trusted and not how.keep_ca:
            raise AlreadySetUp(f"{_another_ca(folder, file, found, there)}. Nothing was written")
        return {}
    if found.sealed is None:
        raise AlreadySetUp(
            f"{folder} is not there, and {file} was made without --with-ca. Copy the CA there from "
            "where you keep it; or run `tdc-manager init` first, restore with --keep-ca, and enrol "
            "every machine again. Nothing was written"
        )
    secret = passphrase.asked_for(how.secret, twice=False)
    return passphrase.opened(found.sealed, secret, found.first)


def _another_ca(folder: Path, file: Path, found: Verified, there: Authorities) -> str:
    """What it means that the folder has another CA than the backup's manager had, and what to do.

    A rotation of after the backup made a new CA, by which machines and operators have certificates
    since, or trust it; the backup's would shut them out.
    """
    state = there.state
    if state.bridges and found.origin.made < state.since:
        return (
            f"{folder} has the CA {there.fingerprint[:16]}, which came by a rotation after {file} "
            f"was made; the manager that made that had {found.origin.ca_fingerprint[:16]}. Go on "
            "with this one: --keep-ca. Machines and operators whose certificates are by it are let "
            "in; those that were away for the rotation need a join token or a new folder. With the "
            "CA of the backup all others would"
        )
    return (
        f"{folder} has another CA than the manager that made {file}, and none that came by a "
        "rotation since: with it no machine and no operator of the backup is let in. Restore into "
        "a folder without a CA (from a backup with one), or put the right one there. To go on with "
        "this one, and enrol every machine again: --keep-ca"
    )


def _make_folder(
    folder: Path, authority: Mapping[str, bytes], given: Mapping[str, object]
) -> Iterator[str]:
    """Write the CA and manager.toml where they are not there; returns what was made."""
    made = []
    if authority:
        durable_file.make_folder(folder / CA_FOLDER)
        # The certificate last, as `init` does: without a key it would look damaged.
        for name in sorted(authority, key=lambda each: (not each.endswith("-key.pem"), each)):
            durable_file.write(folder / CA_FOLDER / name, authority[name])
        made.append(f"The CA is in {folder / CA_FOLDER}.")
    if not durable_file.exists(folder / FILE_NAME):
        durable_file.write(folder / FILE_NAME, tomli_w.dumps(given).encode())
        made.append(f"{folder / FILE_NAME} is new; look through it: {', '.join(given) or 'empty'}.")
    return iter(made)


def _summary(contents: Contents) -> list[str]:
    lines = []
    named = ((each.called or place, each) for place, each in contents.clusters.items())
    for name, each in sorted(named, key=lambda pair: pair[0]):
        newest = datetime.fromtimestamp(each.newest, UTC)
        state = "deleted" if each.deleted else f"groups: {each.groups}, machines: {each.machines}"
        lines.append(
            f"cluster {name}: revision {each.revision} of {newest:%Y-%m-%d %H:%M:%S}Z; {state}; "
            f"commits in history: {each.commits}"
        )
    lines.append(
        f"store {contents.store_id[:8] or 'without id'}: values: {contents.entries}, enrolments: "
        f"{contents.enrolments}, drafts: {contents.drafts}, clusters with suspensions: "
        f"{contents.suspensions}"
    )
    return lines


def _faults(contents: Contents) -> list[str]:
    more = contents.wrong - len(contents.faults)
    return [f"- {each}" for each in contents.faults] + ([f"- and {more} more"] if more else [])


def _then(options: Options, found: Verified, *, new_id: bool) -> list[str]:
    """What the operator does next."""
    folder, made = quote(str(options.folder)), datetime.fromtimestamp(found.origin.made, UTC)
    ahead = (
        "The store has a new id: machines take what it has, whatever they run."
        if new_id
        else "The store kept its id. A machine that runs a later revision than is in it keeps what "
        "it runs, and `tdc status` names it. `tdc recover` commits again what is missing, from "
        "what the machines run. When it knows of them all, or if this store is right as it is, "
        f"stop the managers and run tdc-manager adopt --folder {folder}"
    )
    return [
        "What to do now:",
        "1. Start no manager on the store that this one replaces: two would make revisions of "
        "their own.",
        f"2. tdc-manager run --folder {folder}",
        f"3. {ahead}",
        f"4. What was done since {made:%Y-%m-%d %H:%M:%S}Z is undone. Machines that enrolled since "
        "need a new join token; an access that was withdrawn since is open again: withdraw it "
        "again, and enrol a machine again whose key was stolen.",
        f"5. An operator's folder: tdc-manager operator --folder {folder} --operator NAME --out …",
    ]
