"""Whether the agent could start with an agent.toml, as far as that shows without starting it.

In: options whose form is right. Out: *faults*, with which it would not start or would copy nothing,
and *warnings*, with which it starts and something is amiss; what may be so for a while (a next hop
that is down, an enrolment to come) is a warning.
Promise: it only reads. It makes no file, takes no lock and touches no spool, so it may run beside
an agent; each wait has a bound.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from tdc.node_agent import own_name
from tdc.node_agent.deliver.tls import NoTrust, intake_context
from tdc.node_agent.options import AgentOptions, host_port
from tdc.node_agent.spool.folder import is_foreign
from tdc.node_agent.sync import identity
from tdc.shared.edge.clock import monotonic

WAIT = 2.0
"""Seconds for a connection, and for the resolver."""


@dataclass(frozen=True, slots=True)
class Findings:
    """Sentences for the operator."""

    faults: tuple[str, ...]
    warnings: tuple[str, ...]


def findings(options: AgentOptions) -> Findings:
    """Look at all that a start would need."""
    looks = [_hop_look(address, options) for address in options.ingest.next_hops]
    hops = _side_by_side([*looks, lambda: _name_warnings(options)])
    faults = [*_folder_faults(options), *_listen_faults(options), *_trust_faults(options)]
    loops = [text for text in hops if text.startswith(_LOOP)]
    warnings = [text for text in hops if text not in loops]
    return Findings((*faults, *loops), tuple(warnings))


# -- folders and files ---------------------------------------------------------------------------


def _folder_faults(options: AgentOptions) -> Iterator[str]:
    places = {
        "state_folder": options.state_folder,
        "identity.folder": options.identity_folder,
        "spool.folder": options.spool_folder,
    }
    for key, path in places.items():
        if (fault := _reading(_folder_fault, path)) is not None:
            yield f"{key}: {path} {fault}"
    spool = options.spool_folder
    if _reading(_foreign, spool) == "":
        yield f"spool.folder: {spool} holds files of others and no spool; use a folder of its own"
    log = options.log.file
    if log is not None and (fault := _reading(_log_fault, log)) is not None:
        yield f"log.file: {log} {fault}"


def _reading(look: Callable[[Path], str | None], path: Path) -> str | None:
    try:
        return look(path)
    except OSError as error:
        return f"can't be read: {error.strerror}"


def _folder_fault(path: Path) -> str | None:
    """Why it can't be used as a folder, nor made."""
    if path.is_dir():
        return None if _writable(path) else "is not writable for this user"
    if path.exists() or path.is_symlink():
        return "is not a folder"
    above = next(each for each in path.absolute().parents if each.exists())
    if not above.is_dir():
        return f"can't be made: {above} is not a folder"
    return None if _writable(above) else f"can't be made: {above} is not writable for this user"


def _foreign(path: Path) -> str | None:
    return "" if path.is_dir() and is_foreign(path) else None


def _log_fault(path: Path) -> str | None:
    if path.is_dir():
        return "is a folder"
    if path.exists():
        return None if os.access(path, os.W_OK) else "is not writable for this user"
    if not path.parent.is_dir():
        return "can't be made: its folder does not exist"
    return None if _writable(path.parent) else "can't be made: its folder is not writable"


def _writable(folder: Path) -> bool:
    return os.access(folder, os.W_OK | os.X_OK)


def _trust_faults(options: AgentOptions) -> Iterator[str]:
    try:
        intake_context("1.2", options.deliver.ca_file, chain=True)
    except NoTrust as error:
        yield f"deliver.ca_file: {error}"


# -- addresses and names -------------------------------------------------------------------------

_LOOP = "ingest.next_hop: "


def _listen_faults(options: AgentOptions) -> Iterator[str]:
    """Whether the address is one of this machine; its port may be the running agent's."""
    listen = options.ingest.listen
    host, port = host_port(listen, zero=True)
    try:
        for family, address in _resolved(host, port):
            with socket.socket(family) as tried:
                tried.bind((address, 0))
    except OSError as error:
        yield f"ingest.listen: can't listen on {listen}: {error.strerror or error}"


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
    warnings = []
    try:
        machine = identity.load(options.identity_folder).machine
    except (identity.NotEnrolled, identity.IdentityUnusable) as error:
        warnings.append(str(error))
        machine = socket.gethostname()
    host = "" if options.deliver.helo_name else asyncio.run(own_name.host_name())
    own = own_name.own_name(options.deliver.helo_name, machine, host)
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
