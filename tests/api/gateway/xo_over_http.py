"""What of an xo-server is spoken to over HTTP: the cookie gate, sign-in, a user's own record, tasks and their stream, downloads."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

PASSWORD = "correct horse"
USERS = {"root": "admin", "viewer": "none"}
TASK: dict[str, Any] = {
    "id": "0mwsosjel-l279e332gr",
    "properties": {"name": "API call: vm.start", "method": "vm.start", "type": "api.call"},
    "start": 1795403340093,
    "status": "failure",
}


class XoOverHttp:
    """``asked`` has what came, ``changes`` is what the stream of tasks tells."""

    def __init__(self) -> None:
        self.asked: list[Request] = []
        self.tasks = [TASK]
        self.changes: asyncio.Queue[Any] = asyncio.Queue()
        self.events: asyncio.Queue[str | None] = asyncio.Queue()
        self.has_me = True
        routes = [
            Route("/signin", self._form),
            Route("/signin/local", self._sign_in, methods=["POST"]),
            Route("/rest/v0/ping", lambda _: JSONResponse({"result": "pong"})),
            Route("/rest/v0/users/me", self._me),
            Route("/rest/v0/users/{id}", self._user),
            Route("/rest/v0/tasks", self._clear, methods=["DELETE"]),
            Route("/rest/v0/tasks", self._tasks),
            Route("/rest/v0/vms/{id}/tasks", self._tasks),
            Route("/rest/v0/tasks/{id}", self._task, methods=["GET", "DELETE"]),
            Route("/rest/v0/events", self._open),
            Route("/rest/v0/events/{id}/subscriptions", self._subscribe, methods=["POST"]),
            Route("/rest/v0/events/{id}/subscriptions/{collection}", self._unsubscribe, methods=["DELETE"]),
            Route("/api/{token}", self._download, methods=["GET", "POST"]),
            Route("/{path:path}", self._page),
        ]
        app = Starlette(routes=routes, middleware=[Middleware(GZipMiddleware, minimum_size=1)])

        async def noted(scope: Any, receive: Any, send: Any) -> None:
            self.asked.append(Request(scope))
            await app({**scope, "path": scope["path"].removeprefix("/v5")}, receive, send)

        self.app = noted

    def paths(self) -> list[str]:
        """Of what came."""
        return [request.url.path for request in self.asked]

    async def _form(self, request: Request) -> Response:
        return PlainTextResponse("<form action=signin/local>", media_type="text/html")

    async def _sign_in(self, request: Request) -> Response:
        given = dict(pair.split("=") for pair in (await request.body()).decode().split("&"))
        good = given["username"] in USERS and given["password"] == PASSWORD.replace(" ", "+")
        response = RedirectResponse("/" if good else "/signin", 303)
        response.set_cookie("connect.sid", "s%3A1", httponly=True)
        if good:
            response.set_cookie("token", f"token-of-{given['username']}")
            response.set_cookie("clientId", "1", max_age=315360000)
        return response

    def _who(self, request: Request) -> str | None:
        token = request.cookies.get("authenticationToken") or request.cookies.get("token")
        if token:
            name = token.removeprefix("token-of-")
            return name if name in USERS else None
        kind, _, value = request.headers.get("authorization", "").partition(" ")
        if kind != "Basic":
            return None
        name, _, password = base64.b64decode(value).decode().partition(":")
        return name if name in USERS and password == PASSWORD else None

    async def _page(self, request: Request) -> Response:
        if self._who(request) is None:
            response = RedirectResponse("/signin", 302)
            response.set_cookie("connect.sid", "s%3A1", httponly=True)
            return response
        return PlainTextResponse("<page>" * 100, headers={"Content-Security-Policy": "connect-src 'self'"})

    async def _me(self, request: Request) -> Response:
        who = self._who(request)
        if who is None:
            return _unauthorized()
        return RedirectResponse(f"/rest/v0/users/id-{who}", 307) if self.has_me else _missing()

    async def _user(self, request: Request) -> Response:
        if self._who(request) is None:
            return _unauthorized()
        name = request.path_params["id"].removeprefix("id-")
        return JSONResponse({"id": f"id-{name}", "email": f"{name}@xo", "permission": USERS[name], "groups": []})

    async def _tasks(self, request: Request) -> Response:
        if self._who(request) is None:
            return _unauthorized()
        query = request.query_params
        if query.get("filter") == "((":
            return JSONResponse({"error": "bad filter"}, 400)
        if query.get("watch") == "true":
            return StreamingResponse(self._stream())
        tasks = self.tasks[: int(query["limit"])] if "limit" in query else self.tasks
        items = [{**task, "href": f"/rest/v0/tasks/{task['id']}"} for task in tasks]
        listed = items if "fields" in query else [item["href"] for item in items]
        if query.get("ndjson") == "true":
            text = "".join(f"{json.dumps(item)}\n" for item in listed)
            return Response(text, media_type="application/x-ndjson")
        return JSONResponse(listed, headers={"ETag": 'W/"1"'})

    async def _clear(self, request: Request) -> Response:
        if self._who(request) is None:
            return _unauthorized()
        self.tasks = []
        return Response(status_code=204)

    async def _stream(self) -> AsyncIterator[bytes]:
        while (change := await self.changes.get()) is not None:
            yield json.dumps(change).encode() + b"\n"

    async def _open(self, request: Request) -> Response:
        if self._who(request) is None:
            return _unauthorized()
        headers = {"Cache-Control": "no-cache, no-transform"}
        return StreamingResponse(self._told(), media_type="text/event-stream", headers=headers)

    async def _told(self) -> AsyncIterator[str]:
        yield 'event: init\ndata: {"id":"stream-1"}\n\n'
        while (text := await self.events.get()) is not None:
            yield text

    async def _subscribe(self, request: Request) -> Response:
        if request.path_params["id"] != "stream-1":
            return _missing()
        return JSONResponse({"id": json.loads(await request.body())["collection"]}, 201)

    async def _unsubscribe(self, request: Request) -> Response:
        return Response(status_code=204)

    async def _task(self, request: Request) -> Response:
        id = request.path_params["id"]
        found = [task for task in self.tasks if task["id"] == id]
        return JSONResponse(found[0]) if found else _missing()

    async def _download(self, request: Request) -> Response:
        body = await request.body()
        return PlainTextResponse(body or b'{"id":"theirs"}\n', media_type="application/json")


def _unauthorized() -> Response:
    return JSONResponse({"error": "invalid credentials"}, 401, headers={"WWW-Authenticate": 'Basic realm="xo"'})


def _missing() -> Response:
    return JSONResponse({"error": "no such object"}, 404)
