"""Connections to upstream: opened as requests need them, kept for a few seconds for the next."""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import AsyncIterator
from typing import Final

from xo_warmig.api.gateway.exchange import Exchange
from xo_warmig.api.gateway.upstream import Upstream, UpstreamGone

CONNECT_SECONDS: Final = 10.0
IDLE_SECONDS: Final = 4.0  # Node closes after 5: a request must not meet that
MOST_IDLE: Final = 32
_BUFFER_BYTES: Final = 256 * 1024

log = logging.getLogger(__name__)


class Connections:
    """Bound to one event loop."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self._context = upstream.ssl_context()
        self._idle: deque[tuple[float, Exchange]] = deque()
        self._is_gone = False

    @contextlib.asynccontextmanager
    async def exchange(self, *, fresh: bool) -> AsyncIterator[Exchange]:
        """A connection for one request; cut at the end of the context, if something is left on it then.

        ``fresh``: on no connection that was used before, since that may be closed at any moment, for what cannot be sent twice.

        Raises:
            UpstreamGone: it cannot be reached.
        """
        exchange = (None if fresh else self._kept()) or await self._opened()
        try:
            yield exchange
        finally:
            if exchange.is_reusable:
                exchange.renew()
                self._keep(exchange)
            else:
                exchange.abort()

    def close(self) -> None:
        """Those that wait for a request."""
        while self._idle:
            self._idle.pop()[1].abort()

    def forget(self) -> None:
        """Kept connections turned out to be dead."""
        self.close()

    def _kept(self) -> Exchange | None:
        """The one used last."""
        while self._idle:
            until, exchange = self._idle.pop()
            if until > time.monotonic() and exchange.is_open:
                return exchange
            exchange.abort()
        return None

    def _keep(self, exchange: Exchange) -> None:
        now = time.monotonic()
        self._idle.append((now + IDLE_SECONDS, exchange))
        while len(self._idle) > MOST_IDLE or self._idle[0][0] <= now:
            self._idle.popleft()[1].abort()

    async def _opened(self) -> Exchange:
        upstream = self.upstream
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                reader, writer = await asyncio.open_connection(
                    upstream.host,
                    upstream.port,
                    ssl=self._context,
                    server_hostname=upstream.host if self._context else None,
                    limit=_BUFFER_BYTES,
                )
        except OSError as error:  # TimeoutError and ssl.SSLError among them
            why = str(error) or type(error).__name__
            self._tell(gone=True, why=why)
            raise UpstreamGone(why) from error
        self._tell(gone=False)
        return Exchange(reader, writer)

    def _tell(self, *, gone: bool, why: str = "") -> None:
        """In the log, once for each change."""
        if gone and not self._is_gone:
            log.warning("upstream %s cannot be reached: %s", self.upstream.url, why)
        elif self._is_gone and not gone:
            log.warning("upstream %s is back", self.upstream.url)
        self._is_gone = gone
