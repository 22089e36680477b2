"""`init` and `operator`: what a manager and its operators need, made once.

Out: in the data folder ``ca/`` (the CA), ``manager.toml`` (the options given) and ``operator/``
(what the first operator needs: ``operator.toml`` and three PEM files; copy it to where `tdc` is
used). Promise: nothing that exists is overwritten; folders are 0700, keys 0600.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import tomli_w
from tdc.manager.identity.authorities import Authorities
from tdc.manager.identity.authority import Authority
from tdc.manager.identity.ca_folder import AuthorityExists
from tdc.manager.options import FILE_NAME, Options
from tdc.shared.edge import durable_file

CA_FOLDER = "ca"
OPERATOR_FOLDER = "operator"
ETCD_FOLDER = "etcd"
OPERATOR_FILE = "operator.toml"


class AlreadySetUp(Exception):
    """What is to be made exists already; a new CA would cut off every machine."""


def set_up(options: Options, given: Mapping[str, object], operator: str) -> Path:
    """Make the CA, manager.toml with the options `given`, and the bundle of `operator`.

    Returns the path of operator.toml. Raises AlreadySetUp, AuthorityUnusable, NotReadable,
    NotWritten.
    """
    folder = options.folder
    bundle = folder / OPERATOR_FOLDER
    for path in (folder / FILE_NAME, bundle):
        if durable_file.exists(path):
            raise AlreadySetUp(f"{path} exists: {folder} is set up already; nothing changed")
    durable_file.make_folder(folder)
    try:
        Authority.create(folder / CA_FOLDER)
    except AuthorityExists as error:
        raise AlreadySetUp(str(error)) from None
    durable_file.write(folder / FILE_NAME, tomli_w.dumps(given).encode())
    authorities = Authorities.load(folder / CA_FOLDER)
    return write_operator(bundle, authorities, operator, address(options, options.listen_port))


def address(options: Options, port: int) -> str:
    """The host:port that machines and operators connect to."""
    host = options.advertised_host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def add_operator(folder: Path, bundle: Path, operator: str, manager: str) -> Path:
    """Make the bundle of another operator, or a new one for the same: certificates expire.

    Returns the path of operator.toml. Raises AlreadySetUp if `bundle` exists, AuthorityMissing,
    AuthorityUnusable, NotReadable, NotWritten.
    """
    if durable_file.exists(bundle):
        raise AlreadySetUp(f"{bundle} exists already; nothing changed; choose a new folder")
    return write_operator(bundle, Authorities.load(folder / CA_FOLDER), operator, manager)


def write_operator(bundle: Path, authorities: Authorities, operator: str, manager: str) -> Path:
    """Issue a certificate to `operator` and write the folder that `tdc` needs; see `set_up`."""
    issued = authorities.issue_operator(operator)
    durable_file.make_folder(bundle)
    durable_file.write(bundle / "operator.key", issued.key_pem)
    durable_file.write(bundle / "operator.pem", issued.certificate_pem)
    durable_file.write(bundle / "ca.pem", authorities.ca_pem)
    return write_operator_file(bundle, manager)


def write_operator_file(bundle: Path, manager: str) -> Path:
    """Write operator.toml with the manager's address `manager` (host:port)."""
    path = bundle / OPERATOR_FILE
    values = {
        "manager": manager,
        "ca": "ca.pem",
        "certificate": "operator.pem",
        "key": "operator.key",
    }
    durable_file.write(path, tomli_w.dumps(values).encode())
    return path
