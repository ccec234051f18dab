"""The API as an ASGI application: the websocket at ``/api/``, ``/rest/v0``, and what runs beside them while the server is up.

What the HTTP server must be told is the caller's: uvicorn with its sans-I/O websocket protocol and ``Farewell`` mixed into it, frames up
to ``settings.MOST_FRAME_BYTES``, no ping timeout under 300 seconds, and ``proxy_headers=False`` (which proxies to believe is decided
here).
"""

import contextlib
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Route, WebSocketRoute

from xo_warmig.api.accounts import Accounts
from xo_warmig.api.audit import Audit
from xo_warmig.api.parts import assembled
from xo_warmig.api.ports import MigrationEngine, Orders, RecordsSource
from xo_warmig.api.rest import routes as rest
from xo_warmig.api.server_book import ServerBook
from xo_warmig.api.settings import ApiSettings
from xo_warmig.config import Config


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
    parts = assembled(engine, servers, accounts, audit, records, orders, settings)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with parts.alive():
            yield

    zipped = [Middleware(GZipMiddleware)]
    download = Route("/api/{token}", parts.services.downloads.endpoint, methods=["GET"], middleware=zipped)
    admission, patience = parts.endpoint.admission, settings.slow_reader_seconds
    over_http = rest.mount(parts.services, parts.calls, admission, parts.streams, patience_seconds=patience)
    routes = [WebSocketRoute("/{path:path}", parts.endpoint), download, over_http]
    app = Starlette(routes=routes, lifespan=lifespan)
    app.router.redirect_slashes = False
    app.state.streams = parts.streams
    return app
