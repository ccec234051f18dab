"""Downloads offered over the websocket: ours, and upstream's with what is ours behind it."""

import re
from collections.abc import Callable
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from xo_warmig.api.gateway.supplements import Supplement, Supplements

PATH: Final = re.compile(r"^(?:/v5)?/api/([^/]+)$")
# With a supplement the answer is neither packed as upstream's was, nor of the length that upstream says.
_NOT_ASKED: Final = frozenset((b"accept-encoding", b"range"))
_NOT_SAID: Final = frozenset((b"content-length", b"etag"))


class GatewayDownloads:
    """An ASGI application for HTTP at ``PATH``. ``offers``: whether a token is one of ours, which ``own`` answers."""

    def __init__(self, own: ASGIApp, offers: Callable[[str], bool], passing: ASGIApp, supplements: Supplements) -> None:
        self._own = own
        self._offers = offers
        self._passing = passing
        self._supplements = supplements

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match = PATH.match(scope["path"])
        if match is not None and self._offers(match[1]):
            plain = f"/api/{match[1]}"
            await self._own({**scope, "path": plain, "raw_path": plain.encode()}, receive, send)
            return
        supplement = self._supplements.take(scope["path"]) if scope["method"] == "GET" else None
        if supplement is None:
            await self._passing(scope, receive, send)
            return
        headers = [header for header in scope["headers"] if header[0] not in _NOT_ASKED]
        await self._passing({**scope, "headers": headers}, receive, _supplemented(send, supplement))


def _supplemented(send: Send, supplement: Supplement) -> Send:
    """Of an answer that is none of the download, nothing is changed."""
    fits = False

    async def pass_on(message: Message) -> None:
        nonlocal fits
        if message["type"] == "http.response.start":
            names = {name for name, _ in message["headers"]}
            fits = message["status"] == 200 and b"content-encoding" not in names
            kept = [header for header in message["headers"] if not fits or header[0] not in _NOT_SAID]
            message = {**message, "headers": kept}
        elif fits:
            piece = supplement.passed(message.get("body", b""))
            if not message.get("more_body", False):
                piece += supplement.rest()
            message = {**message, "body": piece}
        await send(message)

    return pass_on
