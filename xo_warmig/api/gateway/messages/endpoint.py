"""The gateway's websockets at ``/api/`` and ``/v5/api/``: who may open one, and who speaks on it."""

import logging
from http import HTTPStatus
from typing import Final

from starlette.types import Receive, Scope, Send

from xo_warmig.api.admission import PATH, Refusal, refuse
from xo_warmig.api.endpoint import Endpoint, is_own_client
from xo_warmig.api.gateway.headers import Header, forwarded
from xo_warmig.api.gateway.messages.conversation import Conversation, Surroundings
from xo_warmig.api.gateway.messages.leg import Leg, opened
from xo_warmig.api.gateway.messages.relay import Relay, SignsInHere
from xo_warmig.api.gateway.passing import BAD_GATEWAY
from xo_warmig.api.gateway.peers import Peers
from xo_warmig.api.gateway.upstream import Upstream, UpstreamGone
from xo_warmig.api.line import Line

log = logging.getLogger(__name__)

PATHS: Final = frozenset({PATH, b"/v5" + PATH})


class GatewayEndpoint:
    """An ASGI application for websocket upgrades. Its paths are those that ``own.admission`` admits: ``PATHS``.

    ``own`` is the endpoint of a server that stands alone: our own client gets it at once, and who signs in with a token of ours from
    that sign-in on.
    """

    def __init__(self, upstream: Upstream, own: Endpoint, around: Surroundings, peers: Peers) -> None:
        self._upstream = upstream
        self._context = upstream.ssl_context()
        self._own = own
        self._around = around
        self._peers = peers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if is_own_client(scope):
            await self._own(scope, receive, send)
            return
        admission = self._own.admission
        refusal = admission.refusal(scope)
        if refusal is not None:
            await refuse(refusal, receive, send)
            return
        address = admission.address(scope)
        with admission.counted(address):
            headers = forwarded(scope["headers"], self._peers.of(scope))
            await self._serve(address, headers, receive, send)

    async def _serve(self, address: str, headers: list[Header], receive: Receive, send: Send) -> None:
        """Upstream is asked first: a client of an upstream that is away is refused as by any proxy, and tries again."""
        line = Line(receive, send, patience_seconds=self._around.settings.slow_reader_seconds)
        try:
            async with opened(self._upstream, self._context, headers) as leg:
                await receive()  # websocket.connect
                await send({"type": "websocket.accept"})
                here = await self._relay(leg, line, address, receive)
        except UpstreamGone as error:
            log.warning("%s", error)
            await refuse(Refusal(HTTPStatus.BAD_GATEWAY, BAD_GATEWAY.rstrip()), receive, send)
            return
        if here is not None:
            await self._own.connection(address, follows_pools=True).serve(receive, line, here.frame)

    async def _relay(self, leg: Leg, line: Line, address: str, receive: Receive) -> SignsInHere | None:
        conversation = Conversation(self._around, leg, line, address)
        hub = self._around.services.hub
        hub.join(conversation)
        try:
            return await Relay(conversation, leg, line).run(receive)
        finally:
            hub.leave(conversation)
