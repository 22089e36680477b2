"""agent.toml -> frozen AgentOptions: what only this machine can know (docs/agent-toml.md).

An unknown key is an error that names its line: a mistyped key must never mean the default.
Addresses are ``host:port``, with an IPv6 address in brackets.
"""

from __future__ import annotations

import difflib
import re
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import msgspec
from tdc.node_agent.deliver.options import DeliveryOptions
from tdc.node_agent.ingest.options import FilterOptions
from tdc.node_agent.ingest.pool import NextHop
from tdc.node_agent.log.lines import DEFAULT_INTAKE_NAME
from tdc.node_agent.option_words import wrong_type
from tdc.shared.edge import toml_file
from tdc.shared.edge.os_words import os_reason

DELIVERY_SHARE = 8
"""Delivery's part of `max_bytes_in_hand` is one in so many: what it has at hand is on disk too."""

_HELO = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9_])?|\[[0-9A-Za-z:.]+\]")
_HOST_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")


class AgentOptionsError(Exception):
    """agent.toml can't be used; the text names the file, the line and what would be right."""


class ManagerSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where managers are, tried in turn; `retry_maximum`: longest wait between tries, seconds."""

    addresses: tuple[str, ...]
    retry_maximum: float = 3.0

    def __post_init__(self) -> None:
        if not self.addresses:
            raise ValueError("addresses: name at least one manager")
        for address in self.addresses:
            _check_address("addresses", address)
        if not 0.1 <= self.retry_maximum <= 3_600:
            raise ValueError("retry_maximum: not between 0.1 and 3600 seconds")


class IdentitySection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the machine's key and certificates are; ``state_folder/identity`` if not given."""

    folder: Path | None = None


class IngestSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The SMTP content filter.

    `listen` may have port 0: the system chooses. `next_hop` gets the originals, in order of
    preference. `trusted` are the networks that may connect. Times are seconds, sizes bytes,
    `minimum_rate` bytes a second; for what they bound see FilterOptions.
    """

    next_hop: str | tuple[str, ...]
    listen: str = "127.0.0.1:10025"
    trusted: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    helo_name: str = ""
    max_connections: int = 100
    max_message_size: int = 1024**3
    command_timeout: float = 300.0
    block_timeout: float = 180.0
    message_timeout: float = 3_600.0
    minimum_rate: float = 500.0

    def __post_init__(self) -> None:
        _check_address("listen", self.listen, zero=True, example=_LOCAL)
        _check_range("max_connections", self.max_connections, 1, 100_000)
        _check_range("max_message_size", self.max_message_size, 64 * 1024, 1024**3)
        for name in ("command_timeout", "block_timeout", "message_timeout"):
            _check_range(name, getattr(self, name), 1, 86_400)
        _check_range("minimum_rate", self.minimum_rate, 1, 1024**3)
        if not self.next_hops:
            raise ValueError("next_hop: name at least one")
        for address in self.next_hops:
            _check_address("next_hop", address, example=_LOCAL)
            if host_port(address) == host_port(self.listen, zero=True):
                raise ValueError(f"next_hop: {address!r} is where the agent itself listens")
        if self.helo_name:
            _check_helo_name(self.helo_name)
        for network in self.trusted:
            _check_network(network)

    @property
    def next_hops(self) -> tuple[str, ...]:
        """The next hops as a list, even if agent.toml has a single address."""
        return (self.next_hop,) if isinstance(self.next_hop, str) else self.next_hop

    def filter_options(self, own_name: str, bytes_in_hand: int) -> FilterOptions:
        """The content filter's options on the host that goes by this name."""
        host, port = host_port(self.listen, zero=True)
        return FilterOptions(
            next_hops=tuple(NextHop(*host_port(each)) for each in self.next_hops),
            host=host,
            port=port,
            hostname=self.helo_name or own_name,
            trusted_networks=tuple(map(ip_network, self.trusted)),
            max_connections=self.max_connections,
            max_message_size=self.max_message_size,
            bytes_in_hand=bytes_in_hand,
            command_timeout=self.command_timeout,
            block_timeout=self.block_timeout,
            message_timeout=self.message_timeout,
            minimum_rate=self.minimum_rate,
        )


class SpoolSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the spool is; ``state_folder/spool`` if not given."""

    folder: Path | None = None


class DeliverSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the intake is reached from this machine.

    Without `nameservers` (addresses, port 53 if none is given) the system's are used; without
    `ca_file` the system's trusted CAs. Unless `allow_private_targets` is set, or the setting
    `smtp_route.private`, an intake whose address is not for the public Internet is refused.
    `helo_name` is our name in EHLO and the domain of addresses that we make (own_name.py).
    """

    nameservers: tuple[str, ...] = ()
    mx_port: int = 25
    ca_file: Path | None = None
    allow_private_targets: bool = False
    helo_name: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.mx_port <= 65_535:
            raise ValueError("mx_port: not between 1 and 65535")
        if self.helo_name:
            _check_helo_name(self.helo_name)
        for nameserver in self.nameservers:
            _check_nameserver(nameserver)

    def delivery_options(self, own_name: str, bytes_at_hand: int) -> DeliveryOptions:
        """Delivery's options on the host that goes by this name."""
        return DeliveryOptions(
            helo_name=own_name,
            nameservers=self.nameservers,
            mx_port=self.mx_port,
            ca_file=self.ca_file,
            allow_private_targets=self.allow_private_targets,
            bytes_at_hand=bytes_at_hand,
        )


class LogSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Log lines: the scanner's display name, and a file instead of standard error."""

    intake_name: str = DEFAULT_INTAKE_NAME
    file: Path | None = None


class AgentOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of agent.toml. `ports_file` is written at start: JSON with the ports in use.

    `max_bytes_in_hand` bounds the contents of mail in memory; delivery gets an eighth of it.
    """

    state_folder: Path
    manager: ManagerSection
    ingest: IngestSection
    ports_file: Path | None = None
    max_bytes_in_hand: int = 512 * 1024**2
    identity: IdentitySection = IdentitySection()
    spool: SpoolSection = SpoolSection()
    deliver: DeliverSection = DeliverSection()
    log: LogSection = LogSection()

    def __post_init__(self) -> None:
        _check_range("max_bytes_in_hand", self.max_bytes_in_hand, 16 * 1024**2, 1024**4)

    def filter_options(self, own_name: str) -> FilterOptions:
        """The content filter's options on the host that goes by this name."""
        share = self.max_bytes_in_hand - self.max_bytes_in_hand // DELIVERY_SHARE
        return self.ingest.filter_options(own_name, share)

    def delivery_options(self, own_name: str) -> DeliveryOptions:
        """Delivery's options on the host that goes by this name."""
        return self.deliver.delivery_options(own_name, self.max_bytes_in_hand // DELIVERY_SHARE)

    @property
    def identity_folder(self) -> Path:
        """Folder of key and certificates."""
        return self.identity.folder or self.state_folder / "identity"

    @property
    def spool_folder(self) -> Path:
        """Folder of the spool."""
        return self.spool.folder or self.state_folder / "spool"


_SECTIONS = {
    field.name: field.type
    for field in msgspec.structs.fields(AgentOptions)
    if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct)
}


_EXAMPLE = "192.0.2.7:7443 or manager.corp.example:7443"
_LOCAL = "127.0.0.1:10025"
_EXAMPLES = {
    "state_folder": 'add state_folder = "/var/lib/tdc-agent", before the first section',
    "manager": 'add [manager] and, in the next line, addresses = ["manager.corp.example:7443"]',
    "addresses": 'write addresses = ["manager.corp.example:7443"]',
    "ingest": 'add [ingest] and, in the next line, next_hop = "127.0.0.1:10026"',
    "next_hop": 'write next_hop = "127.0.0.1:10026"',
}
"""How to write each key that has no default."""


def read_options(path: Path) -> AgentOptions:
    """Read agent.toml; raises AgentOptionsError."""
    return options_in(read_text(path), path)


def read_text(path: Path) -> str:
    """The text of agent.toml, whatever it says; raises AgentOptionsError."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise AgentOptionsError(f"can't read {path}: {os_reason(error)}") from None
    except UnicodeDecodeError:
        raise AgentOptionsError(f"can't read {path}: it is not UTF-8") from None


def options_in(text: str, path: Path) -> AgentOptions:
    """The options in a text that was read from `path`; raises AgentOptionsError."""
    try:
        content = toml_file.parsed(text)
    except ValueError as error:
        raise AgentOptionsError(f"{path} is not TOML: {error}") from None
    try:
        return msgspec.convert(content, AgentOptions, dec_hook=_path(path.parent))
    except msgspec.ValidationError as error:
        place = f"{path}{_line_of(text, str(error))}"
        said = wrong_type(str(error), content) or _in_toml_words(str(error))
        raise AgentOptionsError(f"{place}: {said}") from None


def host_port(text: str, *, zero: bool = False, example: str = _EXAMPLE) -> tuple[str, int]:
    """Split ``host:port``; raises ValueError. Port 0 only where the system may choose."""
    match = _HOST_PORT.fullmatch(text)
    if match is None or not (0 if zero else 1) <= int(match[2]) <= 65_535:
        raise ValueError(f"{text!r} is not a valid host:port, such as {example}")
    return match[1].strip("[]"), int(match[2])


def _check_address(key: str, text: str, *, zero: bool = False, example: str = _EXAMPLE) -> None:
    try:
        host_port(text, zero=zero, example=example)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None


def _check_network(text: str) -> None:
    try:
        ip_network(text)
    except ValueError as error:
        raise ValueError(f"trusted: {error}") from None


def _check_range(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise ValueError(f"{name}: not between {least} and {most}")


def _check_helo_name(text: str) -> None:
    if not _HELO.fullmatch(text):
        raise ValueError(f"helo_name: {text!r} is not a host name such as mx1.corp.example")


def _check_nameserver(text: str) -> None:
    """Raise ValueError unless it is address or address:port: no DNS could resolve its name."""
    has_port = ":" in text.rpartition("]")[2]
    try:
        ip_address(host_port(text if has_port else f"{text}:53")[0])
    except ValueError:
        raise ValueError(
            f"nameservers: {text!r} is not address:port; give the address of the nameserver, "
            "not its name, an IPv6 address in brackets"
        ) from None


def _path(folder: Path) -> Any:
    """The hook that reads paths, relative ones from the folder of agent.toml."""

    def read(kind: type, value: object) -> Path:
        if kind is not Path or not isinstance(value, str) or not value:
            raise ValueError(f"{value!r} is not a valid path")
        return folder / value

    return read


def _in_toml_words(problem: str) -> str:
    """A problem that msgspec found, in the words of docs/agent-toml.md: keys and sections."""
    unknown = re.fullmatch(
        r"Object contains unknown field `([^`]+)`(?: - at `\$\.(\w+)`)?", problem
    )
    if unknown:
        return _unknown_key(unknown[1], unknown[2] or "")
    missing = re.fullmatch(r"Object missing required field `([^`]+)`(.*)", problem)
    if missing and (example := _EXAMPLES.get(missing[1])):
        problem = f"missing key `{missing[1]}`: {example}{missing[2]}"
    problem = problem.replace("Object missing required field", "missing key")
    return re.sub(r" - at `\$\.([^`]+)`$", lambda found: _place_words(found[1]), problem)


def _place_words(path: str) -> str:
    return f" (in [{path}])" if path in _SECTIONS else f" (at {path})"


def _unknown_key(key: str, section: str) -> str:
    """Name the keys that a section has, the likely one first."""
    kind = _SECTIONS.get(section, AgentOptions)
    known = [field.encode_name for field in msgspec.structs.fields(kind)]
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"valid keys are {', '.join(known)}"
    return f"unknown key {key}{f' in [{section}]' if section else ''}; {hint}"


def _line_of(text: str, problem: str) -> str:
    """The line that a problem is about, as ``" line 7"``; empty if its words do not lead there."""
    lines = text.splitlines()
    keys = re.findall(r"`([A-Za-z_]+)`", problem) + re.findall(r"^([a-z_]+):", problem)
    path = re.search(r"`\$\.([a-z_.]+)", problem)
    section, _, rest = (path[1] if path else "").partition(".")
    keys += [rest.partition(".")[0], section]
    start = next((n for n, line in enumerate(lines) if line.strip() == f"[{section}]"), 0)
    wanted = [rf".*{re.escape(value)}" for value in re.findall(r"^'([^']+)'", problem)]
    wanted += [rf"\s*\[?\s*{re.escape(key)}\b" for key in keys if key]
    for pattern in wanted:
        for number, line in enumerate(lines[start:], start + 1):
            if re.match(pattern, line):
                return f" line {number}"
    return ""
