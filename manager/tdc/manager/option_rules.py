"""PURE. What options may be that are more than a number, a path or a choice."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence

from tdc.manager.people.provider import read_grant
from tdc.manager.provider.metadata import check_issuer

_HOST_NAME = re.compile(r"(?![0-9.]+$)[A-Za-z0-9._-]+")  # numbers alone are an address, or wrong

_SYSLOG = re.compile(r"unix:/.+|(udp|tcp):.+:[0-9]{1,5}")


def is_host(text: str) -> bool:
    """Whether a certificate can hold it, and an address begin with it."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return _HOST_NAME.fullmatch(text) is not None
    return True


def check_syslog(text: str) -> None:
    """Raise ValueError, the option first, for what names no syslog; empty is none."""
    if text and not _SYSLOG.fullmatch(text):
        raise ValueError(
            f"audit_syslog: {text!r} is not unix:/PATH, udp:HOST:PORT or tcp:HOST:PORT"
        )


def check_ports(ports: Mapping[str, int | None]) -> None:
    """Raise ValueError, the option first, for a port that is none, or is another's too."""
    taken: dict[int, str] = {}
    for name, port in ports.items():
        if port is not None and not 0 <= port <= 65_535:
            raise ValueError(f"{name}: {port} is not between 0 and 65535")
        if port and port in taken:
            raise ValueError(f"{name}: {port} is {taken[port]} too; give each a port of its own")
        taken[port or 0] = name


def check_provider(
    issuer: str, scopes: Sequence[str], roles: Sequence[str], needed: Mapping[str, object]
) -> None:
    """Raise ValueError, the option first, unless the options about a provider fit together.

    `needed` are those that mean nothing without a provider, the client's name first.
    """
    client = next(iter(needed))
    given = [name for name, value in needed.items() if value]
    if not issuer:
        if given:
            raise ValueError(
                f"{given[0]}: is about a provider, and oidc_issuer names none. Give oidc_issuer, "
                f"or leave {given[0]} out"
            )
        return
    try:
        check_issuer(issuer)
    except ValueError as error:
        raise ValueError(f"oidc_issuer: {error}") from None
    if client not in given:
        raise ValueError(f"oidc_issuer: needs {client}: what the managers are registered as there")
    if "openid" not in scopes:
        raise ValueError("oidc_scopes: must have openid, without which nobody is proven")
    for each in roles:
        try:
            read_grant(each)
        except ValueError as error:
            raise ValueError(f"oidc_roles: {error}") from None
