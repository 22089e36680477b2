"""Flags, environment and file -> one frozen Options.

Nearest wins: a flag, else the environment (``TDC_MANAGER_LISTEN_PORT`` …), else ``manager.toml``
in the data folder (same names, with ``_``), else the default. An unknown name in the file is
refused: a mistyped line must not mean the default.
"""

from __future__ import annotations

import argparse
import ipaddress
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

FILE_NAME = "manager.toml"
ENVIRONMENT_PREFIX = "TDC_MANAGER_"


class OptionsError(ValueError):
    """An option that can't be: which one, from where, and what would be right."""


@dataclass(frozen=True, slots=True)
class Options:
    """What one manager is told from outside; everything else is in the store.

    Ports: 0 lets the system choose, at later starts the same again where it is free. Intervals
    and the deadline are seconds.
    """

    folder: Path
    listen_host: str = "127.0.0.1"
    listen_port: int = 7443
    enrol_port: int = 7444
    names: tuple[str, ...] = ()
    """Names or addresses under which clients reach this manager; go into its certificate."""
    advertise: str = ""
    """Host told to machines and operators; empty for the first of `names`, else `listen_host`."""
    etcd_endpoints: tuple[str, ...] = ()
    """host:port of an existing etcd; none means the embedded one, in the data folder."""
    etcd_ca: Path | None = None
    etcd_certificate: Path | None = None
    etcd_key: Path | None = None
    etcd_user: str = ""
    etcd_password_file: Path | None = None
    ports_file: Path | None = None
    """JSON with the ports in use, written when the manager serves."""
    log_level: str = "info"
    status_interval: float = 10.0
    ping_interval: float = 5.0
    deadline: float = 15.0

    @property
    def embedded(self) -> bool:
        """True where this manager supervises an etcd of its own."""
        return not self.etcd_endpoints

    @property
    def advertised_host(self) -> str:
        """The host that machines and operators are told to connect to."""
        return self.advertise or next(iter(self.names), "") or self.listen_host

    def etcd_password(self) -> str:
        """Return the password in `etcd_password_file`, without its line end; "" without one."""
        if self.etcd_password_file is None:
            return ""
        try:
            return self.etcd_password_file.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise OptionsError(f"etcd_password_file can't be read: {error}") from None


_HELP = {
    "folder": "data folder of the manager (CA, embedded etcd); made by `init`",
    "listen_host": "address to listen on",
    "listen_port": "port for operators and agents, mutual TLS; 0: the system chooses",
    "enrol_port": "port for enrolment, server TLS only; 0: the system chooses",
    "names": "names or addresses clients use for this manager, separated by commas",
    "advertise": "host told to machines and operators",
    "etcd_endpoints": "host:port of an existing etcd, separated by commas; none: embedded",
    "etcd_ca": "CA file for etcd (turns TLS on)",
    "etcd_certificate": "client certificate file for etcd",
    "etcd_key": "client key file for etcd",
    "etcd_user": "user at etcd",
    "etcd_password_file": "file with that user's password",
    "ports_file": "file to write the ports in use to, as JSON",
    "log_level": "debug, info, warning or error",
    "status_interval": "seconds between status messages of an agent",
    "ping_interval": "seconds between pings on an agent's stream",
    "deadline": "seconds of silence after which a stream is dead",
}

_TUPLES = {"names", "etcd_endpoints"}
_PORTS = {"listen_port", "enrol_port"}
_SECONDS = {"status_interval", "ping_interval", "deadline"}
_PATHS = {"folder", "etcd_ca", "etcd_certificate", "etcd_key", "etcd_password_file", "ports_file"}
_WILDCARDS = {"0.0.0.0", "::"}  # noqa: S104  # refused as an address, not listened on
_HOST_NAME = re.compile(r"[A-Za-z0-9._-]+")
_LOG_LEVELS = ("debug", "info", "warning", "error")


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add one flag for each option to `parser`; none has a default there."""
    for field in fields(Options):
        parser.add_argument(
            "--" + field.name.replace("_", "-"),
            dest=field.name,
            required=field.name == "folder",
            help=_HELP[field.name] + _default(field.default),
        )


def _default(value: object) -> str:
    return f" (default: {value})" if isinstance(value, str | int | float) and value != "" else ""


def read_options(
    flags: Mapping[str, object], environment: Mapping[str, str] | None = None
) -> Options:
    """Return the options; `flags` are by field name, None where not given.

    Raises OptionsError.
    """
    environment = os.environ if environment is None else environment
    given = {name: value for name, value in flags.items() if value is not None and name in _HELP}
    if "folder" not in given:
        raise OptionsError("--folder is required: the data folder that `init` made")
    folder = Path(str(given["folder"]))
    values: dict[str, object] = {**_from_file(folder / FILE_NAME), **_from(environment), **given}
    return _checked(Options(**{name: _value(name, raw) for name, raw in values.items()}))  # type: ignore[arg-type]  # _value gives each field its type


def _from(environment: Mapping[str, str]) -> dict[str, object]:
    named = {name: ENVIRONMENT_PREFIX + name.upper() for name in _HELP}
    return {name: environment[key] for name, key in named.items() if key in environment}


def _from_file(path: Path) -> dict[str, object]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise OptionsError(f"{path} can't be read: {error}") from None
    unknown = sorted(values.keys() - _HELP.keys())
    if unknown:
        raise OptionsError(
            f"{path}: unknown option {', '.join(unknown)}; known are {', '.join(_HELP)}"
        )
    # A path in the file means a place beside the file, wherever the manager is started.
    return {
        name: path.parent / str(value) if name in _PATHS else value
        for name, value in values.items()
    }


def _value(name: str, raw: object) -> object:
    if name in _TUPLES:
        items = raw.split(",") if isinstance(raw, str) else raw
        if not isinstance(items, list | tuple):
            raise OptionsError(f"{name}: {raw!r} is not a list")
        return tuple(str(item).strip() for item in items if str(item).strip())
    if name in _PORTS:
        return _number(name, raw, int)
    if name in _SECONDS:
        return _number(name, raw, float)
    return Path(str(raw)) if name in _PATHS else str(raw)


def _number(name: str, raw: object, kind: type[int] | type[float]) -> int | float:
    try:
        return kind(str(raw))
    except ValueError:
        raise OptionsError(f"{name}: {raw!r} is not a number") from None


def _checked(options: Options) -> Options:
    for name in _PORTS:
        if not 0 <= getattr(options, name) <= 65_535:
            raise OptionsError(f"{name}: {getattr(options, name)} is not between 0 and 65535")
    for name in _SECONDS:
        if not 0.05 <= getattr(options, name) <= 3_600:
            raise OptionsError(f"{name}: {getattr(options, name)} is not between 0.05 and 3600")
    if options.deadline <= options.ping_interval:
        raise OptionsError("deadline: must be longer than ping_interval, or every stream is dead")
    if options.log_level not in _LOG_LEVELS:
        raise OptionsError(f"log_level: {options.log_level!r} is not one of {_LOG_LEVELS}")
    if bool(options.etcd_certificate) != bool(options.etcd_key):
        raise OptionsError("etcd_certificate and etcd_key go together: give both or neither")
    if options.etcd_certificate and not options.etcd_ca:
        raise OptionsError("etcd_certificate needs etcd_ca: TLS with etcd is on with etcd_ca")
    for host in (*options.names, options.advertised_host):
        if not _is_host(host):
            raise OptionsError(
                f"{host!r} is no host name or address, as names, advertise and listen_host are: "
                "without port or brackets, and a name in other letters as its A-label (xn--...)"
            )
    if options.advertised_host in _WILDCARDS:
        raise OptionsError(
            f"listen_host {options.listen_host} is no address to connect to: say with --advertise "
            "or --names under which name machines and operators reach this manager"
        )
    return options


def _is_host(text: str) -> bool:
    """Say whether a certificate can hold it, and an address begin with it."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return _HOST_NAME.fullmatch(text) is not None
    return True
