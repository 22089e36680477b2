"""PURE. From DNS answers to the hosts and addresses to try, in order (RFC 5321 5.1, RFC 7505).

The DNS answer is not trusted. What it can make us connect to is limited by `special_addresses`;
what it can make us believe is limited by the certificate (`verify`).

*No MX* means that the domain itself is the host. *MX records without a usable host* are an error:
falling back to the domain's own address would send mail where its owner does not want it. *No
answer* is not "no record": SERVFAIL and timeouts are errors that pass, never a fallback.
*MAX_ADDRESSES* bounds one attempt, and hosts share it: a first host with many dead addresses must
not keep us from the second.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain, zip_longest

from tdc.shared.mail.special_addresses import never_a_host, why_private

MAX_ADDRESSES = 5
"""Addresses tried in one go."""

ADDRESSES_FIRST = 2
"""Addresses of one host that go before the cut: a host with many must not hide the next host."""

MAX_HOST_NAME = 253  # RFC 1035 2.3.4, as text
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")


class DnsStatus(StrEnum):
    """How a lookup ended."""

    FOUND = "found"
    NO_DATA = "no data"  # the name is there, not this type
    NO_NAME = "NXDOMAIN"
    FAILED = "SERVFAIL"  # also refused, or an answer that makes no sense
    TIMEOUT = "no answer"


@dataclass(frozen=True, slots=True)
class MxRecord:
    """One MX record; `host` is lower-case without a final dot, empty for the root."""

    preference: int
    host: str


@dataclass(frozen=True, slots=True)
class MxAnswer:
    """The result of the MX lookup; `records` is empty unless `status` is FOUND."""

    status: DnsStatus
    records: tuple[MxRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class HostAnswer:
    """A host with the addresses that its A and AAAA lookups found.

    `failed` is True if one of the lookups got no answer: then having no addresses proves nothing.
    """

    host: str
    v4: tuple[str, ...] = ()
    v6: tuple[str, ...] = ()
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """One address to try. `by_mx` is False if the operator's route names the host."""

    host: str
    address: str
    port: int
    by_mx: bool = True

    @property
    def name(self) -> str | None:
        """The host's name, None where the operator's route gives an address."""
        return None if self.host == self.address else self.host

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class NoRoute(Exception):
    """No host can be connected to; `reason` and `check` as in trouble.Outcome."""

    def __init__(self, reason: str, check: str) -> None:
        super().__init__(f"{reason}: {check}")
        self.reason, self.check = reason, check


def hosts_by_mx(domain: str, answer: MxAnswer, chance: Callable[[], float]) -> tuple[str, ...]:
    """List the hosts for a domain in the order to try them; raises NoRoute.

    Lowest preference first, equals in random order. Without any MX the domain itself is the
    host (RFC 5321 5.1); a null MX says that the domain accepts no mail (RFC 7505), unless it
    stands among others, where it means nothing.
    """
    if answer.status is DnsStatus.NO_NAME:
        raise NoRoute("DNS Error", f"{domain} does not exist (NXDOMAIN): check intake_address")
    if answer.status in (DnsStatus.FAILED, DnsStatus.TIMEOUT):
        raise NoRoute("DNS Error", f"the MX lookup for {domain} failed: {answer.status}")
    if answer.status is DnsStatus.NO_DATA or not answer.records:
        return (domain,)
    usable = [record for record in answer.records if _is_host_name(record.host)]
    if not usable:
        if all(not record.host for record in answer.records):
            check = f"{domain} does not accept mail (null MX): check intake_address"
            raise NoRoute("DNS Error", check)
        raise NoRoute("DNS Error", f"no MX of {domain} is a valid host name")
    ordered = sorted(usable, key=lambda record: (record.preference, chance()))
    return tuple(dict.fromkeys(record.host for record in ordered))


def _is_host_name(host: str) -> bool:
    # RFC 1123 2.1, and underscores, which some hosts have. RFC 5321 5.1: an MX names a host, never
    # an address; what ends in a number is an address or looks like one (127.1).
    labels = host.split(".")
    named = len(host) <= MAX_HOST_NAME and all(map(_LABEL.fullmatch, labels))
    return named and not labels[-1].isdigit()


def candidates(
    domain: str,
    hosts: Sequence[HostAnswer],
    port: int,
    *,
    allow_private: bool,
    own: Collection[str] = (),
    by_mx: bool = True,
) -> tuple[Candidate, ...]:
    """List at most MAX_ADDRESSES addresses in the order to try them; raises NoRoute.

    `own` are those that are this machine's; they and addresses that are not for the public Internet
    are left out unless `allow_private`.

    Hosts stay in order; within a host IPv6 and IPv4 alternate, so that a broken one of the two
    costs one timeout. An MX host without addresses is left out; if all are, that is an error,
    never a reason to try the domain's own address.
    """
    found = [
        Candidate(host.host, address, port, by_mx)
        for host in hosts
        for address in _alternating(host.v6, host.v4)
    ]
    refused = {one: _objection(one.address, own, allow_private=allow_private) for one in found}
    allowed = [one for one in found if not refused[one]]
    if allowed:
        return _cut(allowed)
    names = ", ".join(host.host for host in hosts)
    check = f"{names} (host of {domain}) has no address"
    if found:
        check = f"{names} has no address that may be used: {_named(refused)}"
    elif any(host.failed for host in hosts):
        check = f"the address lookup for {names} (host of {domain}) got no answer"
    raise NoRoute("DNS Error", check)


def _objection(address: str, own: Collection[str], *, allow_private: bool) -> str:
    """Why an address may not be connected to; empty if it may."""
    if never_a_host(address):
        return "never a mail host"
    if allow_private:
        return ""
    return why_private(address) or ("this machine's own" if address in own else "")


def _named(refused: Mapping[Candidate, str]) -> str:
    first = dict(list(refused.items())[:MAX_ADDRESSES])
    listed = ", ".join(f"{one.address} ({why})" for one, why in first.items())
    more = len(refused) - len(first)
    return (
        f"{listed}{f' and {more} more' if more else ''}. If the intake is meant to be there, set "
        "smtp_route.private = true, or deliver.allow_private_targets in agent.toml"
    )


def _cut(found: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """Keep MAX_ADDRESSES candidates in their order, from as many hosts as fit."""
    seen: Counter[str] = Counter()
    first: list[Candidate] = []
    later: list[Candidate] = []
    for one in found:
        seen[one.host] += 1
        (first if seen[one.host] <= ADDRESSES_FIRST else later).append(one)
    chosen = set((first + later)[:MAX_ADDRESSES])
    return tuple(one for one in dict.fromkeys(found) if one in chosen)


def _alternating(v6: Iterable[str], v4: Iterable[str]) -> list[str]:
    pairs = chain.from_iterable(zip_longest(v6, v4))
    return [address for address in pairs if address is not None]
