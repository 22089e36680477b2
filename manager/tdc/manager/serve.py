"""A manager's parts, made in start order and ended in the opposite order. Wiring only.

Start: etcd (where it is ours), client, store id, view, push, servers, maintenance, and last the
announcement of where it serves. Stop: servers (streams are asked to come back), maintenance,
view, client, etcd; each step is bounded.
"""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import replace

from tdc.manager import setup_address
from tdc.manager.etcd.backoff import Backoff
from tdc.manager.etcd.channel import EtcdOptions
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.embedded import QUOTA, EmbeddedEtcd
from tdc.manager.etcd.errors import EtcdError
from tdc.manager.first_setup import (
    CA_FOLDER,
    ETCD_FOLDER,
    address,
)
from tdc.manager.identity.authorities import Authorities
from tdc.manager.identity.expiry import Ending, ExpiryWatch, end_of
from tdc.manager.identity.own import OwnCertificates
from tdc.manager.intent.first_user import FirstUser
from tdc.manager.intent.refusals import Refusals
from tdc.manager.intent.tokens import TokenOperations
from tdc.manager.membership import Membership, announced, membership, own_id, unclaimed
from tdc.manager.options import Options
from tdc.manager.own_ports import last_address, last_ports, ports_announced
from tdc.manager.peers.cut_off import while_cut_off
from tdc.manager.peers.streams import AllStreams
from tdc.manager.people.ending import ending_operators
from tdc.manager.people.user import OperatorCertificate
from tdc.manager.push.agents import AgentSessions
from tdc.manager.reach import cautions, external_etcd
from tdc.manager.rotation.follow import Followed
from tdc.manager.rpc.entry import on_behalf_of
from tdc.manager.rpc.server import Ports, Servers
from tdc.manager.services import (
    Made,
    about_managers,
    for_agents,
    for_joining,
    for_login,
    for_managers,
    for_operators,
    for_provider_login,
    operations_of,
    people_of,
)
from tdc.manager.store.audit import AuditLog, Fence
from tdc.manager.store.history import History
from tdc.manager.store.identity import store_id
from tdc.manager.store.joins import JoinStore
from tdc.manager.store.keys import PLACE, ROOT
from tdc.manager.store.maintenance import Maintenance
from tdc.manager.syslog import Syslog
from tdc.manager.view.chains import KnownChains
from tdc.manager.view.fleet import FleetView
from tdc.manager.view.presence import Presence
from tdc.manager.web.console import bound
from tdc.manager.web.desk import Desk
from tdc.manager.web.served import console_at, console_names
from tdc.manager.web.tls import ConsoleTls
from tdc.shared.edge import memory
from tdc.shared.edge.awake import AwakeClock
from tdc.shared.edge.clock import monotonic, wall
from tdc.shared.edge.tasks import running
from tdc.shared.sync.values import Intervals

log = logging.getLogger(__name__)

START_TIMEOUT = 30.0
"""Seconds that etcd may take to answer at the start; later it may be away for any time."""

STOP_GRACE = 2.0
"""Seconds that calls in progress get when the manager stops."""


@contextlib.asynccontextmanager
async def served(options: Options) -> AsyncIterator[Ports]:
    """Serve as one manager while the body runs; yields the ports once they serve.

    Raises AuthorityMissing, AuthorityUnusable, NotReady, PortTaken, PermissionTableError,
    BadIntervals, IdTaken, an EtcdError, EtcdSetupError or StoreError, also within an
    ExceptionGroup.
    """
    authorities = Authorities.load(options.folder / CA_FOLDER)
    async with contextlib.AsyncExitStack() as stack:
        etcd_options, notes = await _reach_etcd(stack, options)
        etcd = await stack.enter_async_context(EtcdClient(etcd_options, on_behalf_of))
        store = await _store_id(etcd)
        notes = (*notes, *await _cautions(options, etcd))
        followed, own = await _certificates(stack, etcd, options, authorities)
        expiry = ExpiryWatch(
            lambda: _endings(options, authorities, own, view.people.certificates_now)
        )
        awake = AwakeClock()
        await stack.enter_async_context(running(awake.run(), name="clock"))
        member = membership(etcd, options, own, awake)
        view = FleetView(
            etcd,
            store,
            lambda: (*notes, *expiry.problems(), *member.problems(), *followed.problems()),
        )
        await stack.enter_async_context(running(expiry.run(), name="expiry"))
        await stack.enter_async_context(running(view.run(), name="view"))
        await view.ready(START_TIMEOUT)
        if not view.clusters:
            log.info("the store is empty; begin with `tdc cluster create NAME`")
        await stack.enter_async_context(running(memory.give_back(), name="memory"))
        presence = await _presence(stack, view, member, awake, last_address(options))
        sessions = AgentSessions(
            view,
            presence,
            awake,
            _intervals(options),
            KnownChains(view, History(etcd, view)).at,
            lambda: member.known.addresses,
            lambda: () if followed.away else authorities.trusted,
        )
        view.on_replaced(sessions.welcome_again)
        servers = Servers(lambda: own.server)
        listener, ports = _bound(stack, options, servers)
        stack.push_async_callback(servers.stop, STOP_GRACE)
        stack.callback(sessions.stop)
        audit = _audit_log(etcd, options, followed.fence)
        refusals = Refusals(audit)
        await stack.enter_async_context(running(refusals.run(), name="refusals"))
        joins = JoinStore(etcd, audit, view)
        tokens = TokenOperations(
            view, joins, lambda: authorities.fingerprint, address(options, ports.enrol), presence
        )
        people = people_of(etcd, audit, view, authorities, refusals, options)
        member.announce(address=address(options, ports.main))
        _keep_saying(own, authorities, member, sessions)
        made = Made(tokens, people, about_managers(etcd, view, sessions, member, options))
        streams = AllStreams(sessions, member.peers, view.enrolment)
        operations = operations_of(etcd, audit, view, presence, sessions, streams, made)
        operators = for_operators(operations)
        await servers.start(
            main=[
                *operators,
                for_agents(sessions, authorities, followed),
                for_managers(member, presence, sessions, followed),
            ],
            enrol=[for_joining(joins, authorities, view, refusals, followed)],
            operators=[
                *operators,
                for_login(people.login),
                for_provider_login(people.provider),
            ],
            admit=sessions.admit,
            people=people.access,
            refused=refusals.refused,
            trusts=lambda peer: peer.issuer in authorities.key_ids,
        )
        view.on_change(servers.check_again)
        view.on_people(servers.check_operators)
        desk = Desk(
            operations,
            people.login,
            people.access,
            refusals.refused,
            FirstUser(view, people.users, lambda: setup_address.kept(options.folder)),
            lambda: member.own.name,
        )
        await _console(stack, options, own, listener, desk)
        await stack.enter_async_context(running(people.access.uses.run(), name="last uses"))
        await stack.enter_async_context(running(servers.keep_room(), name="room at the ports"))
        await stack.enter_async_context(_among_others(member, etcd, sessions))
        maintenance = Maintenance(
            etcd, audit, own_member=options.embedded, ownership=member.maintenance
        )
        await stack.enter_async_context(running(maintenance.run(), name="maintenance"))
        stack.enter_context(ports_announced(options, ports))
        yield ports


def _bound(
    stack: contextlib.AsyncExitStack, options: Options, servers: Servers
) -> tuple[socket.socket | None, Ports]:
    """Take all ports, the console's as a socket; raises PortTaken, ConsolePortTaken."""
    last = last_ports(options)
    wanted = Ports(options.listen_port, options.enrol_port, options.operator_port)
    ports = servers.bind(options.listen_host, wanted, last)
    if options.console_port is None:
        return None, ports
    before = (last.console if last is not None else None) or 0
    listener = stack.enter_context(bound(options.console_host, options.console_port, before))
    return listener, replace(ports, console=listener.getsockname()[1])


async def _console(
    stack: contextlib.AsyncExitStack,
    options: Options,
    own: OwnCertificates,
    listener: socket.socket | None,
    desk: Desk,
) -> None:
    """Serve the console, where there is one; raises CertificateUnusable, PermissionTableError."""
    if listener is None:
        return
    tls = ConsoleTls(lambda: own.server, options.console_certificate, options.console_key)
    own.on_change(tls.renewed)
    await stack.enter_async_context(console_at(listener, desk, tls))


async def _certificates(
    stack: contextlib.AsyncExitStack, etcd: EtcdClient, options: Options, authorities: Authorities
) -> tuple[Followed, OwnCertificates]:
    """The CAs as the store has them, followed from now on, and this manager's own certificates.

    Raises AuthorityUnusable where the CA was replaced without this manager.
    """
    followed = Followed(etcd, authorities)
    await stack.enter_async_context(running(followed.run(), name="rotation of the CA"))
    await followed.read(START_TIMEOUT)
    names = (*options.names, options.advertised_host, *console_names(options))
    own = OwnCertificates(authorities, own_id(options.folder), names)
    await stack.enter_async_context(running(own.run(), name="own certificates"))
    return followed, own


def _keep_saying(
    own: OwnCertificates, authorities: Authorities, member: Membership, sessions: AgentSessions
) -> None:
    """Tell of each new certificate and CA those to whom it makes a difference."""

    def changed() -> None:
        member.peers.redial()
        member.announce(certificate_ends=own.ends, ca=authorities.state.number)
        sessions.end_untrusted(authorities.trusted)

    own.on_change(changed)
    authorities.on_replaced(sessions.stop)
    member.announce(certificate_ends=own.ends, ca=authorities.state.number)


async def _presence(
    stack: contextlib.AsyncExitStack,
    view: FleetView,
    member: Membership,
    clock: AwakeClock,
    before: str,
) -> Presence:
    """What is known of machines here and elsewhere; the others are known once this returns."""
    await stack.enter_async_context(running(member.known.run(), name="managers"))
    await member.known.read(START_TIMEOUT)
    await unclaimed(member, before)
    await stack.enter_async_context(member.peers.running())
    presence = Presence(view, steady=clock, elsewhere=member.peers, name=member.own.name)
    view.on_enrolment(presence.enrolled)
    return presence


@contextlib.asynccontextmanager
async def _among_others(
    member: Membership, etcd: EtcdClient, sessions: AgentSessions
) -> AsyncIterator[None]:
    """Be announced, and while etcd is away from this manager alone, do what it takes."""
    cut_off = while_cut_off(
        lambda: member.own,
        lambda: member.known.link,
        member.peers,
        sessions.send_away,
        member.steady,
    )
    async with announced(member, etcd), running(cut_off, name="cut off"):
        yield


async def _reach_etcd(
    stack: contextlib.AsyncExitStack, options: Options
) -> tuple[EtcdOptions, tuple[str, ...]]:
    """Return how to reach etcd, and warnings about it; starts it where it is ours."""
    if options.embedded:
        member = EmbeddedEtcd(options.folder / ETCD_FOLDER, mark=PLACE)
        endpoint = await stack.enter_async_context(member)
        notes = (member.warning,) if member.warning else ()
        return EtcdOptions(endpoints=(endpoint,), quota=QUOTA, prefix=ROOT), notes
    return external_etcd(options), ()


async def _cautions(options: Options, etcd: EtcdClient) -> tuple[str, ...]:
    """Say what is unsafe about an external etcd, and log it."""
    try:
        version = (await etcd.status()).version
    except EtcdError:  # from 3.5.28 on only root may ask
        version = ""
    found = tuple(cautions(options, version))
    for each in found:
        log.warning("%s", each)
    return found


async def _store_id(etcd: EtcdClient) -> str:
    """Read the store's id; waits up to START_TIMEOUT for etcd.

    What it waits for is logged, the same reason once, however often it is tried.
    """
    give_up, backoff, logged = monotonic() + START_TIMEOUT, Backoff(longest=2.0), ""
    while True:
        try:
            return await store_id(etcd)
        except EtcdError as error:
            if monotonic() > give_up:
                raise
            if str(error) != logged:
                logged = str(error)
                log.warning("waiting for etcd, up to %g s: %s", START_TIMEOUT, logged)
        await backoff.wait()


def _intervals(options: Options) -> Intervals:
    return Intervals(
        status=options.status_interval, ping=options.ping_interval, deadline=options.deadline
    )


def _endings(
    options: Options,
    authorities: Authorities,
    own: OwnCertificates,
    operators: Iterable[OperatorCertificate],
) -> Iterator[Ending]:
    """Yield the certificates that end, this manager's and operators'; machines renew their own."""
    for each in ending_operators(operators, wall()):
        what = f"the certificate {each.fingerprint[:12]} of operator {each.operator}"
        yield Ending(what, each.ends, f"{each.remedy}, on a manager's machine, makes another")
    yield Ending(
        "the CA of this manager",
        authorities.signing.ends,
        "then no machine and no operator can connect, and mail flows with the last settings. Make "
        "a new CA before: tdc-manager ca prepare (operator guide, Rotate the CA)",
    )
    yield Ending(
        "this manager's server certificate",
        own.ends,
        "the manager renews it by itself at half of its life, and did not: see its log, and "
        "restart it",
    )
    for what, path in (
        ("the client certificate for etcd", options.etcd_certificate),
        ("the certificate of the console", options.console_certificate),
    ):
        if path is not None and (end := end_of(path)) is not None:
            yield Ending(f"{what} ({path})", end, "replace the file before")


def _audit_log(etcd: EtcdClient, options: Options, fence: Fence) -> AuditLog:
    """The log that all stores share, with copies to syslog where options ask for them."""
    if not options.audit_syslog:
        return AuditLog(etcd, fence=fence)
    syslog = Syslog(options.audit_syslog)
    syslog.start()
    return AuditLog(etcd, written=syslog.take, fence=fence)
