"""The connections of this process, found by its descriptors; gRPC, which owns them, lists none.

In: descriptors. Out: which of them are connections, and to whom.
Promise: what is looked at or shut down is what was meant, though gRPC may close it at any moment
and the kernel give its number to another: it is held by a duplicate meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from tdc.manager.identity.rates import Endpoint, plain

_FAMILIES = (socket.AF_INET, socket.AF_INET6)


@dataclass(frozen=True, slots=True)
class Connection:
    """A descriptor that is connected: our port, and who is at the other end."""

    descriptor: int
    port: int
    peer: Endpoint


def descriptors() -> list[int]:
    """Every descriptor of this process; none if none is left to look with, or outside Linux."""
    try:
        return [int(name) for name in os.listdir("/proc/self/fd")]  # noqa: PTH208  # thousands
    except OSError:
        return []


def connections(among: Iterable[int], ports: Collection[int]) -> Iterator[Connection]:
    """Those that are connections to our `ports`."""
    for descriptor in among:
        with _held(descriptor) as held:
            found = held and _described(descriptor, held)
        if found and found.port in ports:
            yield found


def shut_down(connection: Connection) -> bool:
    """End it; False if it has ended, or the descriptor is another's by now."""
    with _held(connection.descriptor) as held:
        if held is None or _described(connection.descriptor, held) != connection:
            return False
        try:
            held.shutdown(socket.SHUT_RDWR)
        except OSError:
            return False
        return True


@contextlib.contextmanager
def _held(descriptor: int) -> Iterator[socket.socket | None]:
    """A duplicate of a socket's descriptor; None if it is not a socket."""
    try:
        duplicate = os.dup(descriptor)
    except OSError:
        yield None
        return
    try:
        held = socket.socket(fileno=duplicate)
    except OSError:
        os.close(duplicate)
        yield None
        return
    with held:
        yield held


def _described(descriptor: int, held: socket.socket) -> Connection | None:
    if held.family not in _FAMILIES:
        return None
    try:
        own, other = held.getsockname(), held.getpeername()
    except OSError:
        return None  # not connected: it listens, or has ended
    return Connection(descriptor, own[1], (plain(ip_address(other[0].partition("%")[0])), other[1]))
