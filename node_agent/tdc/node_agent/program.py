"""The agent: wiring, in start order, and the order of its stop. No decision is made here.

Start: settings in force (from disk, no manager needed), spool (one that can't be opened is tried
again while mail passes), settings stream, delivery, content filter. Stop, on SIGTERM or SIGINT,
drains the other way: filter, delivery, stream, spool; each step is bounded. A room that fails ends
the agent with exit code 1, so that a supervisor starts it again: better a short refusal that the
gateway retries than a part that is silently dead.
Exit codes: 0 done, 1 refused or failed, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from ipaddress import ip_network
from pathlib import Path
from typing import TextIO

import uvloop
from tdc.node_agent import loop_key
from tdc.node_agent.counters import Counters
from tdc.node_agent.deliver.options import DeliveryOptions
from tdc.node_agent.deliver.scheduler import Delivery
from tdc.node_agent.ingest.options import FilterOptions
from tdc.node_agent.ingest.pool import NextHop
from tdc.node_agent.ingest.smtp_filter import SmtpFilter
from tdc.node_agent.ingest.take import Taker
from tdc.node_agent.journal.loop import Reporter
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.options import Options, OptionsError, host_port, read_options
from tdc.node_agent.spool.spool import Spool
from tdc.node_agent.status import machine_status
from tdc.node_agent.sync import identity
from tdc.node_agent.sync.apply import InForce
from tdc.node_agent.sync.enrol import EnrolFailed, enrol
from tdc.node_agent.sync.identity import IdentityUnusable, NotEnrolled
from tdc.node_agent.sync.renewal import Renewal
from tdc.node_agent.sync.stream import Managers, SettingsStream
from tdc.node_agent.version import VERSION
from tdc.shared.connector.settings import ConnectorSettings
from tdc.shared.edge import durable_file
from tdc.shared.edge.tasks import running
from tdc.v1 import agents_pb2

GARBAGE = 10_000
"""Objects made and not yet freed after which the cycle collector looks for cycles among them."""

HEALTH_INTERVAL = 1.0
"""Seconds between looks at the spool's health, so that the manager hears of it within 5 s."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `tdc-agent`; ends by SystemExit."""
    flags = _parser().parse_args(arguments)
    try:
        options = read_options(flags.config)
        code = _enrol(options, flags) if flags.verb == "enrol" else run(options)
    except OptionsError as error:
        print(f"tdc-agent: {error}", file=sys.stderr)  # noqa: T201
        code = 2
    raise SystemExit(code)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tdc-agent", description="The agent of one gateway.")
    parser.add_argument("--version", action="version", version=VERSION)
    verbs = parser.add_subparsers(dest="verb", required=True)
    joining = verbs.add_parser("enrol", help="get this machine's certificate with a join token")
    joining.add_argument("--manager", required=True, help="host:port of the enrolment port")
    token = joining.add_mutually_exclusive_group(required=True)
    token.add_argument("--token-file", help="file with the join token; - for standard input")
    token.add_argument("--token", help="the join token; other users can see it in `ps`")
    for verb in (joining, verbs.add_parser("run", help="run until told to stop")):
        verb.add_argument("--config", type=Path, required=True, help="agent.toml")
    return parser


# --- enrol --------------------------------------------------------------------------------


def _enrol(options: Options, flags: argparse.Namespace) -> int:
    try:
        host_port(flags.manager)
    except ValueError as error:
        print(f"tdc-agent: --manager: {error}", file=sys.stderr)  # noqa: T201
        return 2
    try:
        token = flags.token or _read_token(flags.token_file)
    except (OSError, ValueError) as error:
        print(f"tdc-agent: the token can't be read: {error}", file=sys.stderr)  # noqa: T201
        return 2
    work = enrol(flags.manager, token.strip(), options.identity_folder, options.state_folder)
    try:
        made = asyncio.run(work)
    except EnrolFailed as error:
        print(f"tdc-agent: not enrolled: {error}", file=sys.stderr)  # noqa: T201
        return 1
    print(  # noqa: T201
        f"Machine {made.machine} of cluster {made.cluster} is enrolled; its certificate ends "
        f"{identity.day(made.ends)} and is renewed by the agent before that."
    )
    return 0


def _read_token(path: str) -> str:
    return sys.stdin.readline() if path == "-" else Path(path).read_text(encoding="utf-8")


# --- run ----------------------------------------------------------------------------------


def run(options: Options) -> int:
    """Run the agent until SIGTERM or SIGINT; return the exit code."""
    with contextlib.ExitStack() as stack:
        trouble = ""
        try:
            stream = _log_stream(stack, options.log.file)
        except OSError as error:  # mail must not wait for a log
            trouble = f"[log] file can't be written: {error}; log lines go to standard error"
            stream = sys.stderr
        log = TdcLog(options.log.intake_name, stream=stream)
        stack.callback(log.close)
        settings = ConnectorSettings.defaults()
        log.configure(settings.log_level, settings.log_format)
        if trouble:
            log.error(trouble)
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(_until_signal(options, log))
        except Exception as error:  # last stop: said in the log, and a supervisor starts us again
            for each in _leaves(error):
                log.error(f"the agent ends: {type(each).__name__}: {each}")
            return 1
    return 0


async def _until_signal(options: Options, log: TdcLog) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop.set)
    async with serving(options, log):
        await stop.wait()
        log.info("the agent stops")


@contextlib.asynccontextmanager
async def serving(options: Options, log: TdcLog) -> AsyncIterator[int]:
    """Serve while the body runs; yields the content filter's port.

    If a part fails meanwhile, the body is cancelled and the failure is raised from here.
    """
    counters = Counters()
    async with contextlib.AsyncExitStack() as stack:
        in_force = await InForce.open(options.state_folder, log)
        stack.callback(in_force.close)
        in_force.on_change(lambda new: log.configure(new.log_level, new.log_format))
        machine = _machine_name(options, log)
        reporter = Reporter(machine, loop_key.load(options.state_folder, log))
        spool = await Spool.open(options.spool_folder, log=log)
        stack.push_async_callback(spool.close)
        in_force.on_change(
            lambda new: spool.set_limits(new.spool_max_messages, new.spool_max_bytes)
        )
        delivery = Delivery(
            spool, in_force.current, _delivery_options(options, machine), counters, log, reporter
        )
        managers = Managers(options.manager.addresses, options.manager.retry_maximum)
        renewal = Renewal(managers, options.identity_folder, log)

        def status() -> agents_pb2.MachineStatus:
            return machine_status(
                in_force, spool.facts(), delivery.destinations(), counters, renewal.warnings()
            )

        stream = SettingsStream(
            managers, lambda: identity.load(options.identity_folder), in_force, status, log
        )
        await stack.enter_async_context(running(renewal.run(), name="renewal"))
        await stack.enter_async_context(running(stream.run(), name="settings stream"))
        await stack.enter_async_context(running(_tell_health(spool, stream), name="health"))
        await stack.enter_async_context(running(delivery.run(), name="delivery"))
        in_force.on_change(lambda _: delivery.kick())
        taker = Taker(spool, in_force.current, counters, log, reporter)
        smtp_filter = await stack.enter_async_context(
            SmtpFilter(_filter_options(options, machine), taker, counters, log)
        )
        stack.enter_context(_announced(options, smtp_filter.port, log))
        _calm_collector()
        log.info(f"agent {VERSION} of machine {machine} takes mail at port {smtp_filter.port}")
        yield smtp_filter.port


def _calm_collector() -> None:
    """Let the cycle collector leave alone what lives as long as the agent, and run less often.

    A message makes hundreds of objects that are freed by their counts; the few cycles (closed
    connections) wait for the collector a little longer. Measured: 5 % of a message's CPU.
    """
    gc.freeze()
    gc.set_threshold(GARBAGE)


def _machine_name(options: Options, log: TdcLog) -> str:
    """Return the name in the certificate; without one mail flows all the same."""
    try:
        return identity.load(options.identity_folder).machine
    except (NotEnrolled, IdentityUnusable) as error:
        log.error(f"{error}; mail passes with the settings in force")
        return socket.gethostname()


async def _tell_health(spool: Spool, stream: SettingsStream) -> None:
    """Let the manager hear at once when the spool fails or heals."""
    told = spool.facts().unhealthy
    while True:
        await asyncio.sleep(HEALTH_INTERVAL)
        now = spool.facts().unhealthy
        if now != told:
            told = now
            stream.status_due()


def _filter_options(options: Options, machine: str) -> FilterOptions:
    host, port = host_port(options.ingest.listen, zero=True)
    return FilterOptions(
        next_hops=tuple(NextHop(*host_port(each)) for each in options.ingest.next_hops),
        host=host,
        port=port,
        hostname=options.ingest.helo_name or machine,
        trusted_networks=tuple(map(ip_network, options.ingest.trusted)),
    )


def _delivery_options(options: Options, machine: str) -> DeliveryOptions:
    deliver = options.deliver
    return DeliveryOptions(
        helo_name=deliver.helo_name or machine,
        nameservers=deliver.nameservers,
        mx_port=deliver.mx_port,
        ca_file=deliver.ca_file,
        allow_private_targets=deliver.allow_private_targets,
    )


@contextlib.contextmanager
def _announced(options: Options, port: int, log: TdcLog) -> Iterator[None]:
    """Write the ports file, if one is asked for; remove it at the end. Mail never waits for it."""
    if options.ports_file is None:
        yield
        return
    content = json.dumps({"smtp": port, "pid": os.getpid()}).encode() + b"\n"
    try:
        durable_file.write(options.ports_file, content, mode=durable_file.READABLE)
    except durable_file.NotWritten as error:
        log.error(f"ports_file: {error}")
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            options.ports_file.unlink(missing_ok=True)


def _log_stream(stack: contextlib.ExitStack, path: Path | None) -> TextIO:
    if path is None:
        return sys.stderr
    return stack.enter_context(path.open("a", encoding="utf-8", errors="backslashreplace"))


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in _leaves(each)]
    return [error]


if __name__ == "__main__":
    main()
