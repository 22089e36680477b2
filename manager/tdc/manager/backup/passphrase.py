"""The CA's files under a passphrase: scrypt makes the key, AES-256-GCM encrypts.

In: the files of the CA's folder, a passphrase, and the first line of the backup. Out: what stands
in the backup, and back. Promise: who has the file alone must try passphrases, each of which costs
128 MiB and a quarter of a second; a wrong one, and an altered file, are refused alike; the CA is
bound to its backup, so that it can't be put into another.
"""

from __future__ import annotations

import base64
import getpass
import json
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from tdc.manager.backup.form import Sealed
from tdc.shared.edge import durable_file

SHORTEST = 12
"""Characters of a passphrase."""
_LONGEST_FILE = 4_096
_COST, _BLOCK, _LANES = 2**17, 8, 1
_MOST_COST, _MOST_BLOCK, _MOST_LANES = 2**20, 16, 4
"""What a file may ask of us: a gigabyte for some seconds."""


class PassphraseRefused(Exception):
    """There is no passphrase, it is too short, or it does not open the backup; says which."""


def seal(files: Mapping[str, bytes], passphrase: str, first_line: bytes) -> Sealed:
    """Encrypt the files by their names."""
    salt, nonce = secrets.token_bytes(16), secrets.token_bytes(12)
    plain = json.dumps({name: base64.b64encode(raw).decode() for name, raw in files.items()})
    key = _key(passphrase, salt, _COST, _BLOCK, _LANES)
    content = AESGCM(key).encrypt(nonce, plain.encode(), first_line)
    return Sealed(_COST, _BLOCK, _LANES, salt, nonce, content)


def opened(sealed: Sealed, passphrase: str, first_line: bytes) -> dict[str, bytes]:
    """Return the files by their names; raises PassphraseRefused."""
    if (
        not 2 <= sealed.n <= _MOST_COST
        or sealed.n & (sealed.n - 1)
        or not 1 <= sealed.r <= _MOST_BLOCK
        or not 1 <= sealed.p <= _MOST_LANES
        or len(sealed.nonce) != 12
    ):
        raise PassphraseRefused("the CA in the backup is encrypted in a way that can't be used")
    key = _key(passphrase, sealed.salt, sealed.n, sealed.r, sealed.p)
    try:
        plain = json.loads(AESGCM(key).decrypt(sealed.nonce, sealed.content, first_line))
    except InvalidTag:
        raise PassphraseRefused(
            "the passphrase does not open the CA in the backup: it is another one, or the file was "
            "altered. Nothing was written"
        ) from None
    files = {str(name): base64.b64decode(text) for name, text in plain.items()}
    if any(Path(name).name != name or name.startswith(".") for name in files):
        raise PassphraseRefused("the CA in the backup has a file of a name that can't be used")
    return files


def asked_for(file: Path | None, *, twice: bool) -> str:
    """The passphrase, of the first line of `file` or asked on the terminal without echo.

    `twice`: it is a new one. Raises PassphraseRefused.
    """
    if file is not None:
        found = _first_line(file)
    elif sys.stdin.isatty():
        found = getpass.getpass("Passphrase for the CA in the backup: ")
        if twice and getpass.getpass("Again: ") != found:
            raise PassphraseRefused("the two passphrases are not the same. Nothing was written")
    else:
        raise PassphraseRefused(
            "the CA needs a passphrase, and there is no terminal to ask on: give --passphrase-file"
        )
    if twice and len(found) < SHORTEST:
        raise PassphraseRefused(
            f"the passphrase has {len(found)} characters: give at least {SHORTEST}. It protects "
            "the key by which anybody can pose as any machine and any operator"
        )
    return found


def _first_line(file: Path) -> str:
    try:
        content = durable_file.read(file)[:_LONGEST_FILE].decode()
    except durable_file.NotReadable as error:
        raise PassphraseRefused(f"the passphrase file: {error}") from None
    except UnicodeDecodeError:
        raise PassphraseRefused(f"the passphrase file {file} is not UTF-8") from None
    return content.partition("\n")[0].rstrip("\r")


def _key(passphrase: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return Scrypt(salt=salt, length=32, n=n, r=r, p=p).derive(passphrase.encode("utf-8", "replace"))
