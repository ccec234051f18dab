"""What an application of the API is made of, whatever stands before or behind it, and what runs beside it while it is up."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass

import xo_warmig
from xo_warmig.api.accounts import Accounts
from xo_warmig.api.admission import PATH, Admission
from xo_warmig.api.audit import Audit
from xo_warmig.api.busy import Busy
from xo_warmig.api.choosing import Chooser
from xo_warmig.api.collection import Collection
from xo_warmig.api.connection import Calls
from xo_warmig.api.dispatch import Dispatcher
from xo_warmig.api.downloads import Downloads
from xo_warmig.api.endpoint import Endpoint
from xo_warmig.api.hub import Hub
from xo_warmig.api.method import Services
from xo_warmig.api.methods import METHODS
from xo_warmig.api.ports import MigrationEngine, Orders, RecordsSource
from xo_warmig.api.rest.streaming import Streams
from xo_warmig.api.server_book import ServerBook
from xo_warmig.api.settings import ApiSettings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Parts:
    """``endpoint`` answers websockets with all of our methods. ``streams`` are to be closed before connections are waited for."""

    services: Services
    calls: Calls
    settings: ApiSettings
    endpoint: Endpoint
    streams: Streams

    @contextlib.asynccontextmanager
    async def alive(self) -> AsyncIterator[None]:
        """Follows the engine; at the end, calls in flight are cancelled."""
        services = self.services
        beside = [asyncio.create_task(services.hub.run()), asyncio.create_task(self._look_after_servers())]
        try:
            yield
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            await self.calls.close()
            services.collection.close()
            services.chooser.close()
            services.servers.keep_pins()

    async def _look_after_servers(self) -> None:
        while True:
            await asyncio.sleep(self.settings.keep_pins_seconds)
            try:
                self.services.servers.keep_pins()
                await self.services.servers.use_learnt()
            except Exception:
                log.exception("servers were not looked after; trying again in %s s", self.settings.keep_pins_seconds)


def assembled(
    engine: MigrationEngine,
    servers: ServerBook,
    accounts: Accounts,
    audit: Audit,
    records: RecordsSource,
    orders: Orders,
    settings: ApiSettings,
    *,
    paths: frozenset[bytes] = frozenset({PATH}),
) -> Parts:
    """The engine and the restored servers are the caller's. ``paths``: where websockets of the API may be opened."""
    busy = Busy(engine)
    hub = Hub(
        engine,
        linger_seconds=settings.task_linger_seconds,
        now_ms=accounts.now_ms,
        follow=lambda report: collection.refresh(busy.follow(report)),
        master_of=servers.master_of,
    )
    collection = Collection(records, hub.tell, busy.view)
    services = Services(
        engine=engine,
        servers=servers,
        hub=hub,
        collection=collection,
        chooser=Chooser(settings.filter_seconds),
        downloads=Downloads(),
        orders=orders,
        accounts=accounts,
        audit=audit,
        version=xo_warmig.__version__,
        methods=METHODS,
    )
    calls = Calls()
    admission = Admission(settings, paths)
    endpoint = Endpoint(Dispatcher(services), hub, calls, settings, accounts, collection, admission)
    return Parts(services, calls, settings, endpoint, Streams())
