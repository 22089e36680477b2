"""gRPC channels to the endpoints of one etcd: TLS, keepalive, and which one is used now.

Promise: a call is given a channel that is connected, so that "could not connect" and "sent, and
the answer was lost" are never mixed up. One endpoint is used at a time; when it fails, the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import grpc
from grpc import ChannelConnectivity
from tdc.manager.etcd.errors import EtcdOptionsError, EtcdUnavailable
from tdc.shared.edge.grpc_tls import NO_RETRIES
from tdc.shared.edge.os_words import os_reason

CONNECT_TIMEOUT = 3.0
"""Seconds that connecting to one endpoint may take before the next one is tried."""

_CHANNEL_OPTIONS: tuple[tuple[str, int | str], ...] = (
    # etcd closes connections that ping more often than every 5 s, or ping without a call.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 0),
    ("grpc.http2.max_pings_without_data", 0),
    # A recovered member is found again within a second, not after gRPC's two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 3_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.use_local_subchannel_pool", 1),
    # A revision that touches all machines of a cluster is bounded by etcd's request limit on the
    # way in, a range read of all clusters is not.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_http_proxy", 0),
    NO_RETRIES,
)


@dataclass(frozen=True, slots=True)
class EtcdOptions:
    """How to reach etcd.

    `endpoints` are ``host:port``, ``https://host:port``, ``http://host:port`` or ``unix:PATH``.
    `ca_file` turns TLS on; `cert_file` and `key_file` are a client certificate (PEM).
    `user` and `password` log in where etcd has authentication enabled; a password that is a call is
    asked for at each login. The TLS files are read again when they change. `timeout` is the
    deadline of each call in seconds. `quota` is the server's ``--quota-backend-bytes`` where known.
    `prefix` is where the caller's keys are: the error of a missing permission names it.
    """

    endpoints: tuple[str, ...]
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    user: str | None = None
    password: str | Callable[[], str] | None = None
    timeout: float = 5.0
    quota: int | None = None
    prefix: str = ""


class Channels:
    """The channels of one client, one for each endpoint, made when first needed."""

    def __init__(self, options: EtcdOptions) -> None:
        """Check the options; raises EtcdOptionsError."""
        if not options.endpoints:
            raise EtcdOptionsError("no etcd endpoint is given; give at least one host:port")
        if (options.cert_file is None) != (options.key_file is None):
            raise EtcdOptionsError("a client certificate needs both its cert file and its key file")
        if options.cert_file is not None and options.ca_file is None:
            raise EtcdOptionsError("a client certificate is given without the CA file of etcd")
        self._targets = tuple(_target(endpoint, options) for endpoint in options.endpoints)
        _read_tls_files(options, EtcdOptionsError)
        self._options = options
        self._opened: dict[str, _Opened] = {}
        self._retired: dict[str, grpc.aio.Channel] = {}
        self._current = 0

    @property
    def current(self) -> str:
        """The endpoint in use."""
        return self._targets[self._current]

    def prefer_next(self, failed: str) -> None:
        """Use the next endpoint from now on, unless that has happened since `failed` was used."""
        if self.current == failed:
            self._current = (self._current + 1) % len(self._targets)

    async def connected(self) -> tuple[str, grpc.aio.Channel]:
        """An endpoint that accepts connections; raises EtcdUnavailable if none does."""
        reasons: list[str] = []
        for _ in self._targets:
            target = self.current
            channel = await self._ready(target)
            if channel is not None:
                return target, channel
            reasons.append(target)
            self.prefer_next(target)
        raise EtcdUnavailable(
            f"no connection to etcd at {', '.join(map(shown, reasons))}; check that it runs, that "
            "the address is right, and that both sides trust each other's certificates"
        )

    async def _ready(self, target: str) -> grpc.aio.Channel | None:
        """The channel to `target`, connected; None if that fails.

        One that was opened with other TLS files than there are now gives way to a new one, but not
        before that is connected: files that are being replaced may not fit each other yet, or not
        be there for a moment. Raises EtcdUnavailable without a channel and without the files.
        """
        files, old = _state_of(self._options), self._opened.get(target)
        if old is not None and files == old.files:
            return old.channel if await _is_ready(old.channel) else None
        try:
            new = _Opened(_open(target, self._options), files)
        except EtcdUnavailable:
            if old is not None and await _is_ready(old.channel):
                return old.channel
            raise
        if old is None:
            self._opened[target] = new
            return new.channel if await _is_ready(new.channel) else None
        if await _is_ready(new.channel):
            await self._retire(target, old.channel)
            self._opened[target] = new
            return new.channel
        await new.channel.close()
        return old.channel if await _is_ready(old.channel) else None

    async def _retire(self, target: str, channel: grpc.aio.Channel) -> None:
        """Let calls in progress go on; those of a channel retired before are cancelled."""
        before = self._retired.get(target)
        self._retired[target] = channel
        if before is not None:
            await before.close()

    async def close(self) -> None:
        """Close every channel; calls in progress are cancelled."""
        opened = [each.channel for each in self._opened.values()]
        channels = (*opened, *self._retired.values())
        self._opened, self._retired = {}, {}
        for channel in channels:
            await channel.close()


FileState = tuple[tuple[int, int], ...]
"""Inode and time of change of each TLS file; both 0 for one that is not there."""


@dataclass(frozen=True, slots=True)
class _Opened:
    channel: grpc.aio.Channel
    files: FileState


def _state_of(options: EtcdOptions) -> FileState:
    return tuple(
        _state(path)
        for path in (options.ca_file, options.cert_file, options.key_file)
        if path is not None
    )


def _state(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_ino, found.st_mtime_ns


def host_of(endpoint: str) -> str:
    """The host of an endpoint; empty for a socket."""
    if endpoint.startswith("unix:"):
        return ""
    return urlsplit(endpoint if "://" in endpoint else f"//{endpoint}").hostname or ""


def _target(endpoint: str, options: EtcdOptions) -> str:
    if endpoint.startswith("unix:"):
        return endpoint
    url = urlsplit(endpoint if "://" in endpoint else f"//{endpoint}")
    if url.scheme == "https" and options.ca_file is None:
        raise EtcdOptionsError(f"{endpoint} needs the CA file to check etcd's certificate against")
    if url.scheme == "http" and options.ca_file is not None:
        raise EtcdOptionsError(f"{endpoint} is without TLS, but a CA file is given; use https")
    try:
        port = url.port
    except ValueError:
        port = None
    if url.scheme not in {"", "http", "https"} or not url.hostname or port is None:
        raise EtcdOptionsError(f"{endpoint!r} is not an etcd endpoint of the form host:port")
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    return f"dns:///{host}:{port}"


def shown(target: str) -> str:
    """A target as people write it: without gRPC's scheme; of a socket, the folder that it is in."""
    if target.startswith("unix:"):
        return target.removeprefix("unix:").rpartition("/")[0]
    return target.removeprefix("dns:///")


def _open(target: str, options: EtcdOptions) -> grpc.aio.Channel:
    # A socket's path is not a valid HTTP/2 authority.
    authority = (("grpc.default_authority", "localhost"),) if target.startswith("unix:") else ()
    arguments: Sequence[tuple[str, int | str]] = (*_CHANNEL_OPTIONS, *authority)
    if options.ca_file is None or target.startswith("unix:"):
        return grpc.aio.insecure_channel(target, options=arguments)
    # They were there at the start, so they may only be away while they are being replaced.
    ca, certificate, key = _read_tls_files(options, EtcdUnavailable)
    credentials = grpc.ssl_channel_credentials(
        root_certificates=ca, private_key=key, certificate_chain=certificate
    )
    return grpc.aio.secure_channel(target, credentials, options=arguments)


def _read_tls_files(
    options: EtcdOptions, unreadable: type[EtcdOptionsError | EtcdUnavailable]
) -> list[bytes | None]:
    """CA, certificate and key, None for each that is not used; raises `unreadable`."""
    try:
        return [
            path.read_bytes() if path else None
            for path in (options.ca_file, options.cert_file, options.key_file)
        ]
    except OSError as error:
        raise unreadable(
            f"can't read the TLS files for etcd: {error.filename}: {os_reason(error)}"
        ) from error


async def _is_ready(channel: grpc.aio.Channel) -> bool:
    """Connect if needed; False if that fails or takes longer than CONNECT_TIMEOUT."""
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            state = channel.get_state(try_to_connect=True)
            while state is not ChannelConnectivity.READY:
                if state in {ChannelConnectivity.TRANSIENT_FAILURE, ChannelConnectivity.SHUTDOWN}:
                    return False
                await channel.wait_for_state_change(state)
                state = channel.get_state(try_to_connect=True)
    except TimeoutError:
        return False
    return True
