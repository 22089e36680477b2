"""tdc.v1.ProviderLogin: people log in at a provider."""

from __future__ import annotations

from tdc.manager.identity.rates import address_of
from tdc.manager.intent.provider_login import Answer, Pending, ProviderLogin
from tdc.manager.rpc.entry import Context
from tdc.manager.rpc.people import session_made
from tdc.shared.edge.grpc_words import address
from tdc.shared.wire.moments import timestamp
from tdc.v1 import provider_pb2, provider_pb2_grpc


class ProviderLoginService(provider_pb2_grpc.ProviderLoginServicer):
    """The service; what it raises becomes a status in `guard`."""

    def __init__(self, login: ProviderLogin) -> None:
        self._login = login

    async def BeginRedirect(  # noqa: N802
        self, request: provider_pb2.BeginRedirectRequest, context: Context
    ) -> provider_pb2.BeginRedirectResponse:
        """Begin a login in a browser on the caller's machine."""
        peer = context.peer()
        begun = await self._login.begin_redirect(
            request.redirect_uri, origin=address(peer), address=address_of(peer)
        )
        return provider_pb2.BeginRedirectResponse(
            provider=begun.provider,
            url=begun.url,
            state=begun.state,
            handle=begun.handle,
            ends=timestamp(begun.ends),
        )

    async def BeginDevice(  # noqa: N802
        self, request: provider_pb2.BeginDeviceRequest, context: Context
    ) -> provider_pb2.BeginDeviceResponse:
        """Begin a login by a code that is typed in a browser anywhere."""
        peer = context.peer()
        begun = await self._login.begin_device(origin=address(peer), address=address_of(peer))
        return provider_pb2.BeginDeviceResponse(
            provider=begun.provider,
            url=begun.url,
            user_code=begun.user_code,
            complete_url=begun.complete_url,
            handle=begun.handle,
            ends=timestamp(begun.ends),
            interval=begun.interval,
        )

    async def FinishLogin(  # noqa: N802
        self, request: provider_pb2.FinishLoginRequest, context: Context
    ) -> provider_pb2.FinishLoginResponse:
        """Begin the session of a completed login."""
        peer = context.peer()
        made = await self._login.finish(
            request.handle,
            Answer(request.code, request.state, request.issuer),
            origin=address(peer),
            address=address_of(peer),
        )
        if isinstance(made, Pending):
            pending = provider_pb2.Pending(slow_down=made.slow_down)
            return provider_pb2.FinishLoginResponse(pending=pending)
        return provider_pb2.FinishLoginResponse(session=session_made(made))
