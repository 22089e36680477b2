"""Reads of the API: clusters, machines, what is in force there and why, who one is."""

from __future__ import annotations

import msgspec
from tdc.manager.intent.monitoring import StatusAsked
from tdc.manager.messages import settings as settings_messages
from tdc.manager.messages import wire
from tdc.manager.messages.monitoring import delivery_rows, status_row
from tdc.manager.web.answers import Document
from tdc.manager.web.desk import Call
from tdc.manager.web.failed import Refused
from tdc.shared.wire import answers, people_answers, queue_answers, settings_answers
from tdc.shared.wire.documents import (
    ClusterDocument,
    MachineDetailDocument,
    StatusDocument,
)
from tdc.shared.wire.moments import rfc3339, timestamp
from tdc.shared.wire.people_documents import (
    GoneDocument,
    GroupNameDocument,
    ReachDocument,
    WhoAmIDocument,
)
from tdc.shared.wire.queue_documents import DeliveryDocument
from tdc.shared.wire.settings_documents import SettingDocument, setting_documents

A_PAGE, MOST = 50, 200
"""Items on a page, if the request does not say how many, and at most."""


class ClusterList(msgspec.Struct, frozen=True):
    """The clusters in reach."""

    items: tuple[ClusterDocument, ...]


class MachinesAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which machines: `q` is in the name; `cursor` is `next` of the page before."""

    cluster: str = ""
    group: str = ""
    state: str = ""
    q: str = ""
    limit: int = A_PAGE
    cursor: str = ""


class MachineList(msgspec.Struct, frozen=True):
    """A page of machines by name. `counts` are of all in the clusters and groups asked for, by
    state; empty on later pages. `next` is the cursor of the next page, empty after the last.
    """

    items: tuple[StatusDocument, ...]
    next: str
    counts: dict[str, int]
    as_of: str
    warnings: tuple[str, ...]


class InCluster(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The cluster, needed where a name is in several."""

    cluster: str = ""


class ExplainAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The setting, all without it."""

    cluster: str = ""
    setting: str = ""


class DeliveryAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose delivery, of all without names."""

    cluster: str = ""
    machine: str = ""


class DeliveryList(msgspec.Struct, frozen=True):
    """Delivery by machine and destination, as last reported."""

    items: tuple[DeliveryDocument, ...]
    warnings: tuple[str, ...]


class SettingList(msgspec.Struct, frozen=True):
    """The settings that there are."""

    items: tuple[SettingDocument, ...]


async def list_clusters(call: Call) -> Document:
    """List the clusters in reach."""
    rows = await call.to.fleet.list_clusters(call.actor, "")
    items = tuple(ClusterDocument(row.name, row.revision, row.groups, row.machines) for row in rows)
    return Document(ClusterList(items))


async def list_machines(call: Call) -> Document:
    """List machines with their state, a page at a time."""
    asked = call.asked(MachinesAsked)
    if not 1 <= asked.limit <= MOST:
        raise Refused(422, "wrong-request", f"limit must be 1 to {MOST}")
    states = (asked.state,) if asked.state else ()
    found = await call.to.monitoring.read_status(
        call.actor,
        StatusAsked(
            asked.cluster, asked.group, "", states, asked.limit, asked.cursor, part=asked.q
        ),
    )
    items = tuple(answers.status(status_row(row)) for row in found.machines)
    as_of = rfc3339(timestamp(call.desk.clock()))
    return Document(MachineList(items, found.next, dict(found.by_state), as_of, found.warnings))


async def read_machine(call: Call) -> Document:
    """Read one machine with its status."""
    name, cluster = call.path["machine"], call.asked(InCluster).cluster
    (row,) = await call.to.fleet.list_machines(call.actor, cluster, "", name)
    found = await call.to.monitoring.read_status(call.actor, StatusAsked(row.cluster, "", name))
    made = MachineDetailDocument(
        name=row.name,
        group=row.group,
        cluster=row.cluster,
        enrolled=row.enrolled,
        overrides=row.overrides,
        status=answers.status(status_row(found.machines[0])),
    )
    return Document(made)


async def read_effective(call: Call) -> Document:
    """Read what is in force on a machine, with origins."""
    cluster = call.asked(InCluster).cluster
    found = await call.to.settings.read_effective(call.actor, call.path["machine"], cluster)
    return Document(settings_answers.effective(wire.effective_to_wire(found)))


async def explain(call: Call) -> Document:
    """Explain why a value is in force on a machine: each level, and who set it."""
    asked = call.asked(ExplainAsked)
    found = await call.to.settings.explain(
        call.actor, call.path["machine"], asked.cluster, asked.setting
    )
    return Document(settings_answers.explanation(settings_messages.explanation_to_wire(found)))


async def list_settings(call: Call) -> Document:
    """List the settings that there are, with defaults and limits."""
    return Document(SettingList(setting_documents()))


async def read_delivery(call: Call) -> Document:
    """Read delivery by machine and destination."""
    asked = call.asked(DeliveryAsked)
    found = await call.to.monitoring.read_delivery(call.actor, asked.cluster, asked.machine)
    items = tuple(
        queue_answers.delivery(row) for each in found.machines for row in delivery_rows(each)
    )
    return Document(DeliveryList(items, found.warnings))


async def who_am_i(call: Call) -> Document:
    """Say whom the manager takes the caller for."""
    found = await call.to.proofs.who_am_i(call.actor)
    actor, reach = found.actor, None
    if not actor.reach.everywhere:
        groups = tuple(GroupNameDocument(*key) for key in sorted(actor.reach.groups))
        gone = tuple(GoneDocument(home, group or None) for home, group in sorted(actor.reach.gone))
        reach = ReachDocument(tuple(sorted(actor.reach.clusters)), groups, gone)
    made = WhoAmIDocument(
        name=actor.name,
        role=people_answers.role_word(str(actor.role)),
        reach=reach,
        means=str(actor.means),
        origin=actor.origin,
        user=found.is_user,
        ends=None if found.ends is None else rfc3339(timestamp(found.ends)),
    )
    return Document(made)
