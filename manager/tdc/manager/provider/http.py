"""HTTP to the provider: the one file that knows httpx.

Promise: an answer comes within TIMEOUT seconds or not at all, and is at most LONGEST bytes; no
redirect is followed, no proxy and no password of the environment is used; TLS 1.2 at least.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec
from tdc.manager.provider.metadata import refusal_of
from tdc.manager.provider.values import ProviderAway
from tdc.shared.edge.os_words import os_reason

if TYPE_CHECKING:
    import httpx

TIMEOUT = 10.0
"""Seconds for one question and its answer."""
LONGEST = 256 * 1024
"""Bytes of an answer."""


class Http:
    """Asks one provider. `ca` is the file of CAs to trust; empty for the system's."""

    def __init__(self, ca: str) -> None:
        self._ca = ca
        self._trust: ssl.SSLContext | None = None

    async def get(self, url: str, token: str = "") -> object:
        """The JSON document at `url`, asked for with an access token if there is one.

        Raises ProviderAway, ProviderRefused.
        """
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return await self._asked("GET", url, None, headers)

    async def post(self, url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> object:
        """The JSON answer to a form; raises ProviderAway, ProviderRefused."""
        return await self._asked("POST", url, form, headers)

    async def _asked(
        self, method: str, url: str, form: Mapping[str, str] | None, headers: Mapping[str, str]
    ) -> object:
        import httpx  # noqa: PLC0415  # only who logs in by provider pays for it

        # It writes a line for each request at INFO, into our log.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        plain = {"Accept": "application/json", "Accept-Encoding": "identity", **headers}
        try:
            async with (
                asyncio.timeout(TIMEOUT),
                httpx.AsyncClient(
                    verify=self._trusted(), trust_env=False, follow_redirects=False, timeout=TIMEOUT
                ) as client,
                client.stream(method, url, data=form, headers=plain) as response,
            ):
                status, body = response.status_code, await _body(response)
        except TimeoutError:
            raise ProviderAway(f"no answer within {TIMEOUT:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError) as error:
            raise ProviderAway(_in_words(error)) from None
        try:
            document = msgspec.json.decode(body) if body else None
        except (msgspec.DecodeError, RecursionError):
            document = None
        if status != 200:
            raise refusal_of(status, document)
        return document

    def _trusted(self) -> ssl.SSLContext:
        if self._trust is None:
            try:
                trust = ssl.create_default_context(cafile=self._ca or None)
            except OSError as error:
                why = os_reason(error)
                raise ProviderAway(f"oidc_ca {self._ca} can't be used: {why}") from None
            trust.minimum_version = ssl.TLSVersion.TLSv1_2
            self._trust = trust
        return self._trust


async def _body(response: httpx.Response) -> bytes:
    """The body as sent; raises ProviderAway above LONGEST bytes."""
    parts, size = [], 0
    async for part in response.aiter_raw():
        size += len(part)
        if size > LONGEST:
            raise ProviderAway(f"its answer has more than {LONGEST // 1024} KiB")
        parts.append(part)
    return b"".join(parts)


def _in_words(error: Exception) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted: {cause.verify_message}"
        if isinstance(cause, OSError) and cause.errno:
            return os_reason(cause)
        cause = cause.__cause__ or cause.__context__
    return str(error)[:200] or type(error).__name__
