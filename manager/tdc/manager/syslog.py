"""Copies of audit entries to syslog: RFC 5424, over a Unix socket, UDP or TCP.

In: entries. Out: messages, one for each, whose text is the entry as `tdc audit export` prints it.
Promise: handing an entry over never waits, whatever the other end does; what it does not take is
dropped and counted, and that is said in the manager's log, and to syslog once it takes messages.
A copy is no proof: the log itself is in the store.
"""

from __future__ import annotations

import logging
import os
import queue
import socket
import threading
from datetime import UTC, datetime

from tdc.shared.edge.clock import monotonic, wall
from tdc.shared.edge.os_words import os_reason
from tdc.shared.sync.audit import content_text
from tdc.shared.sync.audit_entry import REFUSED, AuditEntry

log = logging.getLogger(__name__)

MOST_WAITING = 1_000
"""Entries that wait for syslog; more are dropped."""
PATIENCE = 5.0
"""Seconds that the other end may take to accept a connection or a message."""
_AGAIN = 2.0
_SAY_EVERY = 60.0

_NOTICE, _WARNING = 5, 4
_AUTHPRIV = 10


def message(entry: AuditEntry, host: str, pid: int) -> bytes:
    """PURE. An entry as a message of RFC 5424, in ASCII."""
    severity = _WARNING if entry.event.outcome == REFUSED else _NOTICE
    return _framed(severity, entry.time, host, pid, entry.event.operation, _text(entry))


def _text(entry: AuditEntry) -> str:
    return content_text(entry.plain())


def _framed(severity: int, time_: float, host: str, pid: int, kind: str, text: str) -> bytes:
    moment = datetime.fromtimestamp(time_, UTC).isoformat(timespec="milliseconds")
    moment = moment.replace("+00:00", "Z")
    word = "".join(each for each in kind if each.isascii() and each.isprintable() and each != " ")
    head = f"<{_AUTHPRIV * 8 + severity}>1 {moment} {host} tdc-manager {pid} {word[:32] or '-'} -"
    return f"{head} {text}".encode("ascii", "backslashreplace")


class Syslog:
    """Sends entries to one place, from a thread of its own."""

    def __init__(self, target: str, most: int = MOST_WAITING) -> None:
        """`target` is unix:/PATH, udp:HOST:PORT or tcp:HOST:PORT."""
        self._target = target
        self._waiting: queue.Queue[bytes] = queue.Queue(most)
        self._host, self._pid = socket.gethostname() or "-", os.getpid()
        self._socket: socket.socket | None = None
        self._dropped = 0
        self._counting = threading.Lock()
        self._said_at = float("-inf")
        self._thread = threading.Thread(target=self._run, name="audit syslog", daemon=True)
        self._pause = threading.Event()

    @property
    def dropped(self) -> int:
        """Entries that syslog did not get; it gets their number with the next one."""
        return self._dropped

    def start(self) -> None:
        """Begin to send; the thread ends with the process, for the other end may hold it."""
        self._thread.start()

    def take(self, entry: AuditEntry) -> None:
        """Hand an entry over; never waits."""
        try:
            self._waiting.put_nowait(message(entry, self._host, self._pid))
        except queue.Full:
            with self._counting:
                self._dropped += 1
            self._say("it takes nothing")

    def _run(self) -> None:
        while True:
            self._send(self._waiting.get())
            if self._dropped and self._waiting.empty():
                with self._counting:
                    lost, self._dropped = self._dropped, 0
                text = f"{lost} audit entries were not sent here; `tdc audit export` has them"
                self._send(_framed(_WARNING, wall(), self._host, self._pid, "lost", text))

    def _send(self, sent: bytes) -> None:
        """Send one message, however long it takes to get through."""
        while True:
            try:
                connection = self._connected()
                if connection.type == socket.SOCK_STREAM:
                    sent_now = str(len(sent)).encode() + b" " + sent  # RFC 6587
                    connection.sendall(sent_now)
                else:
                    connection.send(sent)
                return
            except OSError as error:
                self._say(os_reason(error))
                self._close()
                self._pause.wait(_AGAIN)

    def _connected(self) -> socket.socket:
        if self._socket is None:
            self._socket = _connect(self._target)
        return self._socket

    def _close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def _say(self, why: str) -> None:
        if monotonic() - self._said_at < _SAY_EVERY:
            return
        self._said_at = monotonic()
        log.warning(
            "audit entries can't be sent to %s: %s; %d were dropped. The audit log itself is "
            "complete, and changes go on",
            self._target, why, self._dropped,
        )  # fmt: skip


def _connect(target: str) -> socket.socket:
    scheme, _, rest = target.partition(":")
    if scheme == "tcp":
        host, _, port = rest.rpartition(":")
        return socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE)
    if scheme == "unix":
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        place: str | tuple[str, int] = rest
    else:
        host, _, port = rest.rpartition(":")
        family = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_DGRAM)[0]
        made, place = socket.socket(family[0], socket.SOCK_DGRAM), family[4][:2]  # type: ignore[assignment]
    made.settimeout(PATIENCE)
    try:
        made.connect(place)
    except OSError:
        made.close()
        raise
    return made
