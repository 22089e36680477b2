"""The gRPC servers: the main port asks for a client certificate, those of strangers can't.

At the enrolment port machines come with a join token; at the operator port, which is off unless it
is asked for, operators with a password, a session or an API token.

In: the server's certificate, then services. Out: ports, known before services are made, that serve
until `stop`. Promise: every service goes through the permission table; a request above its limit, a
client that pings too often and calls without end are cut off; what comes before it is asked for is
bounded by the window of a stream; connections are bounded at each port, for each identity, and for
an address where a port is crowded (`crowding`); those that nobody uses end.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc
from tdc.manager.identity.own import ServerIdentity
from tdc.manager.intent.refused import Refused, unheard
from tdc.manager.rpc.crowding import Crowding, bounds_for
from tdc.manager.rpc.entry import Admit, Trusts
from tdc.manager.rpc.guard import Guard
from tdc.manager.rpc.health import HealthService
from tdc.manager.rpc.operators import Nobody, People
from tdc.shared.edge import descriptors, grpc_tls
from tdc.shared.edge.os_words import os_reason

REQUEST_LIMIT = 4 * 1024**2
"""Most bytes of one message to the main port; answers may be longer (a plan of a whole fleet)."""

ENROL_REQUEST_LIMIT = 32 * 1024
"""Most bytes of one message to the enrolment port, which anyone may open."""

STREAMS = 32
"""Most calls at a time on one connection; an agent needs two, a console a few dozen."""

ENROL_STREAMS = 4
"""The same at the enrolment port, where one is enough."""

WINDOW = 64 * 1024
"""Most bytes that a call sends before its request is asked for."""

ENROL_WINDOW = 16 * 1024
"""The same at the enrolment port."""

IDLE = 300.0
"""Seconds without a call after which a connection to the main port is ended."""

OPERATOR_IDLE = 60.0
"""The same at the operator port, where anyone may open one too."""

ENROL_IDLE = 20.0
"""The same at the enrolment port, where anyone may open one."""

TLS_RECORD = 2_048
"""Octets of a TLS record that is sent: settings of a machine are about as many."""

ENROL_AGE = 120.0
"""Seconds after which any connection to the enrolment port takes no new call."""

ENROL_GRACE = 30.0
"""Seconds that the calls on it have from then on."""

Registration = Callable[[grpc.aio.Server], None]
"""Adds a service, as the generated ``add_…Servicer_to_server`` does."""


class PortTaken(Exception):
    """A port can't be opened: another program has it, or the address is not ours."""


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports in use."""

    main: int
    enrol: int
    operators: int | None = None
    """None where there is no operator port."""
    console: int | None = None
    """Of the web console, which `web` opens; None where there is none."""


class Servers:
    """The manager's gRPC servers: `bind`, then `start`, once; `stop` is bounded by its grace."""

    def __init__(self, identity: Callable[[], ServerIdentity]) -> None:
        """`identity` gives what new connections are to see; it is asked at each handshake."""
        self._identity = identity
        self._health = HealthService()
        self._guard: Guard | None = None
        self._admit: Admit | None = None
        self._people: People = Nobody()
        self._crowding = Crowding()
        self._most = most = bounds_for(descriptors.limit())
        self._main = grpc.aio.server(
            options=_options(REQUEST_LIMIT, STREAMS, WINDOW, most.main, IDLE)
        )
        operators = (REQUEST_LIMIT, STREAMS, ENROL_WINDOW, most.operators, OPERATOR_IDLE)
        self._operators = grpc.aio.server(options=_options(*operators))
        self._has_operators = False
        enrol = (ENROL_REQUEST_LIMIT, ENROL_STREAMS, ENROL_WINDOW, most.enrol, ENROL_IDLE)
        self._enrol = grpc.aio.server(
            options=[
                *_options(*enrol),
                ("grpc.max_connection_age_ms", int(ENROL_AGE * 1000)),
                ("grpc.max_connection_age_grace_ms", int(ENROL_GRACE * 1000)),
            ]
        )

    def bind(self, host: str, wanted: Ports, last: Ports | None = None) -> Ports:
        """Take the ports; a wanted port 0 is the `last` one if it is free, else any.

        Callers connect from now on and wait until `start`. Raises PortTaken.
        """
        last = last or Ports(0, 0)
        ports = Ports(
            main=_listen(self._main, host, (wanted.main, last.main), self._mutual),
            enrol=_listen(self._enrol, host, (wanted.enrol, last.enrol), self._joining),
        )
        bounds = {ports.main: self._most.main, ports.enrol: self._most.enrol}
        if wanted.operators is not None:
            both = (wanted.operators, last.operators or 0)
            operators = _listen(self._operators, host, both, self._one_way)
            ports = replace(ports, operators=operators)
            bounds[operators] = self._most.operators
            self._has_operators = True
        self._crowding.bound(bounds)
        return ports

    async def start(
        self,
        main: Sequence[Registration],
        enrol: Sequence[Registration],
        admit: Admit,
        operators: Sequence[Registration] = (),
        people: People | None = None,
        refused: Refused = unheard,
        trusts: Trusts = lambda peer: True,
    ) -> None:
        """Serve these services on the ports; `refused` hears of refused attempts.

        `trusts` says whether the CA that a certificate is by is trusted still.

        Raises PermissionTableError.
        """
        self._admit = admit
        self._people = people or Nobody()
        guard = self._guard = Guard(
            admit, connections=self._crowding, people=self._people, refused=refused, trusts=trusts
        )
        for add in (*main, self._add_health, self._add_reflection):
            add(guard.on(self._main))
        for add in (*enrol, self._add_health):
            add(guard.on(self._enrol))
        for add in (*operators, self._add_health, self._add_reflection):
            add(guard.on(self._operators, by_secret=True))
        guard.check()
        await self._main.start()
        await self._enrol.start()
        if self._has_operators:
            await self._operators.start()

    def _mutual(self) -> grpc_tls.ServerMaterial:
        own = self._identity()
        return grpc_tls.ServerMaterial(own.certificate, own.key, own.ca)

    def _joining(self) -> grpc_tls.ServerMaterial:
        own = self._identity()
        return grpc_tls.ServerMaterial(own.certificate, own.key)

    def _one_way(self) -> grpc_tls.ServerMaterial:
        own = self._identity()
        return grpc_tls.ServerMaterial(own.open_certificate or own.certificate, own.key)

    def check_again(self, machines: frozenset[tuple[str, str]]) -> None:
        """End the connections of those of these machines, by cluster and name, that are denied."""
        if self._admit is not None:
            self._crowding.check_again(machines, self._admit)

    def check_operators(self) -> None:
        """End the connections of operators whose certificate is not good any more."""
        self._crowding.check_operators(self._people.check)

    async def keep_room(self) -> None:
        """Keep room at the ports for everybody, until cancelled."""
        await self._crowding.run()

    async def stop(self, grace: float) -> None:
        """Say NOT_SERVING, take no new calls, and cut the open ones after `grace` seconds."""
        await self._health.enter_graceful_shutdown()
        servers = (self._enrol, self._operators, self._main)
        await asyncio.gather(*(each.stop(grace) for each in servers))
        if self._guard is not None:
            self._guard.stop()

    def _add_health(self, server: grpc.aio.Server) -> None:
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)

    def _add_reflection(self, server: grpc.aio.Server) -> None:
        servicer = reflection.aio.ReflectionServicer(_SERVICES)
        reflection_pb2_grpc.add_ServerReflectionServicer_to_server(servicer, server)


_SERVICES = (
    "tdc.v1.Fleet",
    "tdc.v1.SettingsReader",
    "tdc.v1.Changes",
    "tdc.v1.Drafts",
    "tdc.v1.Monitoring",
    "tdc.v1.Queue",
    "tdc.v1.Recovery",
    "tdc.v1.Login",
    "tdc.v1.ProviderLogin",
    "tdc.v1.People",
    "tdc.v1.Audit",
    "tdc.v1.Managers",
    "tdc.v1.Agents",
    "grpc.health.v1.Health",
    reflection.SERVICE_NAME,
)


def _options(
    request_limit: int, streams: int, window: int, connections: int, idle: float
) -> list[tuple[str, Any]]:
    own = {
        "grpc.max_allowed_incoming_connections": connections,
        "grpc.max_connection_idle_ms": int(idle * 1000),
        "grpc.max_receive_message_length": request_limit,
        "grpc.max_concurrent_streams": streams,
        "grpc.http2.lookahead_bytes": window,
        # What gRPC keeps for each connection to encrypt in; it would be 16 KiB.
        "grpc.tsi.max_frame_size": TLS_RECORD,
        # Else gRPC widens the window of who sends fast, which is no help to short requests.
        "grpc.http2.bdp_probe": 0,
    }
    return list({**dict(grpc_tls.server_options()), **own}.items())


def _listen(
    server: grpc.aio.Server,
    host: str,
    ports: tuple[int, int],
    material: Callable[[], grpc_tls.ServerMaterial],
) -> int:
    """Listen on the first of `ports`; if that is 0, on the second if it is free, else on any."""
    wanted, last = ports
    if wanted == 0 and last:
        with contextlib.suppress(PortTaken):
            return _listen(server, host, (last, 0), material)
    address = f"[{host}]:{wanted}" if ":" in host else f"{host}:{wanted}"
    try:  # each with credentials of its own: gRPC takes what they begin with once only
        return server.add_secure_port(address, grpc_tls.server_credentials(material))
    except RuntimeError:  # its text names no cause, only how to make gRPC log one
        raise PortTaken(
            f"can't listen on {address}: {_why_not(host, wanted)}; free it, or change "
            "listen_host, listen_port, enrol_port or operator_port"
        ) from None


def _why_not(host: str, port: int) -> str:
    """Try in the plain way what gRPC could not do: the system names the cause."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family) as tried:
            tried.bind(address)
    except OSError as error:
        return os_reason(error)
    return "another program has that port, or the address is not this machine's"
