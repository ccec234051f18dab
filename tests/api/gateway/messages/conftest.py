"""A gateway with a fake engine and fake pools before an upstream double, each in a thread of its own."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.types import ASGIApp

from tests.api.conftest import Client, Site, wait_until
from tests.api.gateway.messages.xo_server import PASSWORD, XoServer
from xo_warmig.api.audit import Audit
from xo_warmig.api.gateway.messages.conversation import Surroundings
from xo_warmig.api.gateway.messages.endpoint import PATHS, GatewayEndpoint
from xo_warmig.api.gateway.peers import Peers
from xo_warmig.api.gateway.supplements import Supplements
from xo_warmig.api.gateway.upstream import Upstream
from xo_warmig.api.parts import assembled
from xo_warmig.api.server_book import ServerBook
from xo_warmig.api.server_store import ServerStore
from xo_warmig.api.settings import ApiSettings
from xo_warmig.model.servers import ServerCredentials


class GatewaySite(Site):
    """The websockets of a gateway; ``supplements`` are what the HTTP side would take."""

    def __init__(self, state_dir: Any, settings: ApiSettings, upstream: XoServer, *, learns: bool) -> None:
        self.upstream = upstream
        self.state_dir = state_dir
        self.supplements = Supplements()
        self._learns = learns
        super().__init__(state_dir, settings)

    def wait_for_migration(self, count: int = 1) -> str:
        """The id of the newest, once the test has that many."""
        wait_until(lambda: len(self.engine.users) == count)
        newest: str = self.do(lambda: self.engine.reports()[-1].id)
        return newest

    def wait_for(self, work: Any) -> Any:
        """Run a coroutine in the gateway's loop."""
        assert self.loop is not None
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    def stored(self) -> list[ServerCredentials]:
        """The pools' servers, their passwords opened."""
        return ServerStore(self.database, self.vault).all()

    def application(self, book: ServerBook, audit: Audit, settings: ApiSettings) -> ASGIApp:
        self.book = book
        parts = assembled(self.engine, book, self.accounts, audit, self.records, self.orders, settings, paths=PATHS)
        self.hub = parts.services.hub
        around = Surroundings(parts.services, parts.calls, settings, self.supplements, self._learns)
        upstream = Upstream(scheme="http", host="127.0.0.1", port=self.upstream.port)
        endpoint = GatewayEndpoint(upstream, parts.endpoint, around, Peers(settings.trusted_proxies))

        @contextlib.asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            async with parts.alive():
                yield

        return Starlette(routes=[WebSocketRoute("/{path:path}", endpoint)], lifespan=lifespan)


@pytest.fixture(scope="module")
def upstream() -> Iterator[XoServer]:
    """One for the tests of a module."""
    server = XoServer()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def learns() -> bool:
    """Whether the gateway learns pools' passwords; a module may say otherwise."""
    return False


@pytest.fixture(scope="module")
def site_settings() -> ApiSettings:
    return ApiSettings(task_linger_seconds=0.1)


@pytest.fixture(scope="module")
def gateway(
    tmp_path_factory: pytest.TempPathFactory, site_settings: ApiSettings, upstream: XoServer, learns: bool
) -> Iterator[GatewaySite]:
    """One for the tests of a module."""
    site = GatewaySite(tmp_path_factory.mktemp("state"), site_settings, upstream, learns=learns)
    yield site
    site.stop()


@pytest.fixture
def xo(upstream: XoServer) -> Iterator[XoServer]:
    """Upstream, as new."""
    upstream.reset()
    yield upstream
    upstream.rise()


@pytest.fixture
def site(gateway: GatewaySite, xo: XoServer) -> GatewaySite:
    """The gateway; migrations of earlier tests are there still."""
    for state in gateway.book.states():
        gateway.wait_for(gateway.book.remove(state.id))
    gateway.engine.users.clear()
    gateway.engine.refuse.clear()
    return gateway


@pytest.fixture
def new_client(site: GatewaySite) -> Iterator[Callable[..., Client]]:
    """Opens connections: ``new_client()`` is signed in upstream as its administrator, ``new_client(None)`` is not signed in."""
    opened: list[Client] = []

    def make(email: str | None = "root@xo.example", **options: Any) -> Client:
        client = Client(options.pop("url", site.url), **options)
        opened.append(client)
        if email is not None:
            client.call("session.signIn", email=email, password=PASSWORD)
        return client

    yield make
    for client in opened:
        client.close()


@pytest.fixture
def client(new_client: Callable[..., Client]) -> Client:
    """A connection of upstream's administrator."""
    return new_client()


@pytest.fixture
def viewer(new_client: Callable[..., Client]) -> Client:
    """A connection of a user of upstream who may change nothing."""
    return new_client("viewer@xo.example")
