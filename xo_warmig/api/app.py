"""The API as an ASGI application: the websocket at ``/api/``, ``/rest/v0``, and what runs beside them while the server is up.

What the HTTP server must be told is the caller's: uvicorn with its sans-I/O websocket protocol and ``Farewell`` mixed into it, frames up
to ``settings.MOST_FRAME_BYTES``, no ping timeout under 300 seconds, and ``proxy_headers=False`` (which proxies to believe is decided
here).
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Route, WebSocketRoute
from starlette.types import Receive, Scope, Send

import xo_warmig
from xo_warmig.api.accounts import Accounts
from xo_warmig.api.admission import Admission, Refusal
from xo_warmig.api.audit import Audit
from xo_warmig.api.busy import Busy
from xo_warmig.api.choosing import Chooser
from xo_warmig.api.collection import Collection
from xo_warmig.api.connection import Calls, Connection
from xo_warmig.api.dispatch import Dispatcher
from xo_warmig.api.downloads import Downloads
from xo_warmig.api.hub import Hub
from xo_warmig.api.method import Services
from xo_warmig.api.methods import METHODS
from xo_warmig.api.ports import MigrationEngine, Orders, RecordsSource
from xo_warmig.api.rest import routes as rest
from xo_warmig.api.rest.streaming import Streams
from xo_warmig.api.server_book import ServerBook
from xo_warmig.api.settings import ApiSettings
from xo_warmig.config import Config

OWN_AGENT: Final = "xo_warmig/"
_REFUSAL_SECONDS: Final = 5.0


def build_app(
    engine: MigrationEngine,
    servers: ServerBook,
    accounts: Accounts,
    audit: Audit,
    records: RecordsSource,
    orders: Orders,
    config: Config | None = None,
    *,
    settings: ApiSettings | None = None,
) -> Starlette:
    """The application. Its lifespan follows the engine; the engine and the restored servers are the caller's.

    ``state.streams`` of it are to be closed before connections are waited for.

    ``settings`` replace those that follow from ``config``.
    """
    settings = settings or ApiSettings.of(config or Config())
    chooser = Chooser(settings.filter_seconds)
    busy = Busy(engine)
    hub = Hub(
        engine,
        linger_seconds=settings.task_linger_seconds,
        now_ms=accounts.now_ms,
        follow=lambda report: collection.refresh(busy.follow(report)),
    )
    collection = Collection(records, hub.tell, busy.view)
    downloads = Downloads()
    services = Services(
        engine=engine,
        servers=servers,
        hub=hub,
        collection=collection,
        chooser=chooser,
        downloads=downloads,
        orders=orders,
        accounts=accounts,
        audit=audit,
        version=xo_warmig.__version__,
        methods=METHODS,
    )
    calls, streams = Calls(), Streams()

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        beside = [asyncio.create_task(hub.run()), asyncio.create_task(_keep_pins(servers, settings.keep_pins_seconds))]
        try:
            yield
        finally:
            for work in beside:
                work.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            await calls.close()
            collection.close()
            chooser.close()
            servers.keep_pins()

    endpoint = _Endpoint(Dispatcher(services), hub, calls, settings, accounts, collection)
    zipped = [Middleware(GZipMiddleware)]
    download = Route("/api/{token}", downloads.endpoint, methods=["GET"], middleware=zipped)
    over_http = rest.mount(services, calls, endpoint.admission, streams, patience_seconds=settings.slow_reader_seconds)
    routes = [WebSocketRoute("/{path:path}", endpoint), download, over_http]
    app = Starlette(routes=routes, lifespan=lifespan)
    app.router.redirect_slashes = False
    app.state.streams = streams
    return app


class _Endpoint:
    """Every websocket upgrade comes here, so that each gets an answer."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        hub: Hub,
        calls: Calls,
        settings: ApiSettings,
        accounts: Accounts,
        collection: Collection,
    ) -> None:
        self._dispatcher = dispatcher
        self._hub = hub
        self._calls = calls
        self._settings = settings
        self._accounts = accounts
        self._collection = collection
        self.admission = Admission(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self.admission.refusal(scope)
        if refusal is not None:
            await _refuse(refusal, receive, send)
            return
        address = self.admission.address(scope)
        with self.admission.counted(address):
            connection = Connection(
                self._dispatcher,
                self._hub,
                self._calls,
                self._settings,
                self._accounts.now_ms,
                address,
                wake=None if _is_ours(scope) else self._collection.wake,
            )
            await connection.run(receive, send)


def _is_ours(scope: Scope) -> bool:
    """Our own client asks for what it wants, so that a migration from the command line has no pool read whole."""
    return Headers(scope=scope).get("user-agent", "").startswith(OWN_AGENT)


async def _refuse(refusal: Refusal, receive: Receive, send: Send) -> None:
    """An HTTP answer in place of an upgrade."""
    await receive()  # websocket.connect
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "websocket.http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": refusal.reason.encode() + b"\n"})
    # uvicorn logs an error when this returns before the connection is gone, which is the second disconnect that it tells.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_REFUSAL_SECONDS):
            await receive()
            await receive()


async def _keep_pins(servers: ServerBook, every_seconds: float) -> None:
    while True:
        await asyncio.sleep(every_seconds)
        servers.keep_pins()
