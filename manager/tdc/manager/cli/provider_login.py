"""`tdc login --provider`: the browser's part of a login, on this machine or on another.

The manager is the provider's client, and has its secret; `tdc` only shows where to go, and brings
back what the provider answers.
"""

from __future__ import annotations

import asyncio
import os
import sys
import webbrowser

from google.protobuf.timestamp_pb2 import Timestamp
from tdc.manager.cli.command import Run
from tdc.manager.cli.errors import Refused
from tdc.manager.cli.layout import Line
from tdc.manager.cli.loopback import listening
from tdc.shared.edge.clock import wall
from tdc.shared.edge.os_words import os_reason
from tdc.v1 import people_pb2, provider_pb2

SLOWER = 5.0
"""Seconds that each `slow_down` adds to the interval (RFC 8628 3.5)."""

_TOO_LATE = "The login took too long. Nothing was changed; begin again."


async def by_redirect(run: Run, *, browser: bool) -> people_pb2.LogInResponse:
    """A session of who logs in in a browser on this machine; opens one if wanted."""
    try:
        async with listening() as loopback:
            async with run.manager(secret=False) as manager:
                begun = await manager.ask(
                    manager.provider.BeginRedirect,
                    provider_pb2.BeginRedirectRequest(redirect_uri=loopback.uri),
                )
            _show(run, f"Log in at {begun.provider}, in a browser on this machine:", begun.url)
            if browser and _has_browser():
                await asyncio.to_thread(webbrowser.open, begun.url)
            try:
                async with asyncio.timeout(_left(begun.ends)):
                    came = await loopback.answer(begun.state)
            except TimeoutError:
                raise Refused(_TOO_LATE) from None
    except OSError as error:
        raise Refused(f"Can't listen on this machine's loopback: {os_reason(error)}.") from None
    if came.error:
        raise Refused(f"The provider refused the login: {came.error}. Nothing was changed.")
    request = provider_pb2.FinishLoginRequest(
        handle=begun.handle, code=came.code, state=came.state, issuer=came.issuer
    )
    async with run.manager(secret=False) as manager:
        return (await manager.ask(manager.provider.FinishLogin, request)).session


async def by_device(run: Run) -> people_pb2.LogInResponse:
    """A session of who types a code in a browser anywhere."""
    async with run.manager(secret=False) as manager:
        request = provider_pb2.BeginDeviceRequest()
        begun = await manager.ask(manager.provider.BeginDevice, request)
        _show(
            run,
            f"Log in at {begun.provider}, in a browser on any machine, with the code "
            f"{begun.user_code}:",
            begun.url,
        )
        if begun.complete_url:
            run.out.tell(
                [Line("Or, with the code in it:"), Line(begun.complete_url, verbatim=True)]
            )
        interval = float(begun.interval)
        finish = provider_pb2.FinishLoginRequest(handle=begun.handle)
        while _left(begun.ends) > interval:
            await asyncio.sleep(interval)
            reply = await manager.ask(manager.provider.FinishLogin, finish)
            if reply.HasField("session"):
                return reply.session
            if reply.pending.slow_down:
                interval += SLOWER
    raise Refused(_TOO_LATE)


def _show(run: Run, words: str, url: str) -> None:
    if not url.startswith(("https://", "http://")):
        raise Refused(f"The manager's answer has no address for a browser: {url[:80]!r}.")
    run.out.tell([Line(words), Line(url, verbatim=True)])


def _left(ends: Timestamp) -> float:
    """Seconds until then, by this machine's clock; at most an hour, whatever clocks say."""
    return min(max(ends.ToMicroseconds() / 1e6 - wall(), 0.0), 3_600.0)


def _has_browser() -> bool:
    """Whether there is one with windows: one in the terminal would take the terminal from us."""
    named = ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY")
    return sys.platform == "darwin" or any(os.environ.get(name) for name in named)
