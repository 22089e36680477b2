"""The console made and run: its table checked, its application, its listener, its certificate.

In: a bound socket, a desk, TLS. Out: a console that serves while the body runs.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import AsyncIterator

from tdc.manager.options import Options
from tdc.manager.web.app import application
from tdc.manager.web.console import Console
from tdc.manager.web.desk import Desk
from tdc.manager.web.routes import check_routes
from tdc.manager.web.table import TABLE
from tdc.manager.web.tls import ConsoleTls
from tdc.shared.edge.tasks import running


@contextlib.asynccontextmanager
async def console_at(listener: socket.socket, desk: Desk, tls: ConsoleTls) -> AsyncIterator[None]:
    """Serve the console while the body runs; raises PermissionTableError."""
    check_routes(TABLE)
    app, streams = application(desk, TABLE)
    console = Console(app, streams, tls.context)
    async with (
        running(tls.run(), name="the console's certificate"),
        running(console.run(listener), name="console"),
    ):
        try:
            yield
        finally:
            await console.stop()


def console_names(options: Options) -> tuple[str, ...]:
    """The names that the manager's own certificate needs for the console."""
    if options.console_port is None:
        return ()
    host = options.console_host
    if host in ("0.0.0.0", "::"):  # noqa: S104  # any address: one comes by the manager's names
        return ()
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    return (host, "localhost") if loopback else (host,)


def console_address(options: Options, port: int) -> str:
    """The console's address, as a browser takes it."""
    host = options.console_host
    if host in ("0.0.0.0", "::"):  # noqa: S104  # as above
        host = options.advertised_host
    return f"https://[{host}]:{port}/" if ":" in host else f"https://{host}:{port}/"
