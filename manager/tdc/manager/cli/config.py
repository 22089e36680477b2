"""operator.toml: which manager `tdc` talks to, and as which operator.

In: a path, from --config, TDC_CONFIG or the default place. Out: a frozen OperatorConfig.
Errors: NoConnection, with the file and what is wrong in it.
"""

from __future__ import annotations

import os
import re
import shlex
import stat
from dataclasses import dataclass
from pathlib import Path

from tdc.manager.cli.errors import NoConnection, Refused
from tdc.shared.edge import durable_file, toml_file
from tdc.shared.edge.os_words import os_reason

DEFAULT_PLACE = "~/.config/tdc/operator.toml"
_FIELDS = ("manager", "ca", "certificate", "key", "token_file")
_PAIR = ("certificate", "key")
_LONGEST_SECRET = 200
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class OperatorConfig:
    """Where the manager is (host:port), the PEM bytes to trust it, and what to be trusted by.

    That is a certificate with its key, or the `secret` of an API token or, if `from_session`, of
    the session that `tdc login` began. `warnings` are sentences for the operator about files that
    are used nevertheless.
    """

    path: Path
    manager: str
    ca: bytes
    certificate: bytes | None
    key: bytes | None
    secret: str = ""
    from_session: bool = False
    warnings: tuple[str, ...] = ()


def find_config(chosen: Path | None) -> Path:
    """The operator.toml to use: the chosen path, else TDC_CONFIG, else the default."""
    return (chosen or Path(os.environ.get("TDC_CONFIG") or DEFAULT_PLACE)).expanduser()


def session_file(path: Path) -> Path:
    """Where the session of an operator.toml is kept: beside it."""
    return path.with_name(f"{path.stem}.session")


def write_session(path: Path, secret: str) -> None:
    """Keep the secret of a session, for its owner alone; raises Refused."""
    try:
        durable_file.write(session_file(path), secret.encode() + b"\n")
    except durable_file.NotWritten as error:
        raise Refused(f"The session began, but can't be kept: {error}.") from None


def drop_session(path: Path) -> None:
    """Forget the session of an operator.toml."""
    session_file(path).unlink(missing_ok=True)


def read_config(path: Path, *, secret: bool = True) -> OperatorConfig:
    """Read operator.toml and the files it names, relative to it; raises NoConnection.

    Without a certificate there must be a secret, but if not `secret`.
    """
    table = _read_toml(path)
    fields = {name: table.get(name) for name in _FIELDS}
    by_certificate = any(name in table for name in _PAIR)
    needed = ("manager", "ca", *(_PAIR if by_certificate else ()))
    given = [name for name in _FIELDS if name in needed or name in table]
    wrong = [name for name in given if not isinstance(fields[name], str) or not fields[name]]
    if wrong:
        raise NoConnection(
            f"{path} lacks {', '.join(wrong)}. It needs the strings manager "
            f'("host:port") and ca, and to log in by: certificate and key (PEM files, relative to '
            f"{path.name}), or token_file, or a session of `tdc login`."
        )
    if by_certificate and "token_file" in table:
        raise NoConnection(
            f"{path} has a certificate and a token_file: they are for different ports of the "
            "manager. Leave one of them out."
        )
    unknown = sorted(table.keys() - set(_FIELDS))
    if unknown:
        raise NoConnection(
            f"{path} has unknown keys: {', '.join(unknown)}. Valid keys are {', '.join(_FIELDS)}."
        )
    manager = str(fields["manager"])
    match = _ADDRESS.fullmatch(manager)
    if match is None or not 1 <= int(match[2]) <= 65_535:
        raise NoConnection(
            f"{path}: manager = {manager!r} is not of the form host:port, such as "
            "manager.corp.example:7443."
        )
    ca = _read_pem(path, "ca", str(fields["ca"]))
    if by_certificate:
        certificate, key = (_read_pem(path, name, str(fields[name])) for name in _PAIR)
        warnings = _exposed(path.parent / Path(str(fields["key"])).expanduser())
        return OperatorConfig(path, manager, ca, certificate, key, warnings=warnings)
    if not secret:
        return OperatorConfig(path, manager, ca, None, None)
    named = fields["token_file"]
    file = path.parent / Path(str(named)).expanduser() if named else session_file(path)
    found = _read_secret(path, file, from_session=not named)
    return OperatorConfig(
        path, manager, ca, None, None, found, from_session=not named, warnings=_exposed(file)
    )


def _read_secret(config: Path, file: Path, *, from_session: bool) -> str:
    try:
        secret = file.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        if from_session:
            raise NoConnection(
                f"{config} has neither a certificate nor a token_file, and there is no session. "
                "Log in: tdc login USER, or tdc login --provider."
            ) from None
        raise NoConnection(f"{file}, which {config} names as token_file, does not exist.") from None
    except OSError as error:
        raise NoConnection(f"Can't read {file}: {os_reason(error)}.") from None
    except ValueError:
        secret = ""
    if not secret or len(secret) > _LONGEST_SECRET or not secret.isprintable():
        raise NoConnection(f"{file} has no secret of a session or an API token.")
    return secret


def _exposed(key: Path) -> tuple[str, ...]:
    """A warning if users other than its owner can use a key."""
    mode = stat.S_IMODE(key.stat().st_mode)
    if not mode & (stat.S_IRWXG | stat.S_IRWXO):
        return ()
    return (
        f"Other users can read {key} (mode {mode:04o}) and act as you. "
        f"Run: chmod 600 {shlex.quote(str(key))}",
    )


def _read_toml(path: Path) -> dict[str, object]:
    try:
        return toml_file.parsed(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NoConnection(
            f"{path} does not exist, so tdc has no manager to talk to. Use --config FILE or "
            f"TDC_CONFIG, or copy the operator folder that `tdc-manager init` created."
        ) from None
    except OSError as error:
        raise NoConnection(f"Can't read {path}: {os_reason(error)}.") from None
    except ValueError as error:
        raise NoConnection(f"{path} is not valid TOML: {error}.") from None


def _read_pem(config: Path, field: str, name: str) -> bytes:
    path = config.parent / Path(name).expanduser()
    try:
        content = path.read_bytes()
    except OSError as error:
        raise NoConnection(
            f"Can't read {path}, which {config} names as {field}: {os_reason(error)}."
        ) from None
    if b"-----BEGIN" not in content:
        raise NoConnection(f"{path}, which {config} names as {field}, is not a PEM file.")
    return content
