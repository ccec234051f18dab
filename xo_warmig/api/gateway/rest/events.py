"""Server-sent events: ours of tasks among upstream's (@xen-orchestra/rest-api, events).

A client opens a stream, whose first event says its id, and subscribes to collections in other requests, which name that id. While it
follows upstream's tasks it follows ours too, on a stream of our own that it never sees.
"""

import re
from typing import Any, Final

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from xo_warmig.api.gateway.rest.callers import Callers
from xo_warmig.api.gateway.rest.following import Following
from xo_warmig.api.gateway.rest.merging import Lines
from xo_warmig.api.gateway.rest.mounts import plain
from xo_warmig.api.gateway.rest.server_sent import END, parsed

TASKS: Final = "task"
PATH: Final = re.compile(r"/rest/v0/events(?:/([^/]+)/subscriptions(?:/([^/]+))?)?")
_MOST_BODY_BYTES: Final = 64 * 1024


class Events:
    """An ASGI application for requests of administrators at ``PATH``. What upstream refuses is refused."""

    def __init__(self, own: ASGIApp, passing: ASGIApp, callers: Callers) -> None:
        self._own = own
        self._passing = passing
        self._callers = callers
        self._streams: dict[str, _Stream] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match = PATH.fullmatch(plain(scope["path"]))
        id, collection = match.groups() if match else (None, None)
        if id is None and scope["method"] == "GET":
            await self._open(scope, receive, send)
        elif id is not None and collection is None and scope["method"] == "POST":
            await self._subscribe(id, scope, receive, send)
        elif id is not None and collection == TASKS and scope["method"] == "DELETE":
            answer = _Heard(receive, send)
            await self._passing(scope, receive, answer.send)
            if answer.status == 204 and (stream := self._streams.get(id)):
                await stream.following.stop()
        else:
            await self._passing(scope, receive, send)

    async def _open(self, scope: Scope, receive: Receive, send: Send) -> None:
        following = Following(self._own, self._callers)
        stream = _Stream(send, following, self._streams)
        headers = [header for header in scope["headers"] if header[0] != b"accept-encoding"]
        try:
            await self._passing({**scope, "headers": headers}, receive, stream.pass_back)
        finally:
            stream.forget()
            await following.stop()

    async def _subscribe(self, id: str, scope: Scope, receive: Receive, send: Send) -> None:
        heard = _Heard(receive, send)
        await self._passing(scope, heard.receive, heard.send)
        stream = self._streams.get(id)
        if stream is not None and heard.status == 201 and heard.collection() == TASKS:
            await stream.following.start(scope, bytes(heard.body), stream.tell)


class _Stream:
    """A client's. Ours goes between upstream's events, never into one."""

    def __init__(self, send: Send, following: Following, streams: "dict[str, _Stream]") -> None:
        self.following = following
        self._send = send
        self._streams = streams
        self._id: str | None = None
        self._fits = False
        self._events = Lines(END)

    async def pass_back(self, message: Message) -> None:
        """Of upstream's answer."""
        if message["type"] == "http.response.start":
            self._fits = message["status"] == 200
        elif self._fits:
            last = not message.get("more_body", False)
            events = [*self._events.whole(message.get("body", b"")), *(self._events.last() if last else [])]
            if self._id is None and events:
                self._introduce(events[0])
            self._fits = not last
            message = {**message, "body": b"".join(events)}
        await self._send(message)

    async def tell(self, event: bytes) -> None:
        """One of ours."""
        if self._fits:
            await self._send({"type": "http.response.body", "body": event, "more_body": True})

    def forget(self) -> None:
        """Nobody reads it any more."""
        self._fits = False
        if self._id is not None:
            self._streams.pop(self._id, None)

    def _introduce(self, event: bytes) -> None:
        kind, data = parsed(event)
        id = data.get("id") if kind == "init" else None
        if isinstance(id, str):
            self._id = id
            self._streams[id] = self


class _Heard:
    """What is said in a request and its answer, as it passes."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self.body = bytearray()
        self.status = 0
        self._receive = receive
        self._send = send

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request" and len(self.body) <= _MOST_BODY_BYTES:
            self.body += message.get("body", b"")
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._send(message)

    def collection(self) -> Any:
        try:
            return msgspec.json.decode(self.body, type=dict[str, Any]).get("collection")
        except msgspec.DecodeError:
            return None
