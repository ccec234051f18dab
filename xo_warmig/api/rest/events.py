"""What happens, as server-sent events (@xen-orchestra/rest-api, events): a client opens a stream, and says in other requests what it
follows.

Events are ``init``, ``add``, ``update``, ``remove`` and ``ping``, the data of each is JSON. What was there before is not told.
"""

import time
import uuid
from collections.abc import AsyncGenerator
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from xo_warmig.api import xo_errors
from xo_warmig.api.rest.answers import Malformed, answer
from xo_warmig.api.rest.collections import COLLECTIONS
from xo_warmig.api.rest.desk import Desk
from xo_warmig.api.rest.feed import LOOK_SECONDS, TASKS, Change, Feed
from xo_warmig.api.rest.requests import body_of
from xo_warmig.api.rest.tasks import all_tasks, following
from xo_warmig.api.state_file import to_json
from xo_warmig.xo.objects import XoObject

PING_SECONDS: Final = 30.0
KINDS: Final = (*COLLECTIONS.values(), TASKS)


class Subscription(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``fields``: absent or ``*`` for all."""

    collection: str
    fields: list[str] | str = "*"


class Client:
    """A stream, and what of each object it is told, by collection; None: all."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.fields: dict[str, frozenset[str] | None] = {}


class Events:
    """``ping_seconds``: XO 6 shows an error when it hears nothing for 40."""

    def __init__(self, desk: Desk, *, ping_seconds: float = PING_SECONDS) -> None:
        self._desk = desk
        self._ping_seconds = ping_seconds
        self._clients: dict[str, Client] = {}

    def routes(self) -> list[Route]:
        route = self._desk.route
        return [
            route("/events", self._open),
            route("/events/{id}/subscriptions", self._subscribe, "POST"),
            route("/events/{id}/subscriptions/{collection}", self._unsubscribe, "DELETE"),
        ]

    async def _open(self, request: Request) -> Response:
        client = Client(Feed(request.state.session))
        return self._desk.stream(request, self._events(str(uuid.uuid4()), client), "text/event-stream")

    async def _subscribe(self, request: Request) -> Response:
        client = self._client(request)
        try:
            asked = msgspec.convert(await body_of(request), Subscription)
        except msgspec.ValidationError as error:
            raise Malformed(str(error), 422) from None
        if asked.collection not in KINDS:
            raise Malformed(f"collection: none of {', '.join(KINDS)}", 422)
        if isinstance(asked.fields, str) and asked.fields != "*":
            raise Malformed("fields: neither * nor a list", 422)
        objects = all_tasks(self._desk) if asked.collection == TASKS else await self._desk.objects(asked.collection)
        client.fields[asked.collection] = None if isinstance(asked.fields, str) else frozenset(asked.fields)
        client.feed.follow(asked.collection, objects)
        return answer({"id": asked.collection}, 201)

    async def _unsubscribe(self, request: Request) -> Response:
        collection = request.path_params["collection"]
        if not self._client(request).feed.leave(collection):
            raise xo_errors.no_such_object(collection, "subscription")
        return Response(status_code=204)

    def _client(self, request: Request) -> Client:
        """Of who asks, nobody else's."""
        id = request.path_params["id"]
        client = self._clients.get(id)
        if client is None or client.feed.session.user_id != request.state.session.user_id:
            raise xo_errors.no_such_object(id, "event stream")
        return client

    async def _events(self, id: str, client: Client) -> AsyncGenerator[str, None]:
        """Until the caller may not see them any more."""
        feed, now_ms = client.feed, self._desk.services.accounts.now_ms
        self._clients[id] = client
        try:
            with following(self._desk, feed), self._desk.admission.counted(feed.session.address):
                feed.leave(TASKS)  # nothing is followed before it is asked for
                yield _event("init", {"id": id})
                pinged = time.monotonic()
                while feed.is_allowed(now_ms()):
                    changes = await feed.changes(min(LOOK_SECONDS, pinged + self._ping_seconds - time.monotonic()))
                    for change in changes if feed.is_allowed(now_ms()) else ():
                        if (event := told(change, client.fields[change.collection])) is not None:
                            yield event
                    if time.monotonic() - pinged >= self._ping_seconds:
                        pinged = time.monotonic()
                        yield _event("ping", {"ping": round(time.time() * 1000)})
        finally:
            del self._clients[id]


def told(change: Change, fields: frozenset[str] | None) -> str | None:
    """The event of a change; None where nothing changed of what the client is told."""
    before, now = _picked(change.before, fields), _picked(change.now, fields)
    if now == before:
        return None
    subscription = {"$subscription": change.collection}
    if now is None:
        return _event("remove", {"id": change.before["id"]} | subscription if change.before else subscription)
    # XO's tasks begin with an update.
    return _event("add" if before is None and change.collection != TASKS else "update", now | subscription)


def _picked(value: XoObject | None, fields: frozenset[str] | None) -> dict[str, Any] | None:
    if value is None or fields is None:
        return value
    return {key: of for key, of in value.items() if key in fields}


def _event(kind: str, data: dict[str, Any]) -> str:
    return f"event: {kind}\ndata: {to_json(data)}\n\n"
