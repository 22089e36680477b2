"""The CA's files: what a manager's data folder has under ``ca/``.

`init` makes ``ca.pem`` and ``ca-key.pem``. From the first step of a rotation on, ``ca.json`` (0600)
has everything, replaced by one rename; then ``ca-key.pem`` is gone, and ``ca.pem`` is a copy of the
trusted certificates, to hand out.
Failures: AuthorityMissing, AuthorityExists, AuthorityUnusable.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from tdc.manager.identity.ca_state import CaState, Pair, Phase
from tdc.shared.edge import durable_file

CERTIFICATE = "ca.pem"
KEY = "ca-key.pem"
STATE = "ca.json"
_FORMAT = 1


class AuthorityMissing(Exception):
    """The folder has no CA yet: `tdc-manager init` makes it."""


class AuthorityExists(Exception):
    """The folder already has a CA; a new one would cut off every machine."""


class AuthorityUnusable(Exception):
    """The CA's files can't be read or written, or do not belong together."""


def exists(folder: Path) -> bool:
    """Whether the folder has a CA; raises AuthorityUnusable if it has a part, or can't be read."""
    try:
        if durable_file.exists(folder / STATE):
            return True
        there = {name for name in (KEY, CERTIFICATE) if durable_file.exists(folder / name)}
    except durable_file.NotReadable as error:
        raise AuthorityUnusable(str(error)) from error
    if len(there) == 1:
        raise AuthorityUnusable(
            f"{folder} has only {there.pop()} of a CA: `tdc-manager init` was cut off, or a file "
            "was lost. Restore it from a backup; or, if no machine has been enrolled, remove "
            f"{folder} and run `tdc-manager init` again"
        )
    return bool(there)


def read(folder: Path) -> CaState:
    """What the folder has; raises AuthorityMissing, AuthorityUnusable."""
    exists(folder)
    try:
        if durable_file.exists(folder / STATE):
            return _state(folder, durable_file.read(folder / STATE))
        key, certificate = (_text(folder / name) for name in (KEY, CERTIFICATE))
        return CaState(Pair(certificate, key))
    except durable_file.Missing:
        raise AuthorityMissing(f"{folder} has no CA: run `tdc-manager init` first") from None
    except durable_file.NotReadable as error:
        raise AuthorityUnusable(str(error)) from error


def make(folder: Path, pair: Pair) -> None:
    """Put a CA in a folder (made 0700 if new); raises AuthorityExists, AuthorityUnusable."""
    if exists(folder):
        raise AuthorityExists(f"{folder} already has a CA; a new one would cut off every machine")
    try:
        durable_file.make_folder(folder)
        # Key first: a certificate without its key would look like a CA that was damaged.
        durable_file.write(folder / KEY, pair.key.encode())
        write_certificates(folder, (pair,))
    except durable_file.NotWritten as error:
        raise AuthorityUnusable(str(error)) from error


def write(folder: Path, state: CaState) -> None:
    """Put another state in place of what is there, as one; raises durable_file.NotWritten."""
    other = {} if state.other is None else {"other": _document(state.other)}
    document = {
        "format": _FORMAT,
        "number": state.number,
        "phase": state.phase,
        "since": state.since,
        "current": _document(state.current),
        **other,
        "bridges": list(state.bridges),
        "used": state.used,
    }
    durable_file.make_folder(folder)
    durable_file.write(folder / STATE, json.dumps(document, indent=1).encode() + b"\n")
    write_certificates(folder, state.pairs)
    with contextlib.suppress(OSError):  # `STATE` is read first, whatever lies beside it
        (folder / KEY).unlink()


def write_certificates(folder: Path, pairs: tuple[Pair, ...]) -> None:
    """Write the certificates to hand out; raises NotWritten."""
    content = "".join(each.certificate for each in pairs).encode()
    durable_file.write(folder / CERTIFICATE, content, mode=durable_file.READABLE)


def _document(pair: Pair) -> dict[str, str]:
    return {"certificate": pair.certificate, "key": pair.key}


def _state(folder: Path, raw: bytes) -> CaState:
    try:
        document = json.loads(raw)
        if document["format"] != _FORMAT:
            raise AuthorityUnusable(f"{folder / STATE} is of another version: upgrade this manager")
        other = document.get("other")
        return CaState(
            current=_pair(document["current"]),
            other=None if other is None else _pair(other),
            phase=Phase(document["phase"]),
            bridges=tuple(str(each) for each in document["bridges"]),
            number=int(document["number"]),
            since=float(document["since"]),
            used=document["used"] is True,
        )
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise AuthorityUnusable(
            f"{folder / STATE} can't be read ({error}): restore it from a backup"
        ) from None


def _pair(document: dict[str, str]) -> Pair:
    return Pair(str(document["certificate"]), str(document["key"]))


def _text(path: Path) -> str:
    return durable_file.read(path).decode("utf-8", "replace")
