"""gRPC over mutual TLS: the only place that makes channels and server credentials.

In: PEM bytes and addresses. Out: channels, credentials, the CA that a fingerprint names.
Promise: no plaintext; TLS 1.2 or newer; a server is trusted only by our CA and only under the name
in every manager's certificate, whatever its address; a join token is never sent to a server whose
CA was not compared with the token's fingerprint first.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio
from tdc.shared.edge.os_words import os_reason

SERVER_NAME = "tdc-manager"
"""The name in every manager's certificate that our clients ask for."""

KEEPALIVE = 20.0
"""Seconds of silence after which either end sends an HTTP/2 ping."""

RETRY_AFTER = "tdc-retry-after"
"""Trailing metadata: seconds over which callers should spread their reconnecting."""


NOTHING_CHANGED = "tdc-nothing-changed"
"""Trailing metadata of UNAVAILABLE: the call was certainly not executed; without it, unknown."""

MAX_ANSWER = 64 * 1024 * 1024
"""Most bytes of an answer of a manager: a plan lists every change on every machine."""

HANDSHAKE = 10.0
"""Seconds that a peer has for TLS and HTTP/2 settings, from the moment that it connects."""

NO_RETRIES = ("grpc.enable_retries", 0)
"""Option of every channel: a call that a server sends away (GOAWAY) fails, and the caller tries it
again after a wait of its own. gRPC would try it again by itself, without a wait or an end, on the
connection that is going away: it never gets to note that, takes a processor and 200 MB a second."""

_KEEPALIVE_TIMEOUT = 10.0
_MAX_MESSAGE_TO_MANAGER = 16 * 1024 * 1024


class ManagerUnreachable(Exception):
    """No TLS connection to the address; the text says why."""


class ManagerClosed(ManagerUnreachable):
    """It closed the connection before anything was said: it has no room for another one now."""


class WrongAuthority(Exception):
    """The server's CA does not have the fingerprint: wrong server, or an impostor."""


def client_channel(
    address: str, ca_pem: bytes, certificate_pem: bytes | None = None, key_pem: bytes | None = None
) -> grpc.aio.Channel:
    """Return a channel to a manager; without certificate and key only enrolment lets it in."""
    credentials = _client_credentials(ca_pem, certificate_pem, key_pem)
    return grpc.aio.secure_channel(address, credentials, options=_client_options())


def waiting_channel(
    address: str, ca_pem: bytes, certificate_pem: bytes | None = None, key_pem: bytes | None = None
) -> grpc.Channel:
    """Return the same for who has one thing to ask and waits for it, without an event loop."""
    credentials = _client_credentials(ca_pem, certificate_pem, key_pem)
    return grpc.secure_channel(address, credentials, options=_client_options())


def _client_credentials(
    ca_pem: bytes, certificate_pem: bytes | None, key_pem: bytes | None
) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(
        root_certificates=ca_pem, private_key=key_pem, certificate_chain=certificate_pem
    )


@dataclass(frozen=True, slots=True)
class ServerMaterial:
    """What a server shows and asks for, PEM; with `client_ca` every client needs a certificate."""

    certificate_chain: bytes
    key: bytes = field(repr=False)
    client_ca: bytes | None = None


def server_credentials(current: Callable[[], ServerMaterial]) -> grpc.ServerCredentials:
    """Return a server's credentials: `current` says at each handshake what is shown then.

    Connections that are open are not touched by a change. Whether clients need a certificate is
    what it says at first. It is called in a thread of gRPC's: it must not block, or raise.
    """
    shown = current()
    needed = shown.client_ca is not None

    def changed() -> grpc.ServerCertificateConfiguration | None:
        nonlocal shown
        now = current()
        if now == shown:
            return None
        shown = now
        return _configuration(now)

    return grpc.dynamic_ssl_server_credentials(
        _configuration(shown),
        changed,  # type: ignore[arg-type]  # None says that nothing changed, as its docs do
        require_client_authentication=needed,
    )


def _configuration(material: ServerMaterial) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(material.key, material.certificate_chain)], root_certificates=material.client_ca
    )


def server_options() -> Sequence[tuple[str, Any]]:
    """Return the options that every server of ours is made with."""
    return [
        ("grpc.server_handshake_timeout_ms", int(HANDSHAKE * 1000)),
        ("grpc.keepalive_time_ms", int(KEEPALIVE * 1000)),
        ("grpc.keepalive_timeout_ms", int(_KEEPALIVE_TIMEOUT * 1000)),
        # Clients ping every KEEPALIVE seconds while a call is open; more often is a flood.
        ("grpc.http2.min_ping_interval_without_data_ms", int(KEEPALIVE * 500)),
        ("grpc.max_receive_message_length", _MAX_MESSAGE_TO_MANAGER),
        ("grpc.max_send_message_length", MAX_ANSWER),
        # Two managers on one port would split the fleet between them unnoticed.
        ("grpc.so_reuseport", 0),
    ]


def _client_options() -> Sequence[tuple[str, Any]]:
    return [
        ("grpc.ssl_target_name_override", SERVER_NAME),
        # Who waits for a manager that is restarted sees soon that it is back.
        ("grpc.max_reconnect_backoff_ms", 2_000),
        ("grpc.keepalive_time_ms", int(KEEPALIVE * 1000)),
        ("grpc.keepalive_timeout_ms", int(_KEEPALIVE_TIMEOUT * 1000)),
        ("grpc.max_receive_message_length", MAX_ANSWER),
        ("grpc.max_send_message_length", _MAX_MESSAGE_TO_MANAGER),
        # Backoff is ours, with jitter; a new channel must not wait for an old one's.
        ("grpc.use_local_subchannel_pool", 1),
        # Managers are reached directly: a proxy that is set for the web must not be in between.
        ("grpc.enable_http_proxy", 0),
        NO_RETRIES,
    ]


async def fetch_authority(address: str, fingerprint: str, *, timeout: float) -> bytes:
    """Return, PEM, the CA certificate with this SHA-256 that the server at `address` presents.

    Nothing is sent but the TLS handshake. Anyone may present this certificate, so it proves
    nothing yet about the server; a connection made with it as the only CA does.
    `timeout` is seconds. Raises ManagerUnreachable, WrongAuthority.
    """
    for der in await _presented_chain(address, timeout):
        if hmac.compare_digest(hashlib.sha256(der).hexdigest(), fingerprint.lower()):
            return ssl.DER_cert_to_PEM_cert(der).encode()
    raise WrongAuthority(
        f"the server at {address} does not present the CA that the join token names; nothing was "
        "sent to it. Check the address, and that this manager issued the token; if its CA was "
        "replaced since, make a new token (`tdc machine token`)"
    )


async def _presented_chain(address: str, timeout: float) -> list[bytes]:
    host, _, port = address.rpartition(":")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False  # nothing is trusted here: we only look at the chain
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    try:
        async with asyncio.timeout(timeout):
            _, writer = await asyncio.open_connection(
                host.strip("[]"), int(port), ssl=context, server_hostname=SERVER_NAME
            )
    except TimeoutError:
        raise ManagerUnreachable(
            f"{address} did not answer within {timeout:g} s; check for a firewall in between"
        ) from None
    except (OSError, ValueError) as error:
        why = os_reason(error) if isinstance(error, OSError) else str(error)
        if isinstance(error, _CLOSED):
            raise ManagerClosed(
                f"{address} closed the connection at once ({why}): it may have too many of them; "
                "try again in a minute, and check the address"
            ) from error
        raise ManagerUnreachable(
            f"no TLS connection to {address}: {why}; check the address, and that the manager runs"
        ) from error
    try:
        return _unverified_chain(writer.get_extra_info("ssl_object"))
    finally:
        writer.transport.abort()


def _unverified_chain(connection: Any) -> list[bytes]:
    """Return the certificates that the server sent, DER."""
    if hasattr(connection, "get_unverified_chain"):  # public since Python 3.13
        return list(connection.get_unverified_chain())
    chain = connection._sslobj.get_unverified_chain()  # before, the same method one level down
    return [certificate.public_bytes(_DER) for certificate in chain]


_CLOSED = (ConnectionResetError, ConnectionAbortedError, BrokenPipeError, ssl.SSLEOFError)
_DER = 2  # _ssl.ENCODING_DER
