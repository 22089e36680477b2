"""How a second manager comes to be: a package made at the first, opened where the second is set up.

In the package is what managers of one store have in common, and nothing else: the CA with its key,
and how etcd is reached, with the files that that takes. It is closed by a passphrase which is shown
once, and is good for a day. Promise: nothing that exists is overwritten; what was copied is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import tomli_w
from tdc.manager.first_setup import CA_FOLDER, AlreadySetUp
from tdc.manager.identity import ca_folder
from tdc.manager.identity.authority import Authority
from tdc.manager.identity.ca_folder import AuthorityExists
from tdc.manager.identity.ca_state import Pair
from tdc.manager.identity.sealed import NotOpened, new_passphrase, opened, seal
from tdc.manager.options import FILE_NAME, Options
from tdc.shared.edge import durable_file
from tdc.shared.edge.clock import Clock, wall
from tdc.shared.sync.words import moment_words

KIND = "tdc-manager package"
GOOD_FOR = 86_400.0
"""Seconds from when it is made: it holds the CA's key, and is not meant to be kept."""
TLS_FOLDER = "etcd-tls"
"""In the data folder of a manager that joined: the files for TLS with etcd, and the password."""

_FILES = {
    "etcd_ca": "ca.pem",
    "etcd_certificate": "client.pem",
    "etcd_key": "client.key",
    "etcd_password_file": "password",
}
"""Options that name a file, and the file's name at the manager that joins."""


class PackageUnusable(Exception):
    """A package can't be made or used; the text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Made:
    """A package that was written: the passphrase that opens it, and what it holds, in words."""

    passphrase: str
    holds: tuple[str, ...]


def make_package(options: Options, out: Path, clock: Clock = wall) -> Made:
    """Write a package for another manager of this store to `out`.

    Raises PackageUnusable, AuthorityMissing, AuthorityUnusable, NotReadable, NotWritten.
    """
    if options.embedded:
        raise PackageUnusable(
            "this manager has an embedded etcd, which serves one manager only. Several need an "
            "etcd that all of them reach: give etcd_endpoints (operator guide, second manager)"
        )
    if durable_file.exists(out):
        raise PackageUnusable(f"{out} exists already; nothing changed; choose a new file")
    signing = Authority.load(options.folder / CA_FOLDER).pair  # a CA that can be used
    files = {name: path for name in _FILES if (path := getattr(options, name)) is not None}
    document = {
        "expires": clock() + GOOD_FOR,
        # While two are trusted, the other one comes by the store (`ca_record`).
        "ca": signing.certificate,
        "ca_key": signing.key,
        "etcd_endpoints": list(options.etcd_endpoints),
        "etcd_user": options.etcd_user,
        "files": {name: _text(path) for name, path in files.items()},
    }
    passphrase = new_passphrase()
    durable_file.write(out, seal(KIND, document, passphrase))
    holds = ("the CA with its key", f"the endpoints of etcd ({', '.join(options.etcd_endpoints)})")
    return Made(passphrase, (*holds, *(f"{name} ({path})" for name, path in files.items())))


def join(
    options: Options,
    given: Mapping[str, object],
    package: Path,
    passphrase: str,
    clock: Clock = wall,
) -> tuple[Path, ...]:
    """Set up a data folder from a package; `given` are this manager's own options.

    Returns what was written. Raises AlreadySetUp, PackageUnusable, NotReadable, NotWritten.
    """
    folder = options.folder
    for path in (folder / FILE_NAME, folder / CA_FOLDER, folder / TLS_FOLDER):
        if durable_file.exists(path):
            raise AlreadySetUp(f"{path} exists: {folder} is set up already; nothing changed")
    try:
        document = opened(KIND, durable_file.read(package), passphrase)
        expires = float(str(document["expires"]))
        files = {name: str(text) for name, text in dict(document["files"]).items()}  # type: ignore[call-overload]  # checked below
        unknown = files.keys() - _FILES.keys()
        endpoints = [str(each) for each in list(document["etcd_endpoints"])]  # type: ignore[call-overload]
        ca, key, user = str(document["ca"]), str(document["ca_key"]), str(document["etcd_user"])
    except NotOpened as error:
        raise PackageUnusable(f"{package} can't be opened: {error}. Nothing was changed") from None
    except (LookupError, TypeError, ValueError) as error:
        raise PackageUnusable(f"{package} was made by another version: {error}") from None
    if unknown:
        raise PackageUnusable(f"{package} was made by a newer version: it has {sorted(unknown)}")
    if not clock() < expires:
        raise PackageUnusable(
            f"{package} was good until {moment_words(expires)}: make another with `tdc-manager "
            "package` at a manager of this store. Nothing was changed"
        )
    durable_file.make_folder(folder)
    written = []
    if files:
        durable_file.make_folder(folder / TLS_FOLDER)
    for name, text in files.items():
        written.append(folder / TLS_FOLDER / _FILES[name])
        durable_file.write(written[-1], text.encode())
    own = {name: f"{TLS_FOLDER}/{_FILES[name]}" for name in files}
    common = {"etcd_endpoints": endpoints, **({"etcd_user": user} if user else {}), **own}
    try:
        _bring(folder / CA_FOLDER, Pair(ca, key))
    except AuthorityExists as error:
        raise AlreadySetUp(str(error)) from None
    # Last: without it, this can be done again, in an empty folder.
    durable_file.write(folder / FILE_NAME, tomli_w.dumps({**common, **given}).encode())
    return (folder / CA_FOLDER, *written, folder / FILE_NAME)


def _bring(folder: Path, pair: Pair) -> None:
    """Put the CA of another manager in `folder`; raises AuthorityExists, AuthorityUnusable."""
    ca_folder.make(folder, pair)
    Authority.load(folder)


def _text(path: Path) -> str:
    return durable_file.read(path).decode("utf-8", "replace")
