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

from tdc.manager.cli.errors import NoConnection
from tdc.shared.edge import toml_file
from tdc.shared.edge.os_words import os_reason

DEFAULT_PLACE = "~/.config/tdc/operator.toml"
_FIELDS = ("manager", "ca", "certificate", "key")
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class OperatorConfig:
    """Where the manager is (host:port), and the PEM bytes to trust it and be trusted by it.

    `warnings` are sentences for the operator about files that are used nevertheless.
    """

    path: Path
    manager: str
    ca: bytes
    certificate: bytes
    key: bytes
    warnings: tuple[str, ...] = ()


def find_config(chosen: Path | None) -> Path:
    """The operator.toml to use: the chosen path, else TDC_CONFIG, else the default."""
    return (chosen or Path(os.environ.get("TDC_CONFIG") or DEFAULT_PLACE)).expanduser()


def read_config(path: Path) -> OperatorConfig:
    """Read operator.toml and the files it names, relative to it; raises NoConnection."""
    table = _read_toml(path)
    fields = {name: table.get(name) for name in _FIELDS}
    wrong = [name for name, value in fields.items() if not isinstance(value, str) or not value]
    if wrong:
        raise NoConnection(
            f"{path} lacks {', '.join(wrong)}. It needs four strings: manager "
            f'("host:port"), ca, certificate and key (PEM files, relative to {path.name}).'
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
    ca, certificate, key = (_read_pem(path, name, str(fields[name])) for name in _FIELDS[1:])
    warnings = _exposed(path.parent / Path(str(fields["key"])).expanduser())
    return OperatorConfig(path, manager, ca, certificate, key, warnings)


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
