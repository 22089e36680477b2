"""The manager as the client of one provider.

What the provider says of itself and its keys are kept for an hour. A proof by a key that is not
known has the keys read again, at most once in REFRESH seconds: so a new key is found at once, and
forged proofs don't have us ask without end.
"""

from __future__ import annotations

from collections.abc import Mapping

from tdc.manager.provider import asking, metadata
from tdc.manager.provider.http import Http
from tdc.manager.provider.kept import Kept
from tdc.manager.provider.proof import proven
from tdc.manager.provider.values import (
    Claims,
    DeviceCode,
    Metadata,
    NotOffered,
    NotProven,
    ProviderAway,
    ProviderRefused,
    Registration,
    Tokens,
    UnknownKey,
)
from tdc.shared.edge.clock import Clock, monotonic
from tdc.shared.edge.os_words import os_reason

KEPT = 3_600.0
REFRESH = 60.0
"""Seconds, as above."""

Keys = tuple[dict[str, object], ...]


class ProviderClient:
    """Asks one provider. Each call raises ProviderAway where it does not answer."""

    def __init__(self, own: Registration, clock: Clock = monotonic) -> None:
        """`clock` is monotonic."""
        self.own = own
        self._http = Http(own.ca)
        self._metadata = Kept(self._read_metadata, clock)
        self._keys = Kept(self._read_keys, clock)

    async def about(self) -> Metadata:
        """What the provider says of itself."""
        return await self._metadata.get(KEPT)

    async def url(self, redirect: str, state: str, nonce: str, verifier: str) -> str:
        """The address at which a browser begins a login."""
        about = await self.about()
        return asking.authorization_url(about, self.own, redirect, state, nonce, verifier)

    async def begin_device(self) -> DeviceCode:
        """Begin a login by device; raises NotOffered, ProviderRefused."""
        about = await self.about()
        if not about.device:
            raise NotOffered("it does not offer logins by device")
        answer = await self._posted(about.device, {"scope": " ".join(self.own.scopes)})
        return metadata.read_device(answer, near=self.own.issuer.startswith("http:"))

    async def redeem(self, code: str, redirect: str, verifier: str) -> Tokens:
        """Exchange a code of a redirect; raises ProviderRefused."""
        about = await self.about()
        form = asking.code_form(code, redirect, verifier)
        return metadata.read_tokens(await self._posted(about.token, form))

    async def poll(self, device_code: str) -> Tokens:
        """Exchange a device's code; raises ProviderRefused, with its code while it is pending."""
        about = await self.about()
        form = asking.device_form(device_code)
        return metadata.read_tokens(await self._posted(about.token, form))

    async def identify(self, tokens: Tokens, nonce: str, wanted: tuple[str, ...]) -> Claims:
        """What the provider vouches for; raises NotProven.

        Those of the `wanted` claims that the ID token lacks are asked for at the provider.
        """
        about = await self.about()
        try:
            claims = self._proven(tokens, about, await self._keys.get(KEPT), nonce)
        except UnknownKey:
            claims = self._proven(tokens, about, await self._keys.get(REFRESH), nonce)
        if not about.userinfo or all(name in claims for name in wanted):
            return claims
        more = await self._http.get(about.userinfo, tokens.access_token)
        if not isinstance(more, dict) or more.get("sub") != claims["sub"]:
            raise NotProven("what the provider says of this person is of another (sub)")
        return {**more, **claims}

    def _proven(self, tokens: Tokens, about: Metadata, keys: Keys, nonce: str) -> Claims:
        own = self.own
        return proven(tokens, keys, about.algorithms, own.issuer, own.client_id, nonce)

    async def _read_metadata(self) -> Metadata:
        issuer = self.own.issuer
        try:
            document = await self._http.get(issuer.rstrip("/") + metadata.DOCUMENT)
        except ProviderRefused as error:
            raise ProviderAway(str(error)) from None
        return metadata.read_metadata(document, issuer)

    async def _read_keys(self) -> Keys:
        about = await self.about()
        try:
            return metadata.read_keys(await self._http.get(about.keys))
        except ProviderRefused as error:
            raise ProviderAway(str(error)) from None

    async def _posted(self, url: str, form: Mapping[str, str]) -> object:
        about = await self.about()
        try:
            secret = self.own.secret()
        except OSError as error:
            why = os_reason(error)
            raise ProviderAway(f"the file of the client's secret can't be read: {why}") from None
        except ValueError:
            raise ProviderAway("the file of the client's secret is not UTF-8") from None
        shown, headers = asking.with_client(about, self.own, secret, form)
        return await self._http.post(url, shown, headers)
