"""Two lists made one: whole, line by line, and as endless streams."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import msgspec
import pytest

from tests.api.gateway.xo_over_http import XoOverHttp
from xo_warmig.api.gateway.connections import Connections
from xo_warmig.api.gateway.peers import Peers
from xo_warmig.api.gateway.rest.callers import Callers
from xo_warmig.api.gateway.rest.lists import Lists
from xo_warmig.api.gateway.rest.merging import Lines, joined
from xo_warmig.api.gateway.upstream import Upstream
from xo_warmig.api.rest.streaming import Streams

WATCH = "/rest/v0/tasks?ndjson=true&watch=true"
ROOT = {"Cookie": "token=token-of-root"}


@pytest.mark.parametrize(
    ("ours", "theirs", "most", "both"),
    [
        (b"[]", b"[]", None, b"[]"),
        (b'["a"]', b'[ {"x": 1.50, "x":2} ,9007199254740993]', None, b'["a",{"x": 1.50, "x":2},9007199254740993]'),
        (b'["a"]', b'["b","c"]', 2, b'["a","b"]'),
        (b'["a","b"]', b'["c"]', 1, b'["a"]'),
        (b'["a"]', b'["b"]', 0, b"[]"),
    ],
)
def test_lists_are_joined(ours: bytes, theirs: bytes, most: int | None, both: bytes) -> None:
    """Ours first, up to the limit; what upstream wrote stays as it wrote it."""
    assert joined(ours, theirs, most) == both


def test_what_is_no_list_is_not_joined() -> None:
    """The caller sees it."""
    with pytest.raises(msgspec.DecodeError):
        joined(b"[]", b"{}", None)


def test_lines_are_cut_where_they_end() -> None:
    """Wherever pieces begin; the last one gets its end."""
    lines = Lines()
    assert [lines.whole(piece) for piece in (b"a", b"b\nc\n\nd", b"")] == [[], [b"ab\n", b"c\n", b"\n"], []]
    assert (lines.last(), Lines().last()) == ([b"d\n"], [])


class OwnWatch:
    """Our own stream of tasks: as an ASGI application, it tells what the test puts in."""

    def __init__(self) -> None:
        self.changes: asyncio.Queue[Any] = asyncio.Queue()
        self.status = 200
        self.ended = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"application/x-ndjson")]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        try:
            while True:
                line = json.dumps(await self.changes.get()).encode() + b"\n"
                await send({"type": "http.response.body", "body": line, "more_body": True})
        finally:
            self.ended.set()


class Watched:
    """Both streams and the gateway before them."""

    def __init__(self, xo: XoOverHttp, own: OwnWatch, web: httpx2.AsyncClient, streams: Streams) -> None:
        self.xo = xo
        self.streams = streams
        self.own = own
        self.web = web

    @contextlib.asynccontextmanager
    async def stream(self, headers: dict[str, str] = ROOT) -> AsyncIterator[tuple[httpx2.Response, Any]]:
        async with self.web.stream("GET", WATCH, headers=headers) as answer:
            yield answer, answer.aiter_lines()


@pytest.fixture
async def watched(serve: Any) -> AsyncIterator[Watched]:
    xo, own, streams = XoOverHttp(), OwnWatch(), Streams()
    async with serve(xo.app) as behind:
        connections = Connections(Upstream(scheme="http", host="127.0.0.1", port=int(behind.rsplit(":", 1)[1])))
        async with (
            serve(Lists(own, connections, Peers(()), Callers(connections), streams)) as url,
            httpx2.AsyncClient(base_url=url, trust_env=False, timeout=5) as web,
        ):
            yield Watched(xo, own, web, streams)
        connections.close()


async def test_a_stream_tells_of_both(watched: Watched) -> None:
    """As they come, whoever is first; its end is upstream's."""
    own, xo = watched.own.changes, watched.xo.changes
    own.put_nowait(["update", {"id": "ours"}])
    async with watched.stream() as (answer, lines):
        assert answer.status_code == 200
        assert json.loads(await anext(lines)) == ["update", {"id": "ours"}]
        for queue, id in ((xo, "theirs"), (own, "ours again"), (xo, "theirs again")):
            queue.put_nowait(["update", {"id": id}])
            assert json.loads(await anext(lines)) == ["update", {"id": id}]
        xo.put_nowait(None)
        assert [line async for line in lines] == []
    await asyncio.wait_for(watched.own.ended.wait(), 5)


async def test_a_stream_ends_with_the_server(watched: Watched) -> None:
    """As a whole answer; nobody has to cut it."""
    watched.own.changes.put_nowait(["update", {"id": "ours"}])
    async with watched.stream() as (_, lines):
        assert json.loads(await anext(lines))[1] == {"id": "ours"}
        watched.streams.close()
        assert [line async for line in lines] == []
    await asyncio.wait_for(watched.own.ended.wait(), 5)


async def test_a_stream_that_nobody_reads_any_more_ends(watched: Watched) -> None:
    """Ours and upstream's."""
    watched.xo.changes.put_nowait(["update", {"id": "theirs"}])
    async with watched.stream() as (_, lines):
        assert json.loads(await anext(lines))[1] == {"id": "theirs"}
    await asyncio.wait_for(watched.own.ended.wait(), 5)


async def test_a_stream_that_upstream_refuses_is_refused(watched: Watched) -> None:
    """With its own words."""
    async with watched.stream({"Cookie": "token=nonsense"}) as (answer, _):
        assert answer.status_code == 401
        assert json.loads(await answer.aread()) == {"error": "invalid credentials"}


async def test_a_list_that_we_do_not_have_is_upstream_s(watched: Watched) -> None:
    """A VM whose pool we do not know, or a form that is not merged."""
    watched.own.status = 404
    plain = await watched.web.get("/rest/v0/vms/v/tasks?fields=id", headers=ROOT)
    assert [task["id"] for task in plain.json()] == [task["id"] for task in watched.xo.tasks]
    assert plain.headers["etag"] == 'W/"1"'
