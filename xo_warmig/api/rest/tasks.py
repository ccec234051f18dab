"""The tasks of migrations and of actions: listed, looked at, waited for, watched, aborted, forgotten (@xen-orchestra/rest-api, tasks)."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Iterator, Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from xo_warmig.api import xo_errors
from xo_warmig.api.connection import Calls
from xo_warmig.api.rest.answers import BASE, accepted, answer
from xo_warmig.api.rest.desk import Desk
from xo_warmig.api.rest.feed import LOOK_SECONDS, TASKS, Change, Feed
from xo_warmig.api.rest.listing import Wanted, flag, item, wanted
from xo_warmig.api.rest.requests import while_there
from xo_warmig.api.rest.task import task_of
from xo_warmig.api.session import Session
from xo_warmig.api.state_file import to_json
from xo_warmig.api.xo_errors import XoError
from xo_warmig.errors import ForbiddenOperation, NoSuchObject
from xo_warmig.xo.objects import XoObject

TASKS_NAME: Final = "tasks"

log = logging.getLogger(__name__)


def all_tasks(desk: Desk) -> list[XoObject]:
    """Of migrations, then of actions."""
    migrations = (task_of(each) for each in desk.services.engine.reports() if not each.task_forgotten)
    return [*migrations, *desk.actions.all()]


def is_about(task: XoObject, id: str) -> bool:
    """Whether it is one of the object's, as XO decides it."""
    properties: Mapping[str, Any] = task["properties"]
    return id in (properties.get("objectId"), properties.get("params", {}).get("id"))


class Tasks:
    """``calls`` keeps aborts that go on after their answer."""

    def __init__(self, desk: Desk, calls: Calls) -> None:
        self._desk = desk
        self._calls = calls

    def routes(self) -> list[Route]:
        route = self._desk.route
        return [
            route("/tasks", self._list),
            route("/tasks", self._forget_all, "DELETE"),
            route("/tasks/{id}", self._one),
            route("/tasks/{id}", self._forget, "DELETE"),
            route("/tasks/{id}/actions/abort", self._abort, "POST"),
        ]

    async def _list(self, request: Request) -> Response:
        if flag(request.query_params, "watch"):
            return await self._watch(request)
        return await self._desk.listed(request, all_tasks(self._desk), TASKS_NAME)

    async def _watch(self, request: Request) -> Response:
        asked, session = wanted(request.query_params), request.state.session
        await self._desk.services.chooser.chosen([], asked.filter)  # one that cannot be read is refused at once
        return self._desk.stream(request, watched(self._desk, Feed(session), asked), "application/x-ndjson")

    async def _one(self, request: Request) -> Response:
        """``wait=true``: when it has ended."""
        id = request.path_params["id"]
        if flag(request.query_params, "wait"):
            await while_there(request.receive, self._end(id, request.state.session))
        return answer(self._task(id))

    async def _end(self, id: str, session: Session) -> None:
        """Later than the outcome, mostly: that is there when the target has booted."""
        feed = Feed(session)
        with following(self._desk, feed):
            while self._task(id)["status"] == "pending":
                await feed.changes(LOOK_SECONDS)
                if not feed.is_allowed(self._desk.services.accounts.now_ms()):
                    raise xo_errors.unauthorized("admin")

    def _task(self, id: str) -> XoObject:
        """Raises XoError 1."""
        action = self._desk.actions.get(id)
        if action is not None:
            return action
        try:
            report = self._desk.services.engine.report(id)
        except NoSuchObject:
            raise xo_errors.no_such_object(id, "task") from None
        if report.task_forgotten:
            raise xo_errors.no_such_object(id, "task")
        return task_of(report)

    async def _abort(self, request: Request) -> Response:
        """Cancels the migration; ``sync=true``: answered when it is cancelled. An action is one call of a pool, which goes on."""
        id = request.path_params["id"]
        waits = flag(request.query_params, "sync")
        if self._desk.actions.get(id) is not None:
            raise XoError(0, "not implemented")
        self._task(id)
        cancelling = asyncio.ensure_future(self._desk.call(request, "task.cancel", {"id": id}))
        self._calls.start(_quietly(cancelling))
        if not waits:
            return accepted(id)
        await while_there(request.receive, asyncio.shield(cancelling))
        return Response(status_code=204)

    async def _forget(self, request: Request) -> Response:
        id = request.path_params["id"]
        if self._task(id)["status"] == "pending":
            raise ForbiddenOperation(
                f"the task {id} stays: it goes on",
                code="TASK_KEPT",
                evidence={"operation": "delete", "reason": "it goes on", "objectId": id},
            )
        await self._forget_ended(request, id)
        return Response(status_code=204)

    async def _forget_all(self, request: Request) -> Response:
        """Those that have ended."""
        for task in all_tasks(self._desk):
            if task["status"] != "pending":
                await self._forget_ended(request, task["id"])
        return Response(status_code=204)

    async def _forget_ended(self, request: Request, id: str) -> None:
        if self._desk.actions.get(id) is not None:
            self._desk.actions.forget(id)
        else:
            await self._desk.call(request, "task.destroy", {"id": id})


@contextlib.contextmanager
def following(desk: Desk, feed: Feed) -> Iterator[None]:
    """The feed is told of tasks, and of what else it follows."""
    feed.follow(TASKS, all_tasks(desk))
    leave = desk.actions.subscribe(feed.put_task)
    desk.services.hub.join(feed)
    try:
        yield
    finally:
        leave()
        desk.services.hub.leave(feed)


async def watched(desk: Desk, feed: Feed, asked: Wanted) -> AsyncGenerator[str, None]:
    """A line for each change, until the caller may not see them any more: ``["update", <task>]`` or ``["remove", {"id"}]``, of both what a
    list has of them (@xen-orchestra/rest-api, tasks, which writes references alone without ``fields``).
    """
    now_ms = desk.services.accounts.now_ms
    with following(desk, feed), desk.admission.counted(feed.session.address):
        while True:
            changes = await feed.changes(LOOK_SECONDS)
            if not feed.is_allowed(now_ms()):
                return
            for line in await _lines(desk, changes, asked):
                yield line


async def _lines(desk: Desk, changes: list[Change], asked: Wanted) -> list[str]:
    chosen = await desk.services.chooser.chosen([each.now for each in changes if each.now is not None], asked.filter)
    gone = [{"id": each.before["id"]} for each in changes if each.now is None and each.before is not None]
    base = f"{BASE}/{TASKS_NAME}"
    updates = [["update", item(task, base, asked.fields)] for task in chosen]
    removals = [["remove", item(task, base, asked.fields)] for task in gone]
    return [to_json(each) + "\n" for each in updates + removals]


async def _quietly(cancelling: Awaitable[None]) -> None:
    """What becomes of it is in the task."""
    try:
        await cancelling
    except XoError as refusal:
        log.info("an abort came to nothing: %s", refusal)
