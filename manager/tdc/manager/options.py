"""Flags, environment and file -> one frozen Options.

Nearest wins: a flag, else the environment (``TDC_MANAGER_LISTEN_PORT`` …), else ``manager.toml``
in the data folder (same names, with ``_``), else the default. An unknown name in the file is
refused: a mistyped line must not mean the default. A fault is named with the place it is in.
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import msgspec
from tdc.manager.option_rules import check_ports, check_provider, check_syslog, is_host
from tdc.shared.edge import toml_file
from tdc.shared.edge.os_words import os_reason

FILE_NAME = "manager.toml"
ENVIRONMENT_PREFIX = "TDC_MANAGER_"

_WILDCARDS = {"0.0.0.0", "::"}  # noqa: S104  # refused as an address, not listened on
_ENDPOINT = re.compile(r".+:[0-9]{1,5}")


class OptionsError(Exception):
    """An option that can't be used: which one, from where, and what would be right."""


def _help(text: str) -> msgspec.Meta:
    return msgspec.Meta(description=text)


class Options(msgspec.Struct, frozen=True):
    """What one manager is configured with; everything else is in the store.

    Ports: 0 lets the system choose, at later starts the same port again where it is free.
    """

    folder: Annotated[Path, _help("data folder of the manager (CA, embedded etcd); made by `init`")]
    listen_host: Annotated[str, _help("address to listen on")] = "127.0.0.1"
    listen_port: Annotated[
        int, _help("port for operators and agents, mutual TLS; 0: the system chooses")
    ] = 7443
    enrol_port: Annotated[
        int, _help("port for enrolment, server TLS only; 0: the system chooses")
    ] = 7444
    operator_port: Annotated[
        int | None,
        _help(
            "port for operators without a certificate (`tdc login`, API tokens), server TLS only; "
            "0: the system chooses; none: there is no such port"
        ),
    ] = None
    console_port: Annotated[
        int | None,
        _help("port of web console and REST API, HTTPS; 0: the system chooses; none: no console"),
    ] = None
    console_host: Annotated[str, _help("address on which the console listens")] = "127.0.0.1"
    console_certificate: Annotated[
        Path | None,
        _help("certificate file of the console, with its chain; none: one by the manager's CA"),
    ] = None
    console_key: Annotated[Path | None, _help("key file of that certificate")] = None
    names: Annotated[
        tuple[str, ...],
        _help("names or addresses that clients use for this manager, separated by commas"),
    ] = ()
    advertise: Annotated[
        str, _help("host for machines and operators to connect to; else the first of the names")
    ] = ""
    name: Annotated[
        str, _help("name of this manager among several, in lists; else the advertised host")
    ] = ""
    etcd_endpoints: Annotated[
        tuple[str, ...],
        _help("host:port of an existing etcd, separated by commas; none: embedded"),
    ] = ()
    etcd_ca: Annotated[Path | None, _help("CA file for etcd (turns TLS on)")] = None
    etcd_certificate: Annotated[Path | None, _help("client certificate file for etcd")] = None
    etcd_key: Annotated[Path | None, _help("client key file for etcd")] = None
    etcd_user: Annotated[str, _help("user at etcd")] = ""
    etcd_password_file: Annotated[Path | None, _help("file with that user's password")] = None
    oidc_issuer: Annotated[
        str, _help("OpenID Connect provider at which people log in, by its own name: https://...")
    ] = ""
    oidc_client_id: Annotated[str, _help("what the managers are registered as there")] = ""
    oidc_client_secret_file: Annotated[
        Path | None, _help("file with the client's secret; none: a public client")
    ] = None
    oidc_scopes: Annotated[
        tuple[str, ...], _help("what is asked for, separated by commas (default: openid,profile)")
    ] = ("openid", "profile")
    oidc_name_claim: Annotated[str, _help("claim with what a person is called")] = (
        "preferred_username"
    )
    oidc_groups_claim: Annotated[str, _help("claim with a person's groups")] = "groups"
    oidc_roles: Annotated[
        tuple[str, ...],
        _help(
            "ROLE=GROUP or ROLE@CLUSTER+CLUSTER/GROUP=GROUP, separated by commas; the first wins"
        ),
    ] = ()
    oidc_ca: Annotated[Path | None, _help("CA file for the provider; none: the system's")] = None
    ports_file: Annotated[Path | None, _help("file to write the ports in use to, as JSON")] = None
    audit_syslog: Annotated[
        str,
        _help("where copies of audit entries go: unix:/dev/log, udp:HOST:PORT or tcp:HOST:PORT"),
    ] = ""
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], _help("debug, info, warning or error")
    ] = "info"
    status_interval: Annotated[float, _help("seconds between status messages of an agent")] = 10.0
    ping_interval: Annotated[float, _help("seconds between pings on an agent's stream")] = 5.0
    deadline: Annotated[float, _help("seconds of silence after which a stream is dead")] = 15.0

    def __post_init__(self) -> None:
        ports = ("listen_port", "enrol_port", "operator_port", "console_port")
        check_ports({name: getattr(self, name) for name in ports})
        for name in ("status_interval", "ping_interval", "deadline"):
            if not 0.05 <= getattr(self, name) <= 3_600:
                raise ValueError(f"{name}: {getattr(self, name)} is not between 0.05 and 3600")
        if self.deadline <= self.ping_interval:
            raise ValueError("deadline: must be longer than ping_interval, or every stream is dead")
        for what in ("console", "etcd"):
            one, other = f"{what}_certificate", f"{what}_key"
            if bool(getattr(self, one)) != bool(getattr(self, other)):
                raise ValueError(f"{one} and {other} go together: give both or neither")
        if self.etcd_certificate and not self.etcd_ca:
            raise ValueError("etcd_certificate needs etcd_ca: TLS with etcd is on with etcd_ca")
        check_syslog(self.audit_syslog)
        self._check_etcd_is_named()
        self._check_provider()
        self._check_hosts()

    def _check_etcd_is_named(self) -> None:
        for name in ("etcd_ca", "etcd_certificate", "etcd_key", "etcd_user", "etcd_password_file"):
            if self.embedded and getattr(self, name):
                raise ValueError(
                    f"{name}: says how to reach an existing etcd, but etcd_endpoints names none, "
                    f"so the embedded one would be used. Give etcd_endpoints, or leave {name} out"
                )
        for endpoint in self.etcd_endpoints:
            if not _ENDPOINT.fullmatch(endpoint):
                raise ValueError(f"etcd_endpoints: {endpoint!r} is not of the form host:port")

    def _check_provider(self) -> None:
        needed = ("oidc_client_id", "oidc_client_secret_file", "oidc_roles", "oidc_ca")
        given = {name: getattr(self, name) for name in needed}
        check_provider(self.oidc_issuer, self.oidc_scopes, self.oidc_roles, given)

    def _check_hosts(self) -> None:
        named = [*(("names", name) for name in self.names), ("listen_host", self.listen_host)]
        named.append(("console_host", self.console_host))
        named.append(("advertise" if self.advertise else "listen_host", self.advertised_host))
        for option, host in named:
            if not is_host(host):
                raise ValueError(
                    f"{option}: {host!r} is not a valid host name or address. Give it without "
                    "port or brackets, an international name as its A-label (xn--...)"
                )
        if self.advertised_host in _WILDCARDS:
            raise ValueError(
                f"listen_host: nobody can connect to {self.advertised_host}. Give --advertise or "
                "--names: the name under which machines and operators reach this manager"
            )

    @property
    def embedded(self) -> bool:
        """True where this manager supervises an etcd of its own."""
        return not self.etcd_endpoints

    @property
    def advertised_host(self) -> str:
        """The host that machines and operators are to connect to."""
        return self.advertise or next(iter(self.names), "") or self.listen_host

    def etcd_password(self) -> str:
        """The password in `etcd_password_file`, without its line end; "" without a file."""
        if self.etcd_password_file is None:
            return ""
        try:
            return self.etcd_password_file.read_text(encoding="utf-8").rstrip("\r\n")
        except OSError as error:
            why = os_reason(error)
        except UnicodeDecodeError:
            why = "it is not UTF-8"
        raise OptionsError(f"etcd_password_file {self.etcd_password_file} can't be read: {why}")


_FIELDS = {field.name: field for field in msgspec.structs.fields(Options)}


def add_flags(parser: argparse.ArgumentParser, *, anywhere: bool = False) -> None:
    """Add one flag for each option to `parser`; none has a default there.

    `anywhere`: the folder is not required yet, but by `read_options`.
    """
    for name, field in _FIELDS.items():
        required = field.required and not anywhere
        parser.add_argument(_flag(name), dest=name, required=required, help=_described(field))


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _variable(name: str) -> str:
    return ENVIRONMENT_PREFIX + name.upper()


def _described(field: msgspec.structs.FieldInfo) -> str:
    _, meta = get_args(field.type)
    shown = isinstance(field.default, str | int | float) and field.default != ""
    return str(meta.description) + (f" (default: {field.default})" if shown else "")


@dataclass(frozen=True, slots=True)
class _Given:
    """An option as one source gives it: `place` names the source, for an error.

    A relative path starts at `folder`.
    """

    place: str
    name: str
    raw: object
    folder: Path


def read_options(
    flags: Mapping[str, object], environment: Mapping[str, str] | None = None
) -> Options:
    """Read the options; `flags` are by field name, None where not given.

    Raises OptionsError.
    """
    environment = os.environ if environment is None else environment
    if flags.get("folder") is None:
        raise OptionsError("--folder is required: the data folder that `init` made")
    nearest = {
        given.name: given
        for source in (
            _from_file(Path(str(flags["folder"])) / FILE_NAME),
            _from_environment(environment),
            _from_flags(flags),
        )
        for given in source
    }
    values: dict[str, Any] = {name: _value(given) for name, given in nearest.items()}
    try:
        return Options(**values)
    except ValueError as error:
        fault = nearest.get(str(error).partition(":")[0])
        raise OptionsError(_placed(fault, str(error)) if fault else str(error)) from None


def _placed(given: _Given, fault: str) -> str:
    """The fault with its place; a flag and a variable have the option's name themselves."""
    if given.place in (_flag(given.name), _variable(given.name)):
        fault = fault.partition(": ")[2]
    return f"{given.place}: {fault}"


def lasting(options: Options, flags: Mapping[str, object]) -> dict[str, object]:
    """What `flags` gave of the options as manager.toml can hold it; raises OptionsError.

    Paths are absolute: they mean the same place wherever the manager is started later.
    """
    values = {
        name: getattr(options, name)
        for name in _FIELDS
        if name != "folder" and flags.get(name) is not None
    }
    for name, value in values.items():
        if not _is_utf8(str(value)):
            raise OptionsError(f"{_flag(name)}: {str(value)!r} is not UTF-8; {FILE_NAME} must be")
    return {
        name: str(value.absolute()) if isinstance(value, Path) else value
        for name, value in values.items()
    }


def lasting_of(options: Options) -> dict[str, object]:
    """What of the options is not their default, as manager.toml can hold it."""
    values = {
        name: getattr(options, name)
        for name, field in _FIELDS.items()
        if name != "folder" and getattr(options, name) != field.default
    }
    return {
        name: str(value.absolute()) if isinstance(value, Path) else value
        for name, value in values.items()
        if _is_utf8(str(value))
    }


def is_option(name: str) -> bool:
    """Whether manager.toml may have this key."""
    return name in _FIELDS and name != "folder"


def _is_utf8(text: str) -> bool:
    # An argument of other bytes has surrogates: so Python escapes them.
    return not any("\ud800" <= char <= "\udfff" for char in text)


def _from_flags(flags: Mapping[str, object]) -> Iterator[_Given]:
    for name in _FIELDS:
        if flags.get(name) is not None:
            yield _Given(_flag(name), name, flags[name], Path())


def _from_environment(environment: Mapping[str, str]) -> Iterator[_Given]:
    for name in _FIELDS:
        variable = _variable(name)
        if variable in environment:
            yield _Given(variable, name, environment[variable], Path())


def _from_file(path: Path) -> Iterator[_Given]:
    try:
        text = path.read_text(encoding="utf-8")
        content = toml_file.parsed(text)
    except FileNotFoundError:
        return
    except OSError as error:
        raise OptionsError(f"{path} can't be read: {os_reason(error)}") from None
    except ValueError as error:
        raise OptionsError(f"{path} can't be read: {error}") from None
    for name, raw in content.items():
        place = f"{path}{_line_of(name, text)}"
        if not is_option(name):
            raise OptionsError(f"{place}: unknown option {name}; {_near(name)}")
        # A path in the file means a place beside the file, wherever the manager is started.
        yield _Given(place, name, raw, path.parent)


def _near(name: str) -> str:
    valid = list(filter(is_option, _FIELDS))  # not the folder, which is given by --folder alone
    near = difflib.get_close_matches(name, valid, n=1)
    return f"did you mean {near[0]}?" if near else f"valid options are {', '.join(valid)}"


def _line_of(name: str, text: str) -> str:
    """Where a key is set, as ``" line 7"``; empty if it is written in an odd way."""
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(rf"\s*\[?\s*{re.escape(name)}\b", line):
            return f" line {number}"
    return ""


def _value(given: _Given) -> object:
    """An option's value, of its type; raises OptionsError."""
    kind, _ = get_args(_FIELDS[given.name].type)
    raw = given.raw
    try:
        if kind in _NUMBERS and isinstance(raw, str):  # a flag, a variable, or quoted in TOML
            raw = _NUMBERS[kind](raw)
        if kind == tuple[str, ...]:
            items = raw.split(",") if isinstance(raw, str) else msgspec.convert(raw, kind)
            return tuple(item.strip() for item in items if item.strip())
        return msgspec.convert(raw, kind, dec_hook=_path_from(given.folder))
    except ValueError:  # msgspec's too
        wanted = _WORDS.get(kind) or f"one of {', '.join(get_args(kind))}"
        raise OptionsError(f"{given.place}: {given.raw!r} is not {wanted}") from None


_NUMBERS: Mapping[object, Callable[[str], int | float]] = {
    int: int,
    int | None: int,
    float: float,
}

_WORDS: Mapping[object, str] = {
    int: "a number",
    int | None: "a number",
    float: "a number",
    str: "text",
    tuple[str, ...]: "a list",
    Path: "a path",
    Path | None: "a path",
}
"""What an option must be, by its type; the others are a choice."""


def _path_from(folder: Path) -> Callable[[type, object], Path]:
    def read(kind: type, value: object) -> Path:
        if kind is not Path or not isinstance(value, str | Path) or not str(value):
            raise ValueError(f"{value!r} is not a path")
        return folder / value

    return read
