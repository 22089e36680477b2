"""Before each handler: who asks, whether he may, and only then what.

In: a request and its row of the table. Out: the answer of the row's handler, or why not.
Promise: the same actors, sessions, roles, reach, refusals and entries of the audit log as at the
ports of gRPC; a request is not read before its caller may make it.
"""

from __future__ import annotations

import ipaddress
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

import msgspec
from starlette.requests import Request
from tdc.manager.identity.rates import counted_as, plain
from tdc.manager.intent.actor import Actor
from tdc.manager.intent.errors import NotKnown
from tdc.manager.intent.permissions import require
from tdc.manager.intent.refused import of_caller, of_failure
from tdc.manager.web.answers import Answer, See
from tdc.manager.web.asked import body_of, form_in, json_in, query_in
from tdc.manager.web.desk import Call, Desk
from tdc.manager.web.failed import OURS, Failed, Refused, failed
from tdc.manager.web.headers import from_elsewhere, secret_of
from tdc.manager.web.routes import Open, Route

log = logging.getLogger(__name__)

_BEARER = "Bearer "


class NothingAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A query or form without fields."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A request that failed: how, for whom as far as is known, and its id."""

    how: Failed
    who: Actor | None
    id: str


class Gate:
    """Lets requests in to handlers."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def answer(self, row: Route, request: Request) -> tuple[Answer | Ended, Actor | None]:
        """Answer one request; whatever fails is Ended."""
        who: Actor | None = None
        asked: _Asked | None = None
        try:
            who = self.caller(row, request)
            if who is None and not isinstance(row.permission, Open):
                return See(f"/login?next={quote(_back(row, request))}"), None
            call = await self._call(row, request, who)
            asked = _Asked(call)
            return await row.handler(call), who
        except Exception as error:
            return self._ended(row, request, who, error, asked), who

    def caller(self, row: Route, request: Request, *, used: bool = True) -> Actor | None:
        """Who asks, if he may; None for nobody, at a page.

        Raises Refused, NotKnown, NotPermitted.
        """
        headers = request.headers
        secret, by_token = secret_of(headers), False
        given = headers.get("authorization", "")
        if row.of_api and given.startswith(_BEARER):
            secret, by_token = given.removeprefix(_BEARER), True
        if row.unsafe and not by_token:
            why = from_elsewhere(headers, cookie=bool(secret))
            if why:
                raise Refused(403, "from-elsewhere", f"Nothing was done: {why}.")
        if isinstance(row.permission, Open):
            return None
        if not secret:
            if row.of_api:
                raise NotKnown("this needs a session or an API token, and the request carries none")
            return None
        try:
            who = self._desk.access.by_secret(secret, origin_of(request), used=used)
        except NotKnown as error:
            origin = origin_of(request)
            log.warning("refused: %s from %s: %s", row.permission, origin, error)
            self._desk.refused(of_caller(row.permission, None, origin, str(error)))
            if row.of_api:
                raise
            return None
        require(who, row.permission)
        return who

    async def call(self, row: Route, request: Request, *, used: bool = True) -> Call | None:
        """The call that a request without a body is; None for nobody."""
        who = self.caller(row, request, used=used)
        return None if who is None else await self._call(row, request, who)

    async def _call(self, row: Route, request: Request, who: Actor | None) -> Call:
        missing = [name for name in row.must if name not in request.headers]
        if missing:
            raise Refused(
                428, "header-missing", f"This needs the header {missing[0]}: see the reference."
            )
        query = query_in(request.scope["query_string"], row.query or NothingAsked)
        body: msgspec.Struct | None = None
        if row.unsafe:
            raw = await body_of(request.stream(), request.headers.get("content-length", ""))
            body = _body(row, raw, request.headers.get("content-type", ""))
        return Call(
            desk=self._desk,
            who=who,
            origin=origin_of(request),
            address=address_of(request),
            at=request.url.path,
            path=request.path_params,
            query=query if row.query else None,
            body=body,
            headers=request.headers,
        )

    def _ended(
        self,
        row: Route,
        request: Request,
        who: Actor | None,
        error: Exception,
        asked: _Asked | None,
    ) -> Ended:
        number = secrets.token_hex(8)
        how = failed(error)
        if how is None:
            log.error("%s %s (%s) failed", row.method, row.path, number, exc_info=error)
            return Ended(OURS, who, number)
        if who is not None and not isinstance(row.permission, Open):
            event = of_failure(row.permission, who, error, asked)
            if event is not None:
                self._desk.refused(event)
        who_shown = who or origin_of(request)
        log.info("%s %s by %s: %d: %r", row.method, row.path, who_shown, how.status, how.sentence)
        return Ended(how, who, number)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is written down of a request that was refused."""

    call: Call

    @property
    def cluster(self) -> str:
        return self.call.path.get("cluster", "")

    @property
    def request_id(self) -> str:
        return self.call.headers.get("idempotency-key", "")[:100]


def _body(row: Route, raw: bytes, kind: str) -> msgspec.Struct | None:
    wanted = "application/x-www-form-urlencoded"
    if not row.of_api:
        if raw and kind.partition(";")[0].strip().lower() != wanted:
            raise Refused(415, "wrong-kind", f"A form is sent as {wanted}.")
        found = form_in(raw, row.takes or NothingAsked)
        return found if row.takes else None
    if row.takes is None:
        if raw.strip():
            raise Refused(422, "wrong-request", "This takes no body.")
        return None
    plain_kind = kind.partition(";")[0].strip().lower()
    if plain_kind not in ("application/json", "application/merge-patch+json"):
        raise Refused(415, "wrong-kind", "A body is sent as application/json.")
    return json_in(raw, row.takes)


def _back(row: Route, request: Request) -> str:
    """The address to go back to after a login: that of a page, never of what changes something."""
    if row.unsafe:
        return "/"
    query = request.url.query
    return request.url.path + (f"?{query}" if query else "")


def origin_of(request: Request) -> str:
    """The caller's address and port, for logs."""
    if request.client is None:
        return "unknown"
    host, port = request.client
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def address_of(request: Request) -> str:
    """Whom a caller is counted as."""
    host = request.client.host if request.client is not None else ""
    try:
        return counted_as(plain(ipaddress.ip_address(host.partition("%")[0])))
    except ValueError:
        return "unknown"


Made = Callable[[Request], object]
