"""What a route is, and what a table of them must hold before the console starts.

A row says the method, the path, the permission (`intent.permissions`) and the types of what is
asked and answered. From the rows alone come the routes, the check of permissions, the OpenAPI
document and docs/console.md.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import Enum

import msgspec
from tdc.manager.intent.permissions import PERMISSIONS, PermissionTableError
from tdc.manager.web.answers import Answer, Look
from tdc.manager.web.desk import Call

Handler = Callable[[Call], Awaitable[Answer]]
LookOf = Callable[[Call], Awaitable[Look]]

API = "/api/v1"
"""Where the REST API begins."""
LIVE = "/live"
"""Before a page's address: the events of that page."""

_NAME = re.compile(r"\{([a-z_]+)(?::int)?\}")


class Open(Enum):
    """Why a route needs no permission: each is named, so that none is forgotten."""

    LOGIN = "here one says who one is"
    STATIC = "a file of the program, the same for everybody"
    SETUP = "it has a secret of its own, and there is nobody yet"


@dataclass(frozen=True, slots=True)
class Route:
    """One row. `does` is what it does, a sentence for the reference.

    `query` and `takes` are what the query and the body must be, None for none; `gives` is what
    the API answers with `status`. `look` looks at the values of a page that change.
    """

    method: str
    path: str
    permission: str | Open
    handler: Handler
    does: str
    query: type[msgspec.Struct] | None = None
    takes: type[msgspec.Struct] | None = None
    gives: type[msgspec.Struct] | None = None
    status: int = 200
    look: LookOf | None = None
    must: tuple[str, ...] = ()
    """Headers without which the API refuses a request, by 428."""

    @property
    def of_api(self) -> bool:
        """Whether it is of the REST API."""
        return self.path.startswith(API)

    @property
    def unsafe(self) -> bool:
        """Whether it may change something."""
        return self.method not in ("GET", "HEAD")

    @property
    def names(self) -> tuple[str, ...]:
        """The names in its path."""
        return tuple(_NAME.findall(self.path))


def check_routes(table: Iterable[Route]) -> None:
    """Raise PermissionTableError unless every route has a permission that exists, once."""
    rows = list(table)
    faults = []
    for row in rows:
        where = f"{row.method} {row.path}"
        if not isinstance(row.permission, Open) and row.permission not in PERMISSIONS:
            faults.append(f"the route {where} has no permission of the table: {row.permission!r}")
        if row.of_api and isinstance(row.permission, Open):
            faults.append(f"the route {where} is of the API, and open to anybody")
        if row.of_api and row.gives is None:
            faults.append(f"the route {where} does not say what it answers")
        if row.look is not None and row.unsafe:
            faults.append(f"the route {where} has events, and is no page")
    counted = Counter((row.method, _NAME.sub("{}", row.path)) for row in rows)
    faults += [f"{count} routes are {at[0]} {at[1]}" for at, count in counted.items() if count > 1]
    if faults:
        raise PermissionTableError("; ".join(faults) + ". The manager does not start.")
