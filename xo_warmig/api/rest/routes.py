"""The routes of ``/rest/v0``, all together."""

import time
from typing import Final
from urllib.parse import parse_qs

from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import Receive, Scope, Send

from xo_warmig.api import xo_errors
from xo_warmig.api.admission import Admission
from xo_warmig.api.connection import Calls
from xo_warmig.api.method import Services
from xo_warmig.api.rest import collections, vms
from xo_warmig.api.rest.actions import Actions
from xo_warmig.api.rest.answers import BASE, answer
from xo_warmig.api.rest.authentication import Callers, SignsIn
from xo_warmig.api.rest.desk import Desk
from xo_warmig.api.rest.events import PING_SECONDS, Events
from xo_warmig.api.rest.servers import Servers
from xo_warmig.api.rest.streaming import Streams
from xo_warmig.api.rest.tasks import Tasks
from xo_warmig.api.rest.users import Users

_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")


def mount(
    services: Services,
    calls: Calls,
    admission: Admission,
    streams: Streams,
    *,
    patience_seconds: float,
    callers: SignsIn | None = None,
    ping_seconds: float = PING_SECONDS,
) -> BaseRoute:
    """All of them. ``calls`` keeps what goes on after its answer. ``callers``: by default our own users."""
    desk = Desk(
        services=services,
        actions=Actions(calls, services.accounts.now_ms),
        callers=callers or Callers(services.accounts, services.audit),
        admission=admission,
        streams=streams,
        patience_seconds=patience_seconds,
    )
    routes = [
        Route("/ping", _ping),
        *Tasks(desk, calls).routes(),
        *Events(desk, ping_seconds=ping_seconds).routes(),
        *vms.routes(desk),
        *collections.routes(desk),
        *Servers(desk).routes(),
        *Users(desk).routes(),
        *(desk.route("/{path:path}", _nothing_there, method) for method in _METHODS),
    ]
    return Mount(BASE, routes=routes, middleware=[Middleware(_Zipped)])


class _Zipped(GZipMiddleware):
    """It would hold back lines that are to be read as they come."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        watches = b"watch" in scope.get("query_string", b"") and _watches(scope["query_string"])
        await (self.app if watches else super().__call__)(scope, receive, send)


def _watches(query: bytes) -> bool:
    return any(value.lower() == "true" for value in parse_qs(query.decode("latin-1")).get("watch", []))


async def _ping(_: Request) -> Response:
    return answer({"result": "pong", "timestamp": round(time.time() * 1000)})


async def _nothing_there(request: Request) -> Response:
    raise xo_errors.no_such_object(request.url.path, "route")
