"""DNS: the only importer of dnspython. Answers are cached, bounded, and never trusted.

In: an intake domain or the operator's route. Out: candidates in order, or NoRoute.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

import dns.asyncresolver
import dns.exception
import dns.resolver
from dns.nameserver import Do53Nameserver
from dns.rdtypes.ANY.MX import MX
from tdc.node_agent.deliver.mx import (
    Candidate,
    DnsStatus,
    HostAnswer,
    MxAnswer,
    MxRecord,
    NoRoute,
    candidates,
    hosts_by_mx,
)
from tdc.shared.connector.intake import split_hop
from tdc.shared.edge.clock import Chance, Clock, chance, monotonic
from tdc.shared.settings.schema import USE_DNS

LOOKUP_TIMEOUT = 10.0  # seconds for one question, all nameservers and repetitions
FIND_TIMEOUT = 25.0  # seconds for all questions about one intake
MIN_TTL, MAX_TTL, FAILURE_TTL = 30.0, 3_600.0, 5.0  # seconds
MAX_CACHED = 1_000
MAX_HOSTS = 10  # MX hosts whose addresses are asked for


@dataclass(frozen=True, slots=True)
class _Answer:
    status: DnsStatus
    values: tuple[str, ...] = ()
    records: tuple[MxRecord, ...] = ()


class Resolver:
    """Looks up where an intake is. `nameservers` are host:port; empty: the system's."""

    def __init__(
        self,
        nameservers: Sequence[str] = (),
        *,
        clock: Clock = monotonic,
        chance: Chance = chance,
    ) -> None:
        self._nameservers = tuple(nameservers)
        self._clock, self._chance = clock, chance
        self._cache: dict[tuple[str, str], tuple[float, _Answer]] = {}

    def forget(self) -> None:
        """Drop what is cached: the operator may have changed the DNS."""
        self._cache.clear()

    async def find(
        self, domain: str, route: Sequence[str], port: int, *, allow_private: bool
    ) -> tuple[Candidate, ...]:
        """Return the addresses to try for a domain, in order; raises NoRoute.

        `route` is the setting smtp_route: ("usedns",), or host[:port] entries, which are
        tried in their order instead of the MX.
        """
        try:
            async with asyncio.timeout(FIND_TIMEOUT):
                if tuple(route) != (USE_DNS,):
                    return await self._by_route(domain, route, port, allow_private)
                return await self._by_mx(domain, port, allow_private)
        except TimeoutError:
            text = f"the DNS did not say within {FIND_TIMEOUT:g} s where {domain} is"
            raise NoRoute("DNS Error", text) from None

    async def _by_mx(self, domain: str, port: int, allow_private: bool) -> tuple[Candidate, ...]:
        answer = await self._mx(domain)
        hosts = hosts_by_mx(domain, answer, self._chance)[:MAX_HOSTS]
        found = await asyncio.gather(*map(self._addresses, hosts))
        return candidates(domain, found, port, allow_private=allow_private, own=_own_of(found))

    async def _by_route(
        self, domain: str, route: Sequence[str], port: int, allow_private: bool
    ) -> tuple[Candidate, ...]:
        found: list[Candidate] = []
        fault: NoRoute | None = None
        hops = [split_hop(hop, port) for hop in route]
        # All at once: the time that a name without an answer costs is then spent once.
        answers = await asyncio.gather(*(self._addresses(host) for host, _ in hops))
        for (_, hop_port), answer in zip(hops, answers, strict=True):
            try:
                found += candidates(
                    domain,
                    [answer],
                    hop_port,
                    allow_private=allow_private,
                    own=_own_of([answer]),
                    by_mx=False,
                )
            except NoRoute as error:
                fault = fault or error
        if not found:
            raise fault or NoRoute("Configuration Error", "smtp_route names no host")
        return tuple(found)

    async def _mx(self, domain: str) -> MxAnswer:
        answer = await self._ask(domain, "MX")
        return MxAnswer(answer.status, answer.records)

    async def _addresses(self, host: str) -> HostAnswer:
        literal = _literal(host)
        if literal is not None:
            return literal
        v4, v6 = await asyncio.gather(self._ask(host, "A"), self._ask(host, "AAAA"))
        failed = {v4.status, v6.status} & {DnsStatus.FAILED, DnsStatus.TIMEOUT}
        return HostAnswer(host, v4.values, v6.values, failed=bool(failed))

    async def _ask(self, name: str, kind: str) -> _Answer:
        now = self._clock()
        cached = self._cache.get((name, kind))
        if cached is not None and cached[0] > now:
            return cached[1]
        answer, ttl = await self._look_up(name, kind)
        if len(self._cache) >= MAX_CACHED:
            self._cache.clear()
        self._cache[name, kind] = (now + ttl, answer)
        return answer

    async def _look_up(self, name: str, kind: str) -> tuple[_Answer, float]:
        try:
            found = await _resolver(self._nameservers).resolve(name, kind, search=False)
        except dns.resolver.NXDOMAIN:
            return _Answer(DnsStatus.NO_NAME), MIN_TTL
        except dns.resolver.NoAnswer:
            return _Answer(DnsStatus.NO_DATA), MIN_TTL
        except dns.exception.Timeout:
            return _Answer(DnsStatus.TIMEOUT), FAILURE_TTL
        except (dns.exception.DNSException, OSError, ValueError):
            return _Answer(DnsStatus.FAILED), FAILURE_TTL
        ttl = min(max(float(found.rrset.ttl if found.rrset else 0), MIN_TTL), MAX_TTL)
        if kind == "MX":
            records = tuple(_mx_record(data) for data in found if isinstance(data, MX))
            return _Answer(DnsStatus.FOUND, records=records), ttl
        return _Answer(DnsStatus.FOUND, values=tuple(data.to_text() for data in found)), ttl


def _own_of(hosts: Iterable[HostAnswer]) -> frozenset[str]:
    """Those of the hosts' addresses that are this machine's own."""
    found = {address for host in hosts for address in (*host.v4, *host.v6)}
    return frozenset(filter(is_own, found))


def is_own(address: str) -> bool:
    """Whether an address is one of this machine's: only those can be bound to."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as trial:
        try:
            trial.bind((address, 0))
        except OSError:
            return False
    return True


def _resolver(nameservers: Sequence[str]) -> dns.asyncresolver.Resolver:
    resolver = dns.asyncresolver.Resolver(configure=not nameservers)
    resolver.lifetime = LOOKUP_TIMEOUT
    resolver.timeout = 3.0
    resolver.retry_servfail = False
    if nameservers:
        resolver.nameservers = [Do53Nameserver(*split_hop(server, 53)) for server in nameservers]
    return resolver


def _mx_record(data: MX) -> MxRecord:
    return MxRecord(data.preference, data.exchange.to_text(omit_final_dot=True).lower().strip("."))


def _literal(host: str) -> HostAnswer | None:
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return HostAnswer(host, v4=(host,)) if address.version == 4 else HostAnswer(host, v6=(host,))
