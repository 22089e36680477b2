"""What a process listens on, from /proc: TCP and UDP by address and port, Unix sockets by path.

A process, a thread or a descriptor that is listed may be gone when it is read.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

_LISTEN, _UNCONNECTED = "0A", "07"
_ACCEPTS = 0x10000  # __SO_ACCEPTCON, in the flags of /proc/net/unix


def with_children(pid: int) -> Iterator[int]:
    """The process and all that descend from it."""
    yield pid
    children: list[str] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                children += (task / "children").read_text().split()
    for child in children:
        yield from with_children(int(child))


def listeners(pid: int) -> set[str]:
    """``tcp 127.0.0.1:7443``, ``udp …`` and ``unix /path`` of this process alone."""
    inodes = set(sockets_of(pid))
    found = set()
    for name, state in (("tcp", _LISTEN), ("udp", _UNCONNECTED)):
        for family in ("", "6"):
            for fields in _rows(Path(f"/proc/{pid}/net/{name}{family}")):
                if fields[3] == state and fields[9] in inodes:
                    found.add(f"{name} {_address(fields[1])}")
    for fields in _rows(Path(f"/proc/{pid}/net/unix")):
        if int(fields[3], 16) & _ACCEPTS and fields[6] in inodes:
            found.add(f"unix {fields[7] if len(fields) > 7 else '(unnamed)'}")
    return found


def sockets_of(pid: int) -> Iterator[str]:
    """The inode of each socket that the process has open."""
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            match = re.fullmatch(r"socket:\[(\d+)\]", str(link.readlink()))
            if match:
                yield match[1]


def _rows(path: Path) -> Iterator[list[str]]:
    with contextlib.suppress(FileNotFoundError):  # no IPv6
        for line in path.read_text().splitlines()[1:]:
            yield line.split()


def _address(text: str) -> str:
    """Undo the kernel's hexadecimal, words of four bytes in the machine's order."""
    host, port = text.split(":")
    words = [bytes.fromhex(host[at : at + 8])[::-1] for at in range(0, len(host), 8)]
    raw = b"".join(words)
    address = IPv4Address(raw) if len(raw) == 4 else IPv6Address(raw)
    if isinstance(address, IPv6Address):
        shown = str(address.ipv4_mapped or f"[{address}]")  # gRPC listens on such a socket
    else:
        shown = str(address)
    return f"{shown}:{int(port, 16)}"
