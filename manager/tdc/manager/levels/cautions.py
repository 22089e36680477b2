"""PURE. What a plan warns of: what may be committed, and yet will probably not do what was meant.

A route into a private network is one: agents refuse it, unless the settings allow it or the
gateway's agent.toml does, which a manager can't see. So it is no problem that refuses the commit.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from ipaddress import ip_address

from tdc.manager.levels.changes import LevelChange
from tdc.manager.levels.fleet import Cluster, LevelKey
from tdc.manager.levels.impact import MachineChange, Problem
from tdc.manager.levels.resolve import resolve_one
from tdc.shared.connector.intake import split_hop
from tdc.shared.mail.special_addresses import why_private
from tdc.shared.settings.values import Level, Settings, Value

_ROUTE, _ALLOWED = "smtp_route", "smtp_route.private"


def cautions_of(
    after: Cluster, changes: Iterable[LevelChange], on_machines: Iterable[MachineChange]
) -> tuple[Problem, ...]:
    """Warn of each machine on which the route changes; of the changed level where none does."""
    refused = functools.cache(_refused)  # ten thousand machines share a route
    names = dict.fromkeys(each.machine for each in on_machines if each.setting in _JUDGED)
    if names:
        return tuple(
            Problem(name, _ROUTE, reason)
            for name in names
            if (reason := refused(*_route_under(_levels_of(after, name))))
        )
    keys = dict.fromkeys(each.key for each in changes if each.setting in _JUDGED)
    return tuple(
        Problem("", _ROUTE, f"{key}: {reason}")
        for key in keys
        if key.level is not Level.MACHINE
        and (reason := refused(*_route_under(_levels_at(after, key))))
    )


_JUDGED = frozenset({_ROUTE, _ALLOWED})


def _levels_of(after: Cluster, machine_name: str) -> tuple[Settings, ...]:
    machine = after.machines[machine_name]
    group = after.groups[machine.group].stored.settings
    return machine.stored.settings, group, after.stored.settings


def _levels_at(after: Cluster, key: LevelKey) -> tuple[Settings, ...]:
    own = after.stored_at(key).settings
    return (own,) if key.level is Level.CLUSTER else (own, after.stored.settings)


def _route_under(nearest_first: Iterable[Settings]) -> tuple[Value | None, Value | None]:
    levels = tuple(nearest_first)
    return resolve_one(_ROUTE, *levels), resolve_one(_ALLOWED, *levels)


def _refused(route: Value | None, allowed: Value | None) -> str:
    """Why agents will refuse the route; empty if they will not, or it can't be known here."""
    if allowed is True or not isinstance(route, tuple):
        return ""
    private = list(_private(hop for hop in route if isinstance(hop, str)))
    if not private:
        return ""
    return (
        f"{_ROUTE} leads to {', '.join(private)}, which agents refuse. If the intake is meant to "
        f"be there, set {_ALLOWED}=true too, or deliver.allow_private_targets in agent.toml"
    )


def _private(hops: Iterable[str]) -> Iterator[str]:
    for hop in hops:
        host, _ = split_hop(hop, 25)
        try:
            what = why_private(str(ip_address(host)))
        except ValueError:  # a name, which only the gateway can look up
            continue
        if what:
            yield f"{host} ({what})"
