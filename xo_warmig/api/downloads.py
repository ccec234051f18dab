"""What a call offers for download: ``{"$getFrom": "/api/<token>"}``, as XO does. Once, without signing in, by whoever has the token."""

import secrets
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

MOST_OFFERS: Final = 100  # the oldest that nobody came for is forgotten
_PIECE_BYTES: Final = 64 * 1024


class Downloads:
    """Offers of lines of JSON, by their token."""

    def __init__(self) -> None:
        self._offers: OrderedDict[str, Iterable[str]] = OrderedDict()

    def offer(self, lines: Iterable[str]) -> dict[str, str]:
        """What to answer a call with."""
        token = secrets.token_urlsafe()
        self._offers[token] = lines
        while len(self._offers) > MOST_OFFERS:
            self._offers.popitem(last=False)
        return {"$getFrom": f"/api/{token}"}

    def has(self, token: str) -> bool:
        """Whether somebody may still come for it."""
        return token in self._offers

    async def endpoint(self, request: Request) -> Response:
        """``GET /api/<token>``. The content type is XO's, although these are lines."""
        lines = self._offers.pop(request.path_params["token"], None)
        if lines is None:
            return PlainTextResponse("Not Found\n", status_code=404)
        return StreamingResponse(_pieces(lines), media_type="application/json")


def _pieces(lines: Iterable[str]) -> Iterator[bytes]:
    """In pieces that are worth a packet."""
    piece = bytearray()
    for line in lines:
        piece += line.encode() + b"\n"
        if len(piece) >= _PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
    if piece:
        yield bytes(piece)
