"""One HTTP request and its answer on a connection to upstream. Both bodies may travel at once, which few HTTP clients can."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final

import h11

from xo_warmig.api.gateway.headers import Header
from xo_warmig.api.gateway.upstream import UpstreamGone

_MOST_HEADER_BYTES: Final = 256 * 1024
_PIECE_BYTES: Final = 256 * 1024


class Exchange:
    """What was read and written is not kept. After ``answer`` and all of ``body`` the next one may follow, if ``is_reusable``."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MOST_HEADER_BYTES)

    @property
    def is_reusable(self) -> bool:
        """Whether all was said on both sides and nothing beyond it, which would be the next answer, and the connection stands."""
        done = self._http.our_state is h11.DONE and self._http.their_state is h11.DONE
        return done and not self._http.trailing_data[0] and not self._reader.at_eof() and not self._writer.is_closing()

    @property
    def is_open(self) -> bool:
        """Whether the other side has not closed it meanwhile."""
        return not self._reader.at_eof() and not self._writer.is_closing()

    def renew(self) -> None:
        """For the next request; only where it ``is_reusable``."""
        self._http.start_next_cycle()

    def abort(self) -> None:
        """Whatever is on its way is lost; the other side sees it."""
        self._writer.transport.abort()

    async def ask(self, method: bytes, target: bytes, headers: Sequence[Header]) -> None:
        """The request line and headers; ``headers`` say how long the body is. Raises UpstreamGone."""
        await self._write(h11.Request(method=method, target=target, headers=list(headers)))

    async def send(self, data: bytes) -> None:
        """A piece of the request's body, when upstream takes it. Raises UpstreamGone."""
        await self._write(h11.Data(data=data))

    async def end(self) -> None:
        """The request is whole. Raises UpstreamGone."""
        await self._write(h11.EndOfMessage())

    async def answer(self) -> h11.Response:
        """Status and headers, as long as it takes; 1xx are left out. Raises UpstreamGone."""
        while True:
            event = await self._next()
            if isinstance(event, h11.Response):
                return event
            if not isinstance(event, h11.InformationalResponse) or event.status_code == 101:
                raise UpstreamGone(f"{type(event).__name__} in place of an answer")

    async def body(self) -> AsyncIterator[bytes]:
        """The answer's, in pieces as they come. Raises UpstreamGone where it is cut."""
        while isinstance(event := await self._next(), h11.Data):
            yield bytes(event.data)

    async def _next(self) -> h11.Event:
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                self._http.receive_data(await self._reader.read(_PIECE_BYTES))
        except (OSError, h11.RemoteProtocolError) as error:
            raise UpstreamGone(str(error) or type(error).__name__) from error
        if not isinstance(event, h11.Event) or isinstance(event, h11.ConnectionClosed):
            raise UpstreamGone("the connection was closed without an answer")
        return event

    async def _write(self, event: h11.Event) -> None:
        try:
            if data := self._http.send(event):
                self._writer.write(data)
                await self._writer.drain()
        except (OSError, h11.LocalProtocolError) as error:
            raise UpstreamGone(str(error) or type(error).__name__) from error
