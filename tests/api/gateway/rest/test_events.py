"""Server-sent events through the gateway: upstream's as they are, ours of tasks among them for who follows tasks."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest

from tests.api.gateway.xo_over_http import USERS, XoOverHttp
from xo_warmig.api.gateway.connections import Connections
from xo_warmig.api.gateway.passing import Passing
from xo_warmig.api.gateway.peers import Peers
from xo_warmig.api.gateway.rest import callers
from xo_warmig.api.gateway.rest.callers import Callers
from xo_warmig.api.gateway.rest.events import Events
from xo_warmig.api.gateway.rest.server_sent import parsed
from xo_warmig.api.gateway.upstream import Upstream
from xo_warmig.api.rest.streaming import Streams

ROOT = {"Cookie": "token=token-of-root"}
STREAM = "/v5/rest/v0/events"
SUBSCRIPTIONS = f"{STREAM}/stream-1/subscriptions"
BY_TASK = {"collection": "task", "fields": ["id", "status"]}


class OwnEvents:
    """Our own streams, as an ASGI application: ``tell`` reaches those that subscribed."""

    def __init__(self) -> None:
        self.subscribed: dict[str, Any] = {}
        self._opened = 0
        self._queues: dict[str, asyncio.Queue[str]] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert scope["path"].startswith("/rest/v0/events")
        assert (b"cookie", b"token=token-of-root") in scope["headers"]
        if scope["method"] == "POST":
            self.subscribed[scope["path"].split("/")[4]] = json.loads((await receive())["body"])
            await send({"type": "http.response.start", "status": 201, "headers": []})
            await send({"type": "http.response.body", "body": b"{}"})
            return
        self._opened += 1
        id = f"own-{self._opened}"
        queue: asyncio.Queue[str] = asyncio.Queue()
        self._queues[id] = queue
        await send({"type": "http.response.start", "status": 200, "headers": []})
        text = f'event: init\ndata: {{"id":"{id}"}}\n\n'
        try:
            while True:
                await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
                text = await queue.get()
        finally:
            del self._queues[id]
            self.subscribed.pop(id, None)

    def tell(self, text: str) -> None:
        for id in self.subscribed:
            self._queues[id].put_nowait(text)

    async def has(self, subscriptions: dict[str, Any]) -> None:
        """Waits for these."""
        async with asyncio.timeout(5):
            while self.subscribed != subscriptions:
                await asyncio.sleep(0.005)


class Site:
    """The gateway's part, and both sides of it."""

    def __init__(self, xo: XoOverHttp, own: OwnEvents, web: httpx2.AsyncClient, streams: Streams) -> None:
        self.xo = xo
        self.streams = streams
        self.own = own
        self.web = web

    @contextlib.asynccontextmanager
    async def stream(self) -> AsyncIterator[Callable[[], Any]]:
        """A client's, which got its first event; the returned reads the next."""
        async with self.web.stream("GET", STREAM, headers=ROOT) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            texts = answer.aiter_text()
            waiting: list[str] = []

            async def take() -> tuple[str, Any]:
                while not waiting:
                    waiting.extend(text for text in (await anext(texts)).split("\n\n") if text)
                return parsed(waiting.pop(0).encode())

            assert await take() == ("init", {"id": "stream-1"})
            yield take

    async def subscribe(self, body: dict[str, Any]) -> int:
        return (await self.web.post(SUBSCRIPTIONS, headers=ROOT, json=body)).status_code


@pytest.fixture
async def site(serve: Any) -> AsyncIterator[Site]:
    xo, own, streams = XoOverHttp(), OwnEvents(), Streams()
    async with serve(xo.app) as behind:
        connections = Connections(Upstream(scheme="http", host="127.0.0.1", port=int(behind.rsplit(":", 1)[1])))
        events = Events(own, Passing(connections, Peers(()), streams), Callers(connections))
        async with (
            serve(events) as url,
            httpx2.AsyncClient(base_url=url, trust_env=False, timeout=5) as web,
        ):
            yield Site(xo, own, web, streams)
        connections.close()


def event(kind: str, **data: Any) -> str:
    return f"event: {kind}\ndata: {json.dumps(data)}\n\n"


async def test_who_follows_tasks_follows_ours(site: Site) -> None:
    """From the subscription to its end, with the same fields; our first event and our pings are not theirs to see."""
    async with site.stream() as take:
        assert await site.subscribe({"collection": "VM"}) == 201
        assert site.own.subscribed == {}
        assert await site.subscribe(BY_TASK) == 201
        await site.own.has({"own-1": BY_TASK})
        site.own.tell(event("ping", ping=1))
        site.own.tell(event("update", id="ours"))
        assert await take() == ("update", {"id": "ours"})
        site.xo.events.put_nowait(event("ping", ping=2))
        assert await take() == ("ping", {"ping": 2})
        assert (await site.web.delete(f"{SUBSCRIPTIONS}/task", headers=ROOT)).status_code == 204
        await site.own.has({})


async def test_ours_never_break_into_upstream_s(site: Site) -> None:
    """An event that comes in two pieces is passed when it is whole."""
    async with site.stream() as take:
        await site.subscribe(BY_TASK)
        await site.own.has({"own-1": BY_TASK})
        theirs = event("update", id="theirs")
        site.xo.events.put_nowait(theirs[:9])
        await asyncio.sleep(0.05)
        site.own.tell(event("update", id="ours"))
        assert await take() == ("update", {"id": "ours"})
        site.xo.events.put_nowait(theirs[9:])
        assert await take() == ("update", {"id": "theirs"})


async def test_a_subscription_may_change(site: Site) -> None:
    """The last one holds."""
    async with site.stream() as take:
        await site.subscribe(BY_TASK)
        await site.own.has({"own-1": BY_TASK})
        await site.subscribe({"collection": "task"})
        await site.own.has({"own-2": {"collection": "task"}})
        site.own.tell(event("remove", id="ours"))
        assert await take() == ("remove", {"id": "ours"})


async def test_a_stream_takes_ours_with_it(site: Site) -> None:
    """When its client goes, and when upstream ends it."""
    async with site.stream():
        await site.subscribe(BY_TASK)
        await site.own.has({"own-1": BY_TASK})
    await site.own.has({})
    async with site.stream() as take:
        await site.subscribe(BY_TASK)
        await site.own.has({"own-2": BY_TASK})
        site.xo.events.put_nowait(None)
        with pytest.raises(StopAsyncIteration):
            await take()
    await site.own.has({})


async def test_a_stream_ends_with_the_server(site: Site) -> None:
    """As a whole answer; nobody has to cut it."""
    async with site.stream() as take:
        site.streams.close()
        with pytest.raises(StopAsyncIteration):
            await take()


async def test_what_upstream_refuses_is_not_followed(site: Site) -> None:
    """A stream that it does not know."""
    async with site.stream():
        answer = await site.web.post(f"{STREAM}/other/subscriptions", headers=ROOT, json=BY_TASK)
        assert answer.status_code == 404
        assert site.own.subscribed == {}


async def test_who_may_no_longer_see_ours_sees_upstream_s(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Upstream is asked again after a while."""
    monkeypatch.setattr(callers, "GOOD_SECONDS", 0.0)
    monkeypatch.setitem(USERS, "root", "admin")
    async with site.stream() as take:
        await site.subscribe(BY_TASK)
        await site.own.has({"own-1": BY_TASK})
        USERS["root"] = "none"
        site.own.tell(event("update", id="ours"))
        await site.own.has({})
        site.xo.events.put_nowait(event("update", id="theirs"))
        assert await take() == ("update", {"id": "theirs"})
