"""Upstream's side of one client's connection: a websocket of our own, as xo-lib opens it."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from xo_warmig.api.gateway.headers import Header
from xo_warmig.api.gateway.messages.questions import LegGone
from xo_warmig.api.gateway.upstream import Upstream, UpstreamGone
from xo_warmig.api.gateway.websocket import Connect
from xo_warmig.api.settings import MOST_FRAME_BYTES

PATH: Final = "/api/"  # whatever the client's mount: xo-server answers at no other
OPEN_SECONDS: Final = 15.0
_PING_SECONDS: Final = 60.0
_PING_TIMEOUT_SECONDS: Final = 300.0
_CLOSE_SECONDS: Final = 5.0
_MOST_FRAMES: Final = 2  # read ahead; more wait in the kernel, and in upstream

_frames_log = logging.getLogger(f"{__name__}.frames")
_frames_log.setLevel(logging.INFO)  # below this the library writes frames out, and passwords are in them


class End(NamedTuple):
    """How it ended: a close frame's code and reason; code None without such a frame."""

    code: int | None
    reason: str = ""


class Leg:
    """One connection to upstream."""

    def __init__(self, websocket: ClientConnection) -> None:
        self._websocket = websocket

    async def send(self, text: str) -> None:
        """Returns when upstream takes more. Raises LegGone."""
        try:
            await self._websocket.send(text)
        except ConnectionClosed:
            raise LegGone from None

    async def next(self) -> bytes | End:
        """The next message, or how it all ended."""
        try:
            return await self._websocket.recv(decode=False)
        except ConnectionClosed as closed:
            return End(None) if closed.rcvd is None else End(closed.rcvd.code, closed.rcvd.reason)

    async def close(self, code: int) -> None:
        """For a reason of the client's; a code that may not be sent becomes "going away"."""
        sendable = code in (1000, 1001, 1003, 1007, 1008, 1009, 1011) or 3000 <= code < 5000
        unread = asyncio.create_task(self._throw_away())  # else upstream's own close would wait behind it
        try:
            await self._websocket.close(code if sendable else 1001)
        finally:
            unread.cancel()

    async def _throw_away(self) -> None:
        while not isinstance(await self.next(), End):
            pass


@asynccontextmanager
async def opened(upstream: Upstream, context: ssl.SSLContext | None, headers: list[Header]) -> AsyncIterator[Leg]:
    """A connection, closed at the end.

    Raises:
        UpstreamGone: it cannot be opened.
    """
    try:
        websocket = await Connect(
            upstream.websocket_url(PATH),
            ssl=context,
            additional_headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers],
            user_agent_header=None,
            compression=None,  # both ends are near each other, and it would run on the event loop
            proxy=None,
            open_timeout=OPEN_SECONDS,
            close_timeout=_CLOSE_SECONDS,
            ping_interval=_PING_SECONDS,
            ping_timeout=_PING_TIMEOUT_SECONDS,
            max_size=MOST_FRAME_BYTES,
            max_queue=_MOST_FRAMES,
            logger=_frames_log,
        )
    except (OSError, TimeoutError, InvalidURI, InvalidHandshake, EOFError) as error:
        raise UpstreamGone(f"upstream {upstream.url} does not answer: {error}") from error
    async with websocket:
        yield Leg(websocket)
