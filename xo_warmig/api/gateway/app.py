"""The server in front of an xo-server, as an ASGI application: one origin for both."""

import contextlib
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.datastructures import State
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from xo_warmig.api.accounts import Accounts
from xo_warmig.api.audit import Audit
from xo_warmig.api.gateway.connections import Connections
from xo_warmig.api.gateway.downloads import PATH as DOWNLOAD
from xo_warmig.api.gateway.downloads import GatewayDownloads
from xo_warmig.api.gateway.messages.conversation import Surroundings
from xo_warmig.api.gateway.messages.endpoint import PATHS, GatewayEndpoint
from xo_warmig.api.gateway.passing import Passing
from xo_warmig.api.gateway.peers import Peers
from xo_warmig.api.gateway.rest.callers import Callers
from xo_warmig.api.gateway.rest.clearing import Clearing
from xo_warmig.api.gateway.rest.events import Events
from xo_warmig.api.gateway.rest.gate import Gate
from xo_warmig.api.gateway.rest.lists import Lists
from xo_warmig.api.gateway.rest.mounts import is_below
from xo_warmig.api.gateway.rest.visitors import Visitors
from xo_warmig.api.gateway.supplements import Supplements
from xo_warmig.api.gateway.tunnel import Tunnel
from xo_warmig.api.gateway.upstream import Upstream
from xo_warmig.api.parts import Parts, assembled
from xo_warmig.api.ports import MigrationEngine, Orders, RecordsSource
from xo_warmig.api.rest import routes as rest
from xo_warmig.api.rest.authentication import Callers as OwnCallers
from xo_warmig.api.rest.streaming import Streams
from xo_warmig.api.server_book import ServerBook
from xo_warmig.api.settings import ApiSettings
from xo_warmig.config import Config
from xo_warmig.errors import NoSuchObject


def build_gateway(
    engine: MigrationEngine,
    servers: ServerBook,
    accounts: Accounts,
    audit: Audit,
    records: RecordsSource,
    orders: Orders,
    config: Config,
    upstream: Upstream,
    *,
    settings: ApiSettings | None = None,
) -> "Gateway":
    """The application; see ``api.app.build_app`` for what is the caller's.

    Raises:
        InvalidRequest: code BAD_CONFIG, the upstream's certificates cannot be read.
    """
    settings = settings or ApiSettings.of(config)
    parts = assembled(engine, servers, accounts, audit, records, orders, settings, paths=PATHS)
    connections, peers, supplements = Connections(upstream), Peers(settings.trusted_proxies), Supplements()
    around = Surroundings(parts.services, parts.calls, settings, supplements, config.gateway.learn_servers)
    passing = Passing(connections, peers, parts.streams)
    gate, own = _gate(parts, connections, peers, passing)
    return Gateway(
        api=GatewayEndpoint(upstream, parts.endpoint, around, peers),
        tunnel=Tunnel(upstream, peers),
        rest=gate,
        downloads=GatewayDownloads(own, parts.services.downloads.has, passing, supplements),
        passing=passing,
        lifespan=_lifespan(parts, connections),
        streams=parts.streams,
    )


def _gate(parts: Parts, connections: Connections, peers: Peers, passing: Passing) -> tuple[Gate, ASGIApp]:
    """What stands before the REST routes, and ours behind it, with our downloads."""
    services = parts.services

    def is_ours(migration: str) -> bool:
        try:
            services.engine.report(migration)
        except NoSuchObject:
            return False
        return True

    own, callers = Starlette(), Callers(connections)
    lists = Lists(own, connections, peers, callers, parts.streams)
    visitors = Visitors(callers, services.accounts, OwnCallers(services.accounts, services.audit))
    gate = Gate(own, lists, Events(own, passing, callers), Clearing(own, passing), passing, callers, visitors, is_ours)
    over_http = rest.mount(
        services,
        parts.calls,
        parts.endpoint.admission,
        parts.streams,
        patience_seconds=parts.settings.slow_reader_seconds,
        callers=visitors,
    )
    zipped = [Middleware(GZipMiddleware)]
    download = Route("/api/{token}", services.downloads.endpoint, methods=["GET"], middleware=zipped)
    own.router.routes += [over_http, download]
    own.router.redirect_slashes = False
    return gate, own


def _lifespan(parts: Parts, connections: Connections) -> ASGIApp:
    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with parts.alive():
            yield
        connections.close()

    return Starlette(lifespan=lifespan)


class Gateway:
    """An ASGI application: who answers what. ``state.streams`` are to be closed before connections are waited for."""

    def __init__(
        self,
        *,
        api: ASGIApp,
        tunnel: ASGIApp,
        rest: ASGIApp,
        downloads: ASGIApp,
        passing: ASGIApp,
        lifespan: ASGIApp,
        streams: Streams,
    ) -> None:
        self._api = api
        self._tunnel = tunnel
        self._rest = rest
        self._downloads = downloads
        self._passing = passing
        self._lifespan = lifespan
        self.state = State({"streams": streams})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._choose(scope)(scope, receive, send)

    def _choose(self, scope: Scope) -> ASGIApp:
        if scope["type"] == "lifespan":
            return self._lifespan
        if scope["type"] == "websocket":
            is_api = scope["raw_path"] in PATHS and not scope["query_string"]
            return self._api if is_api else self._tunnel
        if is_below(scope["path"]):
            return self._rest
        return self._downloads if DOWNLOAD.match(scope["path"]) else self._passing
