"""The OpenAPI 3.1 document of the API: made of the table of routes alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from tdc.manager.intent.permissions import PERMISSIONS, Permission
from tdc.manager.web.failed import Refusal
from tdc.manager.web.routes import API, Open, Route

_REF = "#/components/schemas/{name}"
_PROBLEM = "application/problem+json"
_REFUSED = {
    "400": "the request can't be read",
    "401": "no session or API token, or one that has ended",
    "403": "the caller's role or reach is not enough",
    "404": "there is no such cluster, group, machine or revision",
    "409": "it can't be done now: somebody else was first, or something stored is in the way",
    "422": "the request is wrong, or its result would be: every fault is named",
    "429": "too often",
    "500": "the manager failed",
    "503": "the store is away",
}
_WITH_BODY = {"413": "the body is too long", "415": "the body is of another kind"}
_WITH_TAG = {"412": "the ETag is of another state", "428": "a header is missing"}


def document(table: Iterable[Route], version: str) -> dict[str, Any]:
    """Make the document of the rows that are of the API."""
    rows = [row for row in table if row.of_api]
    types = [kind for row in rows for kind in (row.takes, row.gives, row.query) if kind]
    schemas, components = msgspec.json.schema_components(
        [*dict.fromkeys(types), Refusal], ref_template=_REF
    )
    by_type = dict(zip([*dict.fromkeys(types), Refusal], schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for row in rows:
        paths.setdefault(row.path, {})[row.method.lower()] = _operation(row, by_type, components)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Threat Defense Connector manager", "version": version},
        "servers": [{"url": "/"}],
        "security": [{"token": []}, {"session": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "__Host-tdc"},
            },
        },
    }


def _operation(row: Route, by_type: dict[Any, Any], components: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "operationId": f"{row.method.lower()}{row.path.removeprefix(API)}".translate(_PLAIN),
        "summary": row.does,
        "description": needs(row),
        "parameters": [*_in_path(row), *_in_query(row, by_type, components), *_in_headers(row)],
        "responses": {
            str(row.status): {
                "description": "done",
                "content": {"application/json": {"schema": by_type[row.gives]}},
            },
            **{code: _problem(why) for code, why in _refusals(row)},
        },
    }
    if row.status == 201:
        made["responses"]["200"] = made["responses"]["201"]
    if row.takes is not None:
        made["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": by_type[row.takes]}},
        }
    return made


_PLAIN = str.maketrans({"/": "_", "{": "", "}": "", ".": "_", "-": "_"})


def needs(row: Route) -> str:
    """What a caller needs for a route, in words."""
    if isinstance(row.permission, Open):
        return f"Open to anybody: {row.permission.value}."
    found: Permission = PERMISSIONS[row.permission]
    return f"Needs {row.permission}: at least {found.role}, who reaches {found.extent.value}."


def _refusals(row: Route) -> Iterator[tuple[str, str]]:
    yield from _REFUSED.items()
    if row.unsafe:
        yield from _WITH_BODY.items()
    if row.must:
        yield from _WITH_TAG.items()


def _problem(why: str) -> dict[str, Any]:
    schema = {"$ref": _REF.format(name=Refusal.__name__)}
    return {"description": why, "content": {_PROBLEM: {"schema": schema}}}


def _in_path(row: Route) -> Iterator[dict[str, Any]]:
    for name in row.names:
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _in_query(
    row: Route, by_type: dict[Any, Any], components: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    if row.query is None:
        return
    name = by_type[row.query]["$ref"].rpartition("/")[2]
    for field, schema in components[name].get("properties", {}).items():
        yield {"name": field, "in": "query", "required": False, "schema": schema}


def _in_headers(row: Route) -> Iterator[dict[str, Any]]:
    for name in row.must:
        yield {"name": name, "in": "header", "required": True, "schema": {"type": "string"}}
