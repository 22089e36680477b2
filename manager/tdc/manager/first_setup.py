"""`init`: what a manager needs before its first start, made once in its data folder.

Out: ``ca/`` (the CA), ``manager.toml`` (the options given), ``operator/`` (what the first
operator needs: ``operator.toml`` and three PEM files; copy it to where `tdc` is used).
Promise: nothing that exists is overwritten; folders are 0700, keys 0600.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from tdc.manager.identity.authority import Authority, AuthorityExists
from tdc.manager.options import FILE_NAME, Options
from tdc.shared.edge import durable_file

CA_FOLDER = "ca"
OPERATOR_FOLDER = "operator"
ETCD_FOLDER = "etcd"
OPERATOR_FILE = "operator.toml"


class AlreadySetUp(Exception):
    """What is to be made is there already; a CA made anew would cut off every machine."""


def set_up(options: Options, given: Mapping[str, object], operator: str) -> Path:
    """Make the CA, manager.toml with the options `given`, and the bundle of `operator`.

    Returns the path of operator.toml. Raises AlreadySetUp, AuthorityUnusable, NotWritten.
    """
    folder = options.folder
    bundle = folder / OPERATOR_FOLDER
    for path in (folder / FILE_NAME, bundle):
        if path.exists():
            raise AlreadySetUp(f"{path} exists: {folder} has been set up already; nothing changed")
    durable_file.make_folder(folder)
    try:
        authority = Authority.create(folder / CA_FOLDER)
    except AuthorityExists as error:
        raise AlreadySetUp(str(error)) from None
    durable_file.write(folder / FILE_NAME, _toml(given))
    return write_operator(bundle, authority, operator, address(options, options.listen_port))


def address(options: Options, port: int) -> str:
    """Return host:port as machines and operators are told it."""
    host = options.advertised_host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def add_operator(folder: Path, bundle: Path, operator: str, manager: str) -> Path:
    """Make the bundle of another operator, or a fresh one of the same: certificates end.

    Returns the path of operator.toml. Raises AlreadySetUp if `bundle` exists, AuthorityMissing,
    AuthorityUnusable, NotWritten.
    """
    if bundle.exists():
        raise AlreadySetUp(f"{bundle} exists already; nothing changed; choose a new folder")
    return write_operator(bundle, Authority.load(folder / CA_FOLDER), operator, manager)


def write_operator(bundle: Path, authority: Authority, operator: str, manager: str) -> Path:
    """Issue a certificate to `operator` and write the folder that `tdc` needs; see `set_up`."""
    issued = authority.issue_operator(operator)
    durable_file.make_folder(bundle)
    durable_file.write(bundle / "operator.key", issued.key_pem)
    durable_file.write(bundle / "operator.pem", issued.certificate_pem)
    durable_file.write(bundle / "ca.pem", authority.ca_pem)
    return write_operator_file(bundle, manager)


def write_operator_file(bundle: Path, manager: str) -> Path:
    """Write operator.toml, saying that the manager is at `manager` (host:port)."""
    path = bundle / OPERATOR_FILE
    values = {
        "manager": manager,
        "ca": "ca.pem",
        "certificate": "operator.pem",
        "key": "operator.key",
    }
    durable_file.write(path, _toml(values))
    return path


def _toml(values: Mapping[str, object]) -> bytes:
    # A JSON string, number, flag or list of these is TOML too, but for the DEL character.
    lines = [f"{name} = {json.dumps(_plain(value))}" for name, value in sorted(values.items())]
    return ("\n".join(lines) + "\n").encode()


def _plain(value: object) -> object:
    if isinstance(value, tuple | list):
        return [str(item) for item in value]
    return value if isinstance(value, bool | int | float) else str(value)
