"""The pools that are connected, by the servers that they were given with."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from xo_warmig.api import xo_errors
from xo_warmig.api.rest.answers import answer
from xo_warmig.api.rest.desk import Desk
from xo_warmig.api.rest.requests import body_of
from xo_warmig.api.rest.tasks import all_tasks, is_about
from xo_warmig.xo.objects import XoObject


class Servers:
    """As ``server.*`` has them."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> list[Route]:
        route = self._desk.route
        return [
            route("/servers", self._list),
            route("/servers", self._add, "POST"),
            route("/servers/{id}", self._one),
            route("/servers/{id}", self._remove, "DELETE"),
            route("/servers/{id}/tasks", self._tasks),
            route("/servers/{id}/actions/connect", self._connect, "POST"),
            route("/servers/{id}/actions/disconnect", self._disconnect, "POST"),
        ]

    async def _list(self, request: Request) -> Response:
        return await self._desk.listed(request, await self._all(request), "servers")

    async def _one(self, request: Request) -> Response:
        return answer(await self._server(request))

    async def _tasks(self, request: Request) -> Response:
        id = (await self._server(request))["id"]
        return await self._desk.listed(request, [each for each in all_tasks(self._desk) if is_about(each, id)], "tasks")

    async def _add(self, request: Request) -> Response:
        return answer({"id": await self._desk.call(request, "server.add", await body_of(request))}, 201)

    async def _remove(self, request: Request) -> Response:
        await self._desk.call(request, "server.remove", {"id": request.path_params["id"]})
        return Response(status_code=204)

    async def _connect(self, request: Request) -> Response:
        return await self._act(request, "connect", "server.enable")

    async def _disconnect(self, request: Request) -> Response:
        return await self._act(request, "disconnect", "server.disable")

    async def _act(self, request: Request, name: str, method: str) -> Response:
        id = (await self._server(request))["id"]
        return await self._desk.act(request, method, {"id": id}, name=name, object_id=id, object_type="server")

    async def _all(self, request: Request) -> list[XoObject]:
        return [dict(msgspec.to_builtins(each)) for each in await self._desk.call(request, "server.getAll", {})]

    async def _server(self, request: Request) -> XoObject:
        id = request.path_params["id"]
        for each in await self._all(request):
            if each["id"] == id:
                return each
        raise xo_errors.no_such_object(id, "xenServer")
