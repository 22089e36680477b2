"""Listening sockets that outlive the process: those of systemd, and our own over a restart.

While no agent runs, connections to such a socket wait in its queue instead of being refused: an MTA
that is refused puts the message aside for minutes.

systemd's protocol is that of sd_listen_fds(3): LISTEN_PID says which process is meant, LISTEN_FDS
how many descriptors there are, from 3 on. Over a restart in place the variable KEPT names process
and descriptors. Its numbers may be any: nothing that still uses descriptor 3 must be disturbed.
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass

from tdc.shared.edge.os_words import os_reason

FIRST = 3
KEPT = "TDC_KEPT_SOCKETS"


class PassedSocketUnusable(Exception):
    """What was passed is no listening TCP socket; the text says what it is."""


@dataclass(frozen=True, slots=True)
class Passed:
    """The sockets; `by_system` says that the system opened them, whatever agent.toml names."""

    sockets: tuple[socket.socket, ...] = ()
    by_system: bool = False


NONE_PASSED = Passed()


def take(environment: MutableMapping[str, str]) -> Passed:
    """Take the sockets that were passed to this process; none if nothing was.

    The variables are removed: no child of ours is to take them for its own. Raises
    PassedSocketUnusable.
    """
    kept = environment.pop(KEPT, "").split(":")
    meant, count = environment.pop("LISTEN_PID", ""), environment.pop("LISTEN_FDS", "")
    environment.pop("LISTEN_FDNAMES", None)
    here = str(os.getpid())
    if len(kept) == 3 and kept[0] == here:
        return Passed(tuple(_listening(int(each)) for each in kept[2].split(",")), kept[1] == "1")
    if meant == here and count.isdecimal():
        return Passed(tuple(map(_listening, range(FIRST, FIRST + int(count)))), by_system=True)
    return NONE_PASSED


def keep(passed: Passed, environment: MutableMapping[str, str]) -> None:
    """Have the sockets outlive an exec of this process, for `take`."""
    for each in passed.sockets:
        each.set_inheritable(True)
    numbers = ",".join(str(each.fileno()) for each in passed.sockets)
    if numbers:
        environment[KEPT] = f"{os.getpid()}:{passed.by_system:d}:{numbers}"


def opened(
    host: str, port: int, backlog: int, existing: Sequence[socket.socket] = ()
) -> tuple[socket.socket, ...]:
    """Listen at an address now, for the next process; raises OSError. It may ask the resolver.

    An address that one of the `existing` sockets has already needs no other socket.
    """
    found = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
    )
    sockets: list[socket.socket] = []
    try:
        for family, _, _, _, address in dict.fromkeys(found):
            same = (one for one in existing if (one.family, one.getsockname()) == (family, address))
            own = next(same, None)
            sockets.append(_listen(family, address, backlog) if own is None else own.dup())
    except OSError:
        for each in sockets:
            each.close()
        raise
    return tuple(sockets)


def _listen(family: int, address: object, backlog: int) -> socket.socket:
    fresh = socket.socket(family, socket.SOCK_STREAM)
    try:
        fresh.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            fresh.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        fresh.bind(address)  # type: ignore[arg-type]
        fresh.listen(backlog)
        fresh.setblocking(False)
    except BaseException:
        fresh.close()
        raise
    return fresh


def addresses(sockets: Sequence[socket.socket]) -> str:
    """Where they listen, for people."""
    named = []
    for each in sockets:
        host, port = each.getsockname()[:2]
        named.append(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    return ", ".join(named)


def _listening(number: int) -> socket.socket:
    try:
        os.set_inheritable(number, False)
        passed = socket.socket(fileno=number)
    except OSError as error:
        raise PassedSocketUnusable(
            f"descriptor {number} was passed as a listening socket and is none: {os_reason(error)}"
        ) from None
    tcp = passed.family in (socket.AF_INET, socket.AF_INET6) and passed.type == socket.SOCK_STREAM
    if not tcp or not passed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise PassedSocketUnusable(
            f"descriptor {number} was passed and is no listening TCP socket: the socket unit needs "
            "ListenStream=ADDRESS:PORT, and Accept=no"
        )
    passed.setblocking(False)
    return passed
