"""How far the clock of a machine with etcd is from ours, by the Date of an HTTP answer.

etcd's gRPC says no time; its HTTP side, on the same port, says it in every answer (RFC 9110 6.6.1),
in whole seconds.
"""

from __future__ import annotations

import asyncio
import ssl
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from tdc.manager.etcd.channel import EtcdOptions
from tdc.shared.edge.clock import Clock, wall

_MOST = 16_384
_TIMEOUT = 3.0


async def ahead(endpoint: str, options: EtcdOptions, clock: Clock = wall) -> float | None:
    """By how many seconds its clock is ahead of ours; None if that can't be found out."""
    url = urlsplit(endpoint if "://" in endpoint else f"//{endpoint}")
    try:
        async with asyncio.timeout(_TIMEOUT):
            before = clock()
            answer = await _asked(url.hostname or "", url.port or 0, _context(options))
            after = clock()
        theirs = _date(answer)
    except (OSError, TimeoutError, ValueError, TypeError):
        return None
    # It was cut to a whole second, at some moment between ours.
    late, early = theirs - before + 1.0, theirs - after
    return 0.0 if early <= 0.0 <= late else min(early, late, key=abs)


async def _asked(host: str, port: int, context: ssl.SSLContext | None) -> bytes:
    reader, writer = await asyncio.open_connection(host, port, ssl=context)
    try:
        writer.write(f"GET /version HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise ValueError(f"no HTTP answer: {error}") from error
    finally:
        writer.transport.abort()


def _date(answer: bytes) -> float:
    for line in answer[:_MOST].decode("latin-1").split("\r\n")[1:]:
        name, _, value = line.partition(":")
        if name.lower() == "date":
            return parsedate_to_datetime(value.strip()).timestamp()
    raise ValueError("the answer has no Date")


def _context(options: EtcdOptions) -> ssl.SSLContext | None:
    if options.ca_file is None:
        return None
    context = ssl.create_default_context(cafile=str(options.ca_file))
    context.check_hostname = True
    if options.cert_file is not None:
        context.load_cert_chain(str(options.cert_file), str(options.key_file))
    return context
