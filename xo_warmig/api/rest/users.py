"""Users, and their tokens."""

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from xo_warmig.api.rest.answers import BASE, answer
from xo_warmig.api.rest.desk import Desk
from xo_warmig.api.rest.requests import body_of
from xo_warmig.api.rest.tasks import all_tasks, is_about
from xo_warmig.xo.objects import XoObject


class Users:
    """``me`` is who asks."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> list[Route]:
        route = self._desk.route
        return [
            route("/users", self._list),
            route("/users/me", self._me),
            route("/users/me/authentication_tokens", self._my_tokens),
            route("/users/me/authentication_tokens", self._make_token, "POST"),
            route("/users/{id}", self._one),
            route("/users/{id}/tasks", self._tasks),
        ]

    async def _list(self, request: Request) -> Response:
        users = await self._desk.call(request, "user.getAll", {})
        return await self._desk.listed(request, [_shown(each) for each in users], "users")

    async def _one(self, request: Request) -> Response:
        return answer(_shown(self._desk.services.accounts.users.get(request.path_params["id"])))

    async def _tasks(self, request: Request) -> Response:
        id = self._desk.services.accounts.users.get(request.path_params["id"]).id
        return await self._desk.listed(request, [each for each in all_tasks(self._desk) if is_about(each, id)], "tasks")

    async def _me(self, request: Request) -> Response:
        return RedirectResponse(f"{BASE}/users/{request.state.session.user_id}", 307)

    async def _my_tokens(self, request: Request) -> Response:
        return answer(await self._desk.call(request, "user.getAuthenticationTokens", {}))

    async def _make_token(self, request: Request) -> Response:
        made = await self._desk.call(request, "token.create", await body_of(request))
        tokens = await self._desk.call(request, "user.getAuthenticationTokens", {})
        return answer({"token": next(each for each in tokens if each.id == made)}, 201)


def _shown(user: object) -> XoObject:
    return dict(msgspec.to_builtins(user))
