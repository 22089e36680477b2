"""The manager: wiring, in start order, and the order of its stop. No decision is made here.

Start: embedded etcd (if it is ours), client, store id, view, push, servers, maintenance.
Stop, on SIGTERM or SIGINT: streams are told to come back, servers, view, client, etcd; each step
is bounded. Exit codes: 0 done, 1 refused or failed, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from shlex import quote

import tenacity
from tdc.manager.etcd.channel import EtcdOptions
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.embedded import QUOTA, EmbeddedEtcd
from tdc.manager.etcd.errors import EtcdError
from tdc.manager.first_setup import (
    CA_FOLDER,
    ETCD_FOLDER,
    OPERATOR_FILE,
    OPERATOR_FOLDER,
    AlreadySetUp,
    add_operator,
    address,
    set_up,
    write_operator_file,
)
from tdc.manager.identity.authority import Authority, AuthorityMissing, AuthorityUnusable
from tdc.manager.intent.commands import Commands
from tdc.manager.intent.permissions import PermissionTableError
from tdc.manager.intent.reads import Reads
from tdc.manager.intent.tokens import Tokens
from tdc.manager.options import Options, OptionsError, add_flags, read_options
from tdc.manager.push.agents import AgentSessions
from tdc.manager.push.presence import Presence
from tdc.manager.rpc.agents import Agents
from tdc.manager.rpc.changes import Changes
from tdc.manager.rpc.enrolment import Enrolment
from tdc.manager.rpc.fleet import Fleet
from tdc.manager.rpc.monitoring import Monitoring
from tdc.manager.rpc.server import Ports, PortTaken, ServerIdentity, Servers
from tdc.manager.rpc.settings import SettingsReader
from tdc.manager.store.commit import CommitStore
from tdc.manager.store.errors import StoreError
from tdc.manager.store.history import History
from tdc.manager.store.joins import JoinStore
from tdc.manager.store.maintenance import Maintenance
from tdc.manager.store.store_id import store_id
from tdc.manager.view.fleet import FleetView, NotReady
from tdc.shared.edge import durable_file
from tdc.shared.edge.tasks import running
from tdc.shared.sync.identity import NotAnIdentity, Operator, identity_uri
from tdc.shared.sync.values import BadIntervals, Intervals
from tdc.v1 import agents_pb2_grpc, operators_pb2_grpc

log = logging.getLogger(__name__)

START_TIMEOUT = 30.0
"""Seconds that etcd may take to answer at the start; later it may be away for any time."""

LAST_PORTS = "last-ports.json"
"""In the data folder: where this manager served at its last start."""

STOP_GRACE = 2.0
"""Seconds that calls in progress get when the manager stops."""

_REFUSALS = (
    AlreadySetUp,
    AuthorityMissing,
    AuthorityUnusable,
    BadIntervals,
    NotReady,
    OptionsError,
    PermissionTableError,
    PortTaken,
    EtcdError,
    StoreError,
    durable_file.NotWritten,
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `tdc-manager`; ends by SystemExit."""
    parser = argparse.ArgumentParser(
        prog="tdc-manager", description="The manager of Threat Defense Connectors."
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    init = verbs.add_parser("init", help="make the data folder, the CA and the first operator")
    init.add_argument(
        "--operator", default="admin", type=_operator_name, help="name of the first operator"
    )
    run = verbs.add_parser("run", help="run until told to stop")
    operator = verbs.add_parser("operator", help="make the folder that another operator needs")
    operator.add_argument(
        "--operator", required=True, type=_operator_name, help="name of the operator"
    )
    operator.add_argument("--out", required=True, type=Path, help="folder to make")
    for verb in (init, run, operator):
        add_flags(verb)
    flags = vars(parser.parse_args(arguments))
    commands = {"init": init_command, "run": run_command, "operator": operator_command}
    try:
        code = commands[flags["verb"]](flags)
    except OptionsError as error:
        print(f"tdc-manager: {error}", file=sys.stderr)  # noqa: T201
        code = 2
    raise SystemExit(code)


def _operator_name(text: str) -> str:
    """Return a name that a certificate can hold and a line can show; raises ArgumentTypeError."""
    try:
        identity_uri(Operator(text))
    except (NotAnIdentity, UnicodeEncodeError) as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not text.isprintable():
        raise argparse.ArgumentTypeError("a name has no control characters")
    return text


def init_command(flags: Mapping[str, object]) -> int:
    """Set up a data folder by flags (see `options.add_flags`, and ``operator``); exit code."""
    options = read_options(flags)
    given = {
        field.name: _lasting(getattr(options, field.name))
        for field in dataclasses.fields(Options)
        if field.name != "folder" and flags.get(field.name) is not None
    }
    try:
        operator_file = set_up(options, given, str(flags.get("operator") or "admin"))
    except _REFUSALS as error:
        return _refused(error)
    print(  # noqa: T201
        f"The manager's folder is {options.folder}. Run it: tdc-manager run --folder "
        f"{quote(str(options.folder))}\nOperators use: tdc --config {quote(str(operator_file))} … "
        "(the folder may be copied to where they are; its key is theirs alone)"
    )
    return 0


def operator_command(flags: Mapping[str, object]) -> int:
    """Make the bundle of ``operator`` in the folder ``out``; exit code."""
    options = read_options(flags)
    last = _last_ports(options)
    port = options.listen_port or (last.main if last else 0)
    try:
        operator_file = add_operator(
            options.folder,
            Path(str(flags["out"])),
            str(flags["operator"]),
            address(options, port),
        )
    except _REFUSALS as error:
        return _refused(error)
    print(f"Operators use: tdc --config {quote(str(operator_file))} …")  # noqa: T201
    return 0


def _lasting(value: object) -> object:
    """Return an option as it may be written down: a path means the same place from anywhere."""
    return value.absolute() if isinstance(value, Path) else value


def run_command(flags: Mapping[str, object]) -> int:
    """Run a manager by flags until SIGTERM or SIGINT; exit code."""
    options = read_options(flags)
    logging.basicConfig(
        level=options.log_level.upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    try:
        asyncio.run(_until_signal(options))
    except _REFUSALS as error:
        return _refused(error)
    except BaseExceptionGroup as group:
        first = _first(group)
        if not isinstance(first, _REFUSALS):
            raise
        return _refused(first)
    return 0


async def _until_signal(options: Options) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop.set)
    # A task of its own, so that a signal ends the start too (while etcd is away, say).
    async with running(_serve(options), name="manager"):
        await stop.wait()
        log.info("the manager stops")


async def _serve(options: Options) -> None:
    async with served(options):
        await asyncio.get_running_loop().create_future()  # until cancelled


@contextlib.asynccontextmanager
async def served(options: Options) -> AsyncIterator[Ports]:
    """Serve as one manager while the body runs; yields the ports once they serve.

    Raises AuthorityMissing, AuthorityUnusable, NotReady, PortTaken, PermissionTableError,
    BadIntervals an EtcdError or a StoreError, also within an ExceptionGroup.
    """
    authority = Authority.load(options.folder / CA_FOLDER)
    async with contextlib.AsyncExitStack() as stack:
        etcd_options, notes = await _reach_etcd(stack, options)
        etcd = await stack.enter_async_context(EtcdClient(etcd_options))
        view = FleetView(etcd)
        view.notes = notes
        view.store_id = await _store_id(etcd)
        await stack.enter_async_context(running(view.run(), name="view"))
        await view.ready(START_TIMEOUT)
        presence = Presence(view, shared=not options.embedded)
        sessions = AgentSessions(view, presence, intervals=_intervals(options))
        ports: list[Ports] = []
        servers = _servers(
            options, authority, etcd, view, presence, sessions, lambda: ports[0].enrol
        )
        ports.append(
            await servers.start(
                options.listen_host, options.listen_port, options.enrol_port, _last_ports(options)
            )
        )
        stack.push_async_callback(servers.stop, STOP_GRACE)
        stack.callback(sessions.stop)
        maintenance = Maintenance(etcd, own_member=options.embedded)
        await stack.enter_async_context(running(maintenance.run(), name="maintenance"))
        stack.enter_context(_announced(options, ports[0]))
        yield ports[0]


async def _reach_etcd(
    stack: contextlib.AsyncExitStack, options: Options
) -> tuple[EtcdOptions, tuple[str, ...]]:
    """Return how to reach etcd, and what is to be said of it; starts it where it is ours."""
    if options.embedded:
        member = EmbeddedEtcd(options.folder / ETCD_FOLDER)
        endpoint = await stack.enter_async_context(member)
        notes = (member.warning,) if member.warning else ()
        return EtcdOptions(endpoints=(endpoint,), quota=QUOTA), notes
    external = EtcdOptions(
        endpoints=options.etcd_endpoints,
        ca_file=options.etcd_ca,
        cert_file=options.etcd_certificate,
        key_file=options.etcd_key,
        user=options.etcd_user or None,
        password=options.etcd_password() or None,
    )
    return external, ()


async def _store_id(etcd: EtcdClient) -> str:
    async for attempt in tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception_type(EtcdError),
        stop=tenacity.stop_after_delay(START_TIMEOUT),
        wait=tenacity.wait_random_exponential(multiplier=0.1, max=2.0),
        before_sleep=_TellOnce(),
        reraise=True,
    ):
        with attempt:
            return await store_id(etcd)
    raise AssertionError("unreachable: the last attempt returns or raises")


class _TellOnce:
    """Says in the log what is being waited for; the same reason once, however often it is tried."""

    def __init__(self) -> None:
        self._told = ""

    def __call__(self, state: tenacity.RetryCallState) -> None:
        reason = str(state.outcome.exception()) if state.outcome is not None else ""
        if reason != self._told:
            self._told = reason
            log.warning("waiting for etcd, up to %g s: %s", START_TIMEOUT, reason)


def _intervals(options: Options) -> Intervals:
    return Intervals(
        status=options.status_interval, ping=options.ping_interval, deadline=options.deadline
    )


def _servers(  # the one place where all rooms meet
    options: Options,
    authority: Authority,
    etcd: EtcdClient,
    view: FleetView,
    presence: Presence,
    sessions: AgentSessions,
    enrol_port: Callable[[], int],
) -> Servers:
    history = History(etcd)
    joins = JoinStore(etcd)
    commands = Commands(view, CommitStore(etcd), history)
    reads = Reads(view, history)
    tokens = Tokens(view, joins, authority.fingerprint)
    fleet = Fleet(view, commands, tokens, lambda: address(options, enrol_port()))
    settings = SettingsReader(view, reads, presence)
    changes = Changes(commands, reads)
    monitoring = Monitoring(view, presence)
    agents = Agents(sessions, authority)
    enrolment = Enrolment(joins, authority, view)
    certified = authority.issue_server((*options.names, options.advertised_host))
    return Servers(
        ServerIdentity(certified.certificate_pem, certified.key_pem, authority.ca_pem),
        main=[
            lambda server: operators_pb2_grpc.add_FleetServicer_to_server(fleet, server),
            lambda server: operators_pb2_grpc.add_SettingsReaderServicer_to_server(
                settings, server
            ),
            lambda server: operators_pb2_grpc.add_ChangesServicer_to_server(changes, server),
            lambda server: operators_pb2_grpc.add_MonitoringServicer_to_server(monitoring, server),
            lambda server: agents_pb2_grpc.add_AgentsServicer_to_server(agents, server),
        ],
        enrol=[lambda server: agents_pb2_grpc.add_EnrolmentServicer_to_server(enrolment, server)],
    )


def _last_ports(options: Options) -> Ports | None:
    """Return the ports of the last start; machines that know them should find us there again."""
    try:
        content = json.loads(durable_file.read(options.folder / LAST_PORTS))
        return Ports(main=int(content["main"]), enrol=int(content["enrol"]))
    except (durable_file.NotReadable, ValueError, LookupError, TypeError):
        return None


@contextlib.contextmanager
def _announced(options: Options, ports: Ports) -> Iterator[None]:
    """Say where this manager serves, in its log and, if asked, in a file; until the end."""
    log.info(
        "serving at %s, enrolment at %s",
        address(options, ports.main),
        address(options, ports.enrol),
    )
    operator_file = options.folder / OPERATOR_FOLDER / OPERATOR_FILE
    if options.listen_port == 0 and operator_file.exists():
        # The system chose the port at this start: the local operator's file must follow it.
        write_operator_file(operator_file.parent, address(options, ports.main))
    content = json.dumps({"main": ports.main, "enrol": ports.enrol, "pid": os.getpid()})
    durable_file.write(options.folder / LAST_PORTS, content.encode() + b"\n")
    if options.ports_file is None:
        yield
        return
    durable_file.write(options.ports_file, content.encode() + b"\n", mode=durable_file.READABLE)
    try:
        yield
    finally:
        options.ports_file.unlink(missing_ok=True)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first error inside nested groups."""
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner


def _refused(error: BaseException) -> int:
    print(f"tdc-manager: {error}", file=sys.stderr)  # noqa: T201
    return 1


if __name__ == "__main__":
    main()
