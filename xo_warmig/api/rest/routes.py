"""The routes of ``/rest/v0``: a list and single objects for each collection, and the tasks of migrations."""

import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route

from xo_warmig.api import xo_errors
from xo_warmig.api.accounts import Accounts
from xo_warmig.api.admission import Admission
from xo_warmig.api.audit import Audit
from xo_warmig.api.collection import Collection
from xo_warmig.api.connection import Calls
from xo_warmig.api.error_mapping import to_xo_error
from xo_warmig.api.ports import MigrationEngine
from xo_warmig.api.rest.answers import answer, refusal
from xo_warmig.api.rest.authentication import caller
from xo_warmig.api.rest.listing import flag, listed, wanted
from xo_warmig.api.rest.task import task_of
from xo_warmig.api.session import Session
from xo_warmig.api.state_file import to_json
from xo_warmig.api.xo_errors import XoError
from xo_warmig.errors import WarmigError
from xo_warmig.xo.objects import XoObject

BASE: Final = "/rest/v0"
COLLECTIONS: Final = {
    "hosts": "host",
    "messages": "message",
    "networks": "network",
    "pbds": "PBD",
    "pifs": "PIF",
    "pools": "pool",
    "srs": "SR",
    "vbds": "VBD",
    "vdi-snapshots": "VDI-snapshot",
    "vdis": "VDI",
    "vifs": "VIF",
    "vm-controllers": "VM-controller",
    "vm-snapshots": "VM-snapshot",
    "vm-templates": "VM-template",
    "vms": "VM",
}
"""Names, and the types of XO objects that they hold."""

log = logging.getLogger(__name__)

Body = Callable[[Request], Awaitable[Response]]
Who = Callable[[Request, str], Awaitable[Session]]
"""The administrator who asks from an address. Raises XoError: 3, nobody; 2, somebody else."""


class Rest:
    """``admission`` knows where requests come from; ``calls`` keeps what goes on after its answer.

    ``who``: how callers sign in; by default as our own users.
    """

    def __init__(
        self,
        engine: MigrationEngine,
        accounts: Accounts,
        collection: Collection,
        admission: Admission,
        audit: Audit,
        calls: Calls,
        who: Who | None = None,
    ) -> None:
        self._engine = engine
        self._accounts = accounts
        self._collection = collection
        self._admission = admission
        self._audit = audit
        self._calls = calls
        self._who = who or self._own_user

    def mount(self) -> BaseRoute:
        """All of it."""
        routes = [
            Route("/ping", _ping),
            Route("/tasks", self._for_administrators(self._tasks)),
            Route("/tasks/{id}", self._for_administrators(self._task)),
            Route("/tasks/{id}/actions/abort", self._for_administrators(self._abort), methods=["POST"]),
        ]
        for name, kind in COLLECTIONS.items():
            routes += [
                Route(f"/{name}", self._for_administrators(self._list_of(name, kind))),
                Route(f"/{name}/{{id}}", self._for_administrators(self._one_of(kind))),
            ]
        nothing = Route("/{path:path}", self._for_administrators(_nothing_there))
        return Mount(BASE, routes=[*routes, nothing], middleware=[Middleware(GZipMiddleware)])

    def _for_administrators(self, body: Body) -> Body:
        async def run(request: Request) -> Response:
            is_admin = False
            try:
                address = self._admission.address(request.scope)
                request.state.session = await self._who(request, address)
                is_admin = True
                return await body(request)
            except Exception as error:
                return refusal(error, request=f"{request.method} {request.url.path}", is_admin=is_admin)

        return run

    async def _own_user(self, request: Request, address: str) -> Session:
        user = await caller(request, self._accounts, address)
        return Session(address, user.id, user.is_admin)

    def _list_of(self, name: str, kind: str) -> Body:
        async def run(request: Request) -> Response:
            return _list_answer(request, await self._objects(kind), name)

        return run

    def _one_of(self, kind: str) -> Body:
        async def run(request: Request) -> Response:
            id = request.path_params["id"]
            for each in await self._objects(kind):
                if each["id"] == id:
                    return answer(each)
            raise xo_errors.no_such_object(id, kind)

        return run

    async def _tasks(self, request: Request) -> Response:
        return _list_answer(request, [task_of(report) for report in self._engine.reports()], "tasks")

    async def _task(self, request: Request) -> Response:
        """``wait=true``: when it has ended."""
        id = request.path_params["id"]
        if flag(request.query_params, "wait"):
            with contextlib.suppress(WarmigError):  # its own error is in its task
                await self._engine.outcome(id)
        return answer(task_of(self._engine.report(id)))

    async def _abort(self, request: Request) -> Response:
        """Cancels the migration; ``sync=true``: answered when it is cancelled."""
        id = request.path_params["id"]
        self._engine.report(id)
        cancelling = self._audit.recorded(
            "task.cancel", request.state.session, {"id": id}, lambda: self._cancel(request, id)
        )
        if flag(request.query_params, "sync"):
            await cancelling
            return Response(status_code=204)
        self._calls.start(_quietly(cancelling))
        return answer({"taskId": id}, 202)

    async def _cancel(self, request: Request, id: str) -> None:
        try:
            await self._engine.cancel(id)
        except WarmigError as error:
            raise to_xo_error(error, method=request.url.path, is_admin=True) from error

    async def _objects(self, kind: str) -> list[XoObject]:
        return [each for each in await self._collection.objects() if each["type"] == kind]


def _list_answer(request: Request, objects: list[XoObject], name: str) -> Response:
    asked = wanted(request.query_params)
    items = list(listed(objects, f"{BASE}/{name}", asked))
    if asked.ndjson:
        return StreamingResponse((to_json(each) + "\n" for each in items), media_type="application/x-ndjson")
    return answer(items)


async def _quietly(cancelling: Awaitable[None]) -> None:
    """What becomes of it is in the task."""
    try:
        await cancelling
    except XoError as refusal:
        log.info("an abort came to nothing: %s", refusal)


async def _ping(_: Request) -> Response:
    return answer({"result": "pong", "timestamp": round(time.time() * 1000)})


async def _nothing_there(request: Request) -> Response:
    raise xo_errors.no_such_object(request.url.path, "route")
