"""Whether the agent could start with an agent.toml, as far as that shows without starting it.

In: options whose form is right. Out: *faults*, with which it would not start or would copy nothing,
and *warnings*, with which it starts and something is amiss; what may be so for a while (a next hop
that is down, an enrolment to come) is a warning.
Promise: it only reads. It makes no file, keeps no lock and touches no spool, so it may run beside
an agent; each wait has a bound. The folders and files are in `preflight_files`.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from tdc.node_agent import holders, own_name, preflight_files
from tdc.node_agent.options import AgentOptions, host_port
from tdc.node_agent.sync import identity
from tdc.node_agent.sync.ended import at_enrolment_port
from tdc.shared.edge.clock import monotonic

WAIT = 2.0
"""Seconds for a connection, and for the resolver."""


@dataclass(frozen=True, slots=True)
class Findings:
    """Sentences for the operator."""

    faults: tuple[str, ...]
    warnings: tuple[str, ...]


def findings(options: AgentOptions, config: Path) -> Findings:
    """Look at all that a start with this file would need."""
    ours = _Ours(config)
    hops = [_hop_look(address, options) for address in options.ingest.next_hops]
    managers = [_manager_look(address) for address in options.manager.addresses]
    said = _side_by_side([*hops, *managers, lambda: _name_warnings(options)])
    in_use, doubtful = _listen_findings(options, ours)
    loops = [text for text in said if text.startswith(_LOOP)]
    faults = (*preflight_files.faults(options, ours), *in_use, *loops)
    others = [text for text in said if text not in loops]
    return Findings(faults, (*preflight_files.warnings(options), *doubtful, *others))


class _Ours:
    """Whether a process is the agent that runs with this agent.toml, or the one that asks us."""

    def __init__(self, config: Path) -> None:
        self._config = config.absolute()

    def __call__(self, pid: int) -> bool:
        if pid in (os.getpid(), os.getppid()):
            return True
        words = holders.arguments(pid)
        folder = holders.started_in(pid)
        if "run" not in words or folder is None:
            return False
        named = [word.removeprefix("--config=") for word in words]
        return any((folder / each).resolve() == self._config.resolve() for each in named if each)


# -- addresses and names -------------------------------------------------------------------------

_LOOP = "ingest.next_hop: "
_NOTHING: tuple[list[str], list[str]] = ([], [])


def _listen_findings(options: AgentOptions, ours: _Ours) -> tuple[list[str], list[str]]:
    """Faults and warnings of the address; that the running agent has it is neither."""
    listen = options.ingest.listen
    host, port = host_port(listen, zero=True)
    try:
        for family, address in _resolved(host, port):
            try:
                with socket.socket(family) as tried:
                    tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    tried.bind((address, port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                found = _in_use(listen, holders.listening(family, address, port), ours)
                if found != _NOTHING:
                    return found
    except OSError as error:
        return [f"ingest.listen: can't listen on {listen}: {error.strerror or error}"], []
    return _NOTHING


def _in_use(
    listen: str, found: holders.Listening | None, ours: _Ours
) -> tuple[list[str], list[str]]:
    """What it means that somebody has the address: (faults, warnings)."""
    if found is not None and any(pid == 1 or ours(pid) for pid in found.holders):
        return _NOTHING  # process 1 opens it for the agent (tdc-agent.socket)
    text = f"ingest.listen: can't listen on {listen}: Address already in use"
    if found is None:
        return [text], []
    if found.holders:
        return [f"{text} by the process with pid {min(found.holders)}"], []
    if found.user == holders.ROOT:
        return [], [f"{text} by a process of root; that is right if tdc-agent.socket is active"]
    return [f"{text} by a process of user {found.user}"], []


def _manager_look(text: str) -> Callable[[], list[str]]:
    """A look at one manager: whether it accepts, and at the port for agents."""
    host, port = host_port(text)

    def look() -> list[str]:
        try:
            with socket.create_connection((host, port), timeout=WAIT) as connection:
                return _port_warnings(text, connection)
        except OSError as error:
            why = f"no answer in {WAIT:g} s" if isinstance(error, TimeoutError) else error.strerror
            return [f"the manager {text} accepts no connection now: {why or error}"]

    return look


def _port_warnings(text: str, connection: socket.socket) -> list[str]:
    """Without a certificate the port for agents says nothing, and the enrolment port speaks."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # nothing is sent, nothing that is read counts
    context.set_alpn_protocols(["h2"])
    try:
        with context.wrap_socket(connection) as tls:
            spoke = bool(tls.recv(1))
    except OSError:
        return []
    return [f"manager.addresses: {at_enrolment_port(text)}"] if spoke else []


def _hop_look(text: str, options: AgentOptions) -> Callable[[], list[str]]:
    """A look at one next hop, which may wait for the resolver and for the next hop."""
    host, port = host_port(text)
    ours, our_port = host_port(options.ingest.listen, zero=True)

    def look() -> list[str]:
        try:
            addresses = _resolved(host, port)
        except OSError as error:
            return [f"the next hop {text} can't be resolved: {error.strerror or error}"]
        try:
            own = {address for _, address in _resolved(ours, our_port)} if port == our_port else ()
        except OSError:
            own = ()
        if any(_is_ours(address, own) for _, address in addresses):
            return [f"{_LOOP}{text} is where the agent itself listens: mail would go in a circle"]
        try:
            socket.create_connection((host, port), timeout=WAIT).close()
        except OSError as error:
            why = f"no answer in {WAIT:g} s" if isinstance(error, TimeoutError) else error.strerror
            return [f"the next hop {text} accepts no connection now: {why or error}"]
        return []

    return look


def _is_ours(address: str, own: set[str] | tuple[()]) -> bool:
    """Whether a connection to an address, at our port, would be our own."""
    if address in own:
        return True
    everywhere = any(ip_address(each).is_unspecified for each in own)
    return everywhere and ip_address(address).is_loopback


def _resolved(host: str, port: int) -> list[tuple[int, str]]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return [(family, str(address[0]).partition("%")[0]) for family, _, _, _, address in found]


def _name_warnings(options: AgentOptions) -> list[str]:
    warnings, machine = [], None
    try:
        machine = identity.load(options.identity_folder).machine
    except (identity.NotEnrolled, identity.IdentityUnusable) as error:
        warnings.append(str(error))
    own = asyncio.run(own_name.found_name(options.deliver.helo_name, machine))
    return [*warnings, *filter(None, (own.warning,))]


def _side_by_side(looks: list[Callable[[], list[str]]]) -> list[str]:
    """What the looks say, in their order; one that takes too long says nothing.

    Daemon threads: the system's resolver may hang for minutes, and the program ends all the same.
    """
    said: dict[int, list[str]] = {}

    def run(number: int) -> None:
        said[number] = looks[number]()

    threads = [threading.Thread(target=run, args=(n,), daemon=True) for n in range(len(looks))]
    for thread in threads:
        thread.start()
    until = monotonic() + 2 * WAIT
    for thread in threads:
        thread.join(max(0.0, until - monotonic()))
    late = ["the system's resolver does not answer"] if len(said) < len(looks) else []
    return [text for number in sorted(said) for text in said[number]] + late
