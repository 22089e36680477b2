"""The one table of routes: pages, forms, and the REST API."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import msgspec
from tdc.manager.web.answers import File
from tdc.manager.web.api import changes as api_changes
from tdc.manager.web.api import fleet as api
from tdc.manager.web.api.openapi import document
from tdc.manager.web.desk import Call
from tdc.manager.web.pages import (
    changes,
    delivery,
    go,
    machines,
    overview,
    people,
    settings,
    setup,
)
from tdc.manager.web.places import PATHS
from tdc.manager.web.routes import API, Handler, LookOf, Open, Route
from tdc.manager.web.statics import STATICS
from tdc.shared.wire.documents import MachineDetailDocument, PlanDocument, WholeCommitDocument
from tdc.shared.wire.people_documents import WhoAmIDocument
from tdc.shared.wire.settings_documents import (
    EffectiveDocument,
    ExplanationDocument,
    LevelDocument,
)

_CLUSTER, _GROUP, _MACHINE = PATHS
_CLUSTER_API = f"{API}/clusters/{{cluster}}"
_MACHINE_API = f"{API}/machines/{{machine}}"
_LEVEL_API = f"{API}/levels/{{level}}/{{name}}/settings"


class OpenApi(msgspec.Struct, frozen=True):
    """The OpenAPI document itself."""

    openapi: str
    info: dict[str, str]
    paths: dict[str, Any]


def _page(
    path: str,
    permission: str | Open,
    handler: Handler,
    does: str,
    query: type[msgspec.Struct] | None = None,
    look: LookOf | None = None,
) -> Route:
    return Route("GET", path, permission, handler, does, query=query, look=look)


def _form(
    path: str,
    permission: str | Open,
    handler: Handler,
    does: str,
    takes: type[msgspec.Struct] | None = None,
) -> Route:
    return Route("POST", path, permission, handler, does, takes=takes)


def _pages() -> Iterator[Route]:
    yield _page("/", "monitoring.read_status", overview.overview, "Overview", look=overview.look)
    yield _page("/login", Open.LOGIN, people.login, "Log in", people.LoginAsked)
    yield _form("/login", Open.LOGIN, people.log_in, "Log in", people.LoginSent)
    yield _page("/setup", Open.SETUP, setup.setup, "Set up: the first user", setup.SetupAsked)
    yield _form("/setup", Open.SETUP, setup.set_up, "Make the first user", setup.SetupSent)
    yield _form("/logout", "people.end_sessions", people.log_out, "Log out")
    yield _page("/me", "people.who_am_i", people.me, "Me: role, sessions, API tokens")
    yield _page("/go", "fleet.list_clusters", go.go, "Go to a level", go.GoAsked)
    yield _page("/static/{name}", Open.STATIC, STATICS.serve, "The console's own files")
    yield _page("/changes", "drafts.list", changes.drafts, "Changes: drafts")
    for path in PATHS:
        at = f"{path}/settings"
        yield _page(
            at,
            "settings.read_level",
            settings.settings,
            "Threat Defense Connector: what is in force, from where",
            settings.SettingsAsked,
            settings.look,
        )
        yield _page(f"{at}/edit", "drafts.change", settings.edit, "Edit settings")
        yield _form(at, "drafts.change", settings.submit, "Submit to the draft", settings.FormSent)
        yield _form(
            f"{at}/reset",
            "drafts.change",
            settings.reset,
            "Reset a setting to inherited",
            settings.ResetSent,
        )
        yield _page(
            f"{path}/delivery",
            "monitoring.read_delivery",
            delivery.delivery,
            "Delivery Status",
            look=delivery.look,
        )
    for path in (_CLUSTER, _GROUP):
        yield _page(
            f"{path}/machines",
            "monitoring.read_status",
            machines.machines,
            "Machines",
            machines.MachinesAsked,
            machines.look_at_machines,
        )
    yield _page(
        _MACHINE,
        "monitoring.read_status",
        machines.machine,
        "One machine",
        look=machines.look_at_machine,
    )
    yield _form(
        f"{_MACHINE}/suspend",
        "suspensions.suspend",
        machines.suspend,
        "Suspend work on a machine",
        machines.SuspendSent,
    )
    yield _form(
        f"{_MACHINE}/resume",
        "suspensions.resume",
        machines.resume,
        "Resume work on a machine",
        machines.ResumeSent,
    )
    yield _page(
        f"{_CLUSTER}/changes",
        "drafts.read",
        changes.changes,
        "A draft, and what committing it would do",
        changes.ChangesAsked,
        changes.look,
    )
    yield _form(
        f"{_CLUSTER}/changes",
        "drafts.change",
        changes.change_draft,
        "Discard, restore or share a draft, or decide on a row",
        changes.DraftSent,
    )
    yield _form(
        f"{_CLUSTER}/changes/commit",
        "changes.commit",
        changes.commit,
        "Commit Changes",
        changes.CommitSent,
    )


def _api() -> Iterator[Route]:
    yield Route(
        "GET", f"{API}/me", "people.who_am_i", api.who_am_i,
        "Whom the manager takes the caller for", gives=WhoAmIDocument,
    )  # fmt: skip
    yield Route(
        "GET", f"{API}/settings", "settings.read_level", api.list_settings,
        "The settings that there are", gives=api.SettingList,
    )  # fmt: skip
    yield Route(
        "GET", f"{API}/clusters", "fleet.list_clusters", api.list_clusters,
        "Clusters in reach", gives=api.ClusterList,
    )  # fmt: skip
    yield Route(
        "GET", f"{API}/machines", "monitoring.read_status", api.list_machines,
        "Machines with their state, a page at a time",
        query=api.MachinesAsked, gives=api.MachineList,
    )  # fmt: skip
    yield Route(
        "GET", _MACHINE_API, "fleet.list_machines", api.read_machine,
        "One machine with its status", query=api.InCluster, gives=MachineDetailDocument,
    )  # fmt: skip
    yield Route(
        "GET", f"{_MACHINE_API}/effective", "settings.read_effective", api.read_effective,
        "What is in force on a machine, with origins",
        query=api.InCluster, gives=EffectiveDocument,
    )  # fmt: skip
    yield Route(
        "GET", f"{_MACHINE_API}/explain", "settings.explain", api.explain,
        "Why a value is in force on a machine",
        query=api.ExplainAsked, gives=ExplanationDocument,
    )  # fmt: skip
    yield Route(
        "GET", f"{API}/delivery", "monitoring.read_delivery", api.read_delivery,
        "Delivery by machine and destination", query=api.DeliveryAsked, gives=api.DeliveryList,
    )  # fmt: skip
    yield Route(
        "GET", _LEVEL_API, "settings.read_level", api_changes.read_level,
        "What is present at a level", query=api_changes.LevelAskedFor, gives=LevelDocument,
    )  # fmt: skip
    yield Route(
        "PATCH", _LEVEL_API, "changes.commit", api_changes.patch_level,
        "Change a level's settings by a merge patch",
        query=api_changes.PatchAsked, takes=api_changes.LevelPatch, gives=api_changes.Patched,
        must=(api_changes.IF_MATCH, api_changes.IDEMPOTENCY_KEY),
    )  # fmt: skip
    yield Route(
        "POST", f"{_CLUSTER_API}/plans", "changes.plan", api_changes.make_plan,
        "Plan what a commit would do", takes=api_changes.PlanAsked, gives=PlanDocument,
    )  # fmt: skip
    yield Route(
        "POST", f"{_CLUSTER_API}/commits", "changes.commit", api_changes.make_commit,
        "Commit what was planned", takes=api_changes.CommitAsked, gives=api_changes.Committed,
        status=201, must=(api_changes.IF_MATCH, api_changes.IDEMPOTENCY_KEY),
    )  # fmt: skip
    yield Route(
        "GET", f"{_CLUSTER_API}/commits", "changes.list_commits", api_changes.list_commits,
        "A cluster's history, newest first",
        query=api_changes.CommitsAsked, gives=api_changes.CommitList,
    )  # fmt: skip
    yield Route(
        "GET", f"{_CLUSTER_API}/commits/{{revision}}", "changes.read_commit",
        api_changes.read_commit, "One commit, with what it changed", gives=WholeCommitDocument,
    )  # fmt: skip
    yield Route(
        "GET", f"{API}/openapi.json", "people.who_am_i", _openapi,
        "This API as an OpenAPI 3.1 document", gives=OpenApi,
    )  # fmt: skip


async def _openapi(_: Call) -> File:
    return File(_DOCUMENT, "application/json")


TABLE: tuple[Route, ...] = (*_pages(), *_api())
"""Every route there is."""

_DOCUMENT = msgspec.json.encode(document(TABLE, version("threat-defense-connector")))
