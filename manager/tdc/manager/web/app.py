"""The table of routes as a web application: requests in, bytes out, the same headers on all.

In: ASGI. Out: what handlers answered, drawn. Promise: every answer has the headers of `headers`,
and errors say nothing of the inside: pages to people, problems to programs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, MutableMapping
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route as Path
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from tdc.manager.intent.actor import Actor
from tdc.manager.web.answers import Answer, Document, File, Page, See
from tdc.manager.web.desk import Desk
from tdc.manager.web.drawing import drawn
from tdc.manager.web.failed import OURS, ErrorDocument, Failed, failed
from tdc.manager.web.frame import frame_of
from tdc.manager.web.gate import Ended, Gate
from tdc.manager.web.headers import ALWAYS, NOT_KEPT
from tdc.manager.web.live import Streams
from tdc.manager.web.routes import API, LIVE, Route

SEND_TIME = 30.0
"""Seconds in which a browser must take what is sent to it."""

_EVENTS = "text/event-stream"


def application(desk: Desk, table: Iterable[Route]) -> tuple[ASGIApp, Streams]:
    """Make the application of a table that was checked, and the streams that it has open."""
    gate = Gate(desk)
    streams = Streams(gate, desk.name)
    shown = _Shown(desk, gate, streams)
    paths: list[Path] = []
    for row in table:
        paths.append(Path(row.path, shown.endpoint(row), methods=[row.method]))
        if row.look is not None:
            at = LIVE if row.path == "/" else LIVE + row.path
            paths.append(Path(at, shown.events(row), methods=["GET"]))
    made = Starlette(
        routes=paths,
        exception_handlers={HTTPException: shown.not_there, Exception: shown.fault},
    )
    made.router.redirect_slashes = False
    return _Headed(made), streams


class _Shown:
    """Answers as responses."""

    def __init__(self, desk: Desk, gate: Gate, streams: Streams) -> None:
        self._desk = desk
        self._gate = gate
        self._streams = streams

    def endpoint(self, row: Route) -> Any:
        async def answered(request: Request) -> Response:
            answer, who = await self._gate.answer(row, request)
            if isinstance(answer, Ended):
                return await self._ended(request, answer, of_api=row.of_api)
            return await self._response(request, answer, who)

        return answered

    def events(self, row: Route) -> Any:
        async def streamed(request: Request) -> Response:
            try:
                events = await self._streams.begin(row, request)
            except Exception as error:
                how = failed(error)
                if how is None:
                    raise
                return Response(how.sentence, how.status, media_type="text/plain")
            if events is None:
                return Response("log in again", 401, media_type="text/plain")
            return StreamingResponse(events, media_type=_EVENTS)

        return streamed

    async def not_there(self, request: Request, error: Exception) -> Response:
        """Answer for an address or method that no row has."""
        status = error.status_code if isinstance(error, HTTPException) else 404
        sentence = "There is no such page here." if status == 404 else "This can't be asked here."
        how = Failed(status, "unknown" if status == 404 else "wrong-method", sentence)
        headers = dict(getattr(error, "headers", None) or {})
        of_api = request.url.path.startswith(API)
        response = await self._ended(request, Ended(how, None, ""), of_api=of_api)
        response.headers.update(headers)
        return response

    async def fault(self, request: Request, error: Exception) -> Response:
        """Answer for a fault of ours; Starlette raises it again, and it is logged."""
        of_api = request.url.path.startswith(API)
        return await self._ended(request, Ended(OURS, None, ""), of_api=of_api)

    async def _ended(self, request: Request, ended: Ended, *, of_api: bool) -> Response:
        how = ended.how
        headers = {"retry-after": "5"} if how.status in (429, 503) else {}
        if of_api:
            faults = (ErrorDocument(how.sentence),)
            problem = how.document(f"urn:tdc:request:{ended.id}" if ended.id else "", faults)
            if how.status == 401:
                headers["www-authenticate"] = "Bearer"
            return Response(
                msgspec.json.encode(problem), how.status, headers, "application/problem+json"
            )
        values = {"title": _TITLES.get(how.status, "This did not work"), "how": how, "id": ended.id}
        page = Page("error.html", values, how.status, headers=headers)
        return await self._response(request, page, ended.who)

    async def _response(self, request: Request, answer: Answer, who: Actor | None) -> Response:
        match answer:
            case Page():
                frame = await frame_of(self._desk, request, who, answer.values)
                text = drawn(answer, who, frame)
                headers = dict(answer.headers)
                return Response(text, answer.status, headers, "text/html; charset=utf-8")
            case See(address, headers):
                response = Response(b"", 303, {"location": address})
                for name, value in headers:
                    response.headers.append(name, value)
                return response
            case Document(value, status, headers):
                content = msgspec.json.encode(value)
                return Response(content, status, dict(headers), "application/json")
            case File(content, kind, headers):
                return Response(content, 200, dict(headers), kind)


_TITLES = {
    400: "This can't be read",
    401: "Log in first",
    403: "This is not for you",
    404: "Not found",
    409: "This can't be done now",
    412: "The plan has changed",
    413: "This is too long",
    422: "Something in it is not right",
    429: "Wait a little",
    500: "The manager failed",
    503: "The store is away",
}


class _Headed:
    """Puts the headers on each answer, and gives up on who does not take it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return

        async def headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                _add_headers(message)
            async with asyncio.timeout(SEND_TIME):
                await send(message)

        await self._app(scope, receive, headed)


def _add_headers(message: MutableMapping[str, Any]) -> None:
    given = {name.lower() for name, _ in message["headers"]}
    for name, value in (*ALWAYS, NOT_KEPT):
        if name.encode() not in given:
            message["headers"].append((name.encode(), value.encode()))
