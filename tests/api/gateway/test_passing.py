"""HTTP through the gateway: what a client sends arrives, and what upstream answers comes back, byte for byte and as it comes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

import msgspec
import pytest

from xo_warmig.api.gateway.certificate import Certificate
from xo_warmig.api.gateway.connections import Connections
from xo_warmig.api.gateway.passing import BAD_GATEWAY, Passing
from xo_warmig.api.gateway.peers import Peers
from xo_warmig.api.gateway.requests import shown
from xo_warmig.api.gateway.upstream import Upstream, upstream_of
from xo_warmig.api.rest.streaming import Streams
from xo_warmig.config import Config

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Line(NamedTuple):
    """A connection to the gateway."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, text: bytes) -> bytes:
        """A request without a body; the head of the answer."""
        self.writer.write(text + b"\r\nHost: xo.example\r\n\r\n")
        return await self.head()

    async def head(self) -> bytes:
        return await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 5)


@pytest.fixture
def gateway(serve: Any, speak: Any) -> Any:
    """A line to a gateway whose upstream is given, or speaks as given."""

    @contextlib.asynccontextmanager
    async def make(upstream: Upstream | Talk, trusted: tuple[str, ...] = ()) -> AsyncIterator[Line]:
        async with contextlib.AsyncExitStack() as stack:
            if not isinstance(upstream, Upstream):
                upstream = at(await stack.enter_async_context(speak(upstream)))
            connections = Connections(upstream)
            stack.callback(connections.close)
            url = await stack.enter_async_context(serve(Passing(connections, Peers(trusted), Streams())))
            line = Line(*await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1])))
            stack.callback(line.writer.close)
            yield line

    return make


def at(url: str, certificate: Certificate | None = None) -> Upstream:
    """An upstream there."""
    upstream = upstream_of(Config(upstream=url))
    assert upstream is not None
    return msgspec.structs.replace(upstream, certificate=certificate or Certificate())


def always(answer: bytes, heads: list[bytes] | None = None) -> Talk:
    """An upstream that answers every request without a body alike; ``heads`` gets the requests."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            if heads is not None:
                heads.append(head)
            writer.write(answer)
            await writer.drain()

    return talk


async def test_a_request_arrives_as_it_was_written(gateway: Any) -> None:
    """Its path unread, its Host kept, its cookies too; only what is said of the one connection is not passed."""
    heads: list[bytes] = []
    async with gateway(always(OK, heads)) as line:
        await line.ask(
            b"GET /rest/v0//a%2Fb/../c?x=%20&y= HTTP/1.1\r\nCookie: token=a; clientId=b\r\nAccept-Encoding: gzip, br\r\n"
            b"Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nTE: trailers\r\nAuthorization: Basic eA=="
        )
    assert heads[0].splitlines() == [
        b"GET /rest/v0//a%2Fb/../c?x=%20&y= HTTP/1.1",
        b"host: xo.example",
        b"cookie: token=a; clientId=b",
        b"accept-encoding: gzip, br",
        b"authorization: Basic eA==",
        b"x-forwarded-for: 127.0.0.1",
        b"x-forwarded-proto: http",
        b"x-forwarded-host: xo.example",
        b"",
    ]


async def test_an_old_client_may_leave_host_out(gateway: Any) -> None:
    """As HTTP/1.0 allows; upstream speaks 1.1, which needs one."""
    heads: list[bytes] = []
    async with gateway(always(OK, heads)) as line:
        line.writer.write(b"GET /x HTTP/1.0\r\n\r\n")
        assert (await line.head()).startswith(b"HTTP/1.1 200 ")
    assert heads[0].splitlines()[1].startswith(b"host: 127.0.0.1:")


async def test_only_a_trusted_proxy_may_say_who_asks(gateway: Any) -> None:
    """Its word goes on, with itself added; anybody else's is replaced."""
    told = b"GET / HTTP/1.1\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: xo"
    heads: list[bytes] = []
    for trusted in ((), ("127.0.0.1",)):
        async with gateway(always(OK, heads), trusted) as line:
            await line.ask(told)
    stranger, proxy = ([each for each in head.splitlines() if each.startswith(b"x-forw")] for head in heads)
    assert stranger[:2] == [b"x-forwarded-for: 127.0.0.1", b"x-forwarded-proto: http"]
    assert proxy[:2] == [b"x-forwarded-for: 192.0.2.1, 127.0.0.1", b"x-forwarded-proto: https"]
    assert (stranger[2], proxy[2]) == (b"x-forwarded-host: xo.example", b"x-forwarded-host: xo")


async def test_an_answer_comes_back_as_it_was_sent(gateway: Any) -> None:
    """Several cookies, a redirect within the origin, policies, a packed body that nobody unpacks, its length."""
    answer = (
        b"HTTP/1.1 302 Found\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nSet-Cookie: token=a; Path=/\r\n"
        b"Set-Cookie: connect.sid=s%3A1; Path=/; HttpOnly\r\nLocation: /signin\r\n"
        b"Content-Security-Policy: connect-src 'self'\r\nContent-Encoding: gzip\r\nKeep-Alive: timeout=5\r\n"
        b"Content-Disposition: attachment; filename=\xe9.xva\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x00\xff"
    )
    async with gateway(always(answer)) as line:
        head = await line.ask(b"GET / HTTP/1.1")
        assert head.splitlines() == [
            b"HTTP/1.1 302 Found",
            b"date: Thu, 01 Jan 1970 00:00:00 GMT",
            b"set-cookie: token=a; Path=/",
            b"set-cookie: connect.sid=s%3A1; Path=/; HttpOnly",
            b"location: /signin",
            b"content-security-policy: connect-src 'self'",
            b"content-encoding: gzip",
            b"content-disposition: attachment; filename=\xe9.xva",
            b"content-length: 4",
            b"",
        ]
        assert await line.reader.readexactly(4) == b"\x1f\x8b\x00\xff"


@pytest.mark.parametrize(
    ("method", "answer", "status"),
    [
        (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", b"200"),
        (b"GET", b"HTTP/1.1 204 No Content\r\n\r\n", b"204"),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\nETag: x\r\nContent-Length: 9\r\n\r\n", b"304"),
        (b"PROPFIND", OK, b"200"),
        (b"DELETE", b"HTTP/1.1 599 Odd\r\nContent-Length: 0\r\n\r\n", b"599"),
        (b"GET", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK, b"200"),
    ],
)
async def test_answers_without_a_body_and_odd_methods_pass(
    gateway: Any, method: bytes, answer: bytes, status: bytes
) -> None:
    """And the connection is good for the next request after each."""
    async with gateway(always(answer)) as line:
        for _ in range(2):
            head = await line.ask(method + b" /x HTTP/1.1")
            assert head.split()[1] == status
            if b"Content-Length: 2" in answer:
                assert await line.reader.readexactly(2) == b"ok"
            else:
                assert (b"content-length: 5000" in head) == (method == b"HEAD")


async def test_an_answer_comes_piece_by_piece(gateway: Any) -> None:
    """Server-sent events are seen as they are sent."""
    go_on = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for event in (b"event: init\n\n", b"event: ping\n\n"):
            writer.write(b"%x\r\n%b\r\n" % (len(event), event))
            await go_on.wait()
        writer.write(b"0\r\n\r\n")

    async with gateway(talk) as line:
        head = await line.ask(b"GET /rest/v0/events HTTP/1.1")
        assert b"content-type: text/event-stream" in head
        assert await asyncio.wait_for(line.reader.readuntil(b"\n\n"), 5) == b"d\r\nevent: init\n\n"
        go_on.set()
        assert (await asyncio.wait_for(line.reader.readuntil(b"0\r\n\r\n"), 5)).endswith(b"ping\n\n\r\n0\r\n\r\n")


async def test_both_bodies_travel_at_once(gateway: Any) -> None:
    """Upstream answers with what it gets while it gets it."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()

    async with gateway(talk) as line:
        line.writer.write(b"POST /api/token HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        await line.head()
        assert await line.reader.readexactly(10) == b"5\r\nfirst\r\n"
        line.writer.write(b"6\r\nsecond\r\n0\r\n\r\n")
        assert await line.reader.readexactly(16) == b"6\r\nsecond\r\n0\r\n\r\n"


async def test_a_body_keeps_its_length(gateway: Any) -> None:
    """An upload of known size is not chunked; 100-continue is said when the body is wanted."""
    bodies: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"content-length: 6\r\n" in head
        assert b"expect" not in head
        bodies.append(await reader.readexactly(6))
        writer.write(OK)

    async with gateway(talk) as line:
        line.writer.write(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\nExpect: 100-continue\r\n\r\n")
        assert (await line.head()).startswith(b"HTTP/1.1 100 ")
        line.writer.write(b"\x00body\xff")
        assert (await line.head()).startswith(b"HTTP/1.1 200 ")
    assert bodies == [b"\x00body\xff"]


async def test_upstream_may_answer_before_the_body_ends(gateway: Any) -> None:
    """A refusal is passed on at once, although the client still sends."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        await reader.read()

    async with gateway(talk) as line:
        line.writer.write(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\nfirst")
        assert (await line.head()).startswith(b"HTTP/1.1 413 ")


async def test_a_slow_client_holds_upstream_back(gateway: Any) -> None:
    """Nothing piles up in the gateway: what upstream could send of a gigabyte is what the sockets hold."""
    sent = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
        while sent < 1 << 30:
            writer.write(bytes(1 << 16))
            await writer.drain()
            sent += 1 << 16

    async with gateway(talk) as line:
        await line.ask(b"GET /rest/v0/vms/x.xva HTTP/1.1")
        before = -1
        while before != sent:
            before = sent
            await asyncio.sleep(0.2)
        assert sent < 32 << 20


async def test_a_slow_upstream_holds_the_client_back(gateway: Any) -> None:
    """The same for uploads."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.Event().wait()

    async with gateway(talk) as line:
        line.writer.write(b"PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1073741824\r\n\r\n")
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 1 << 30:
                line.writer.write(bytes(1 << 16))
                await asyncio.wait_for(line.writer.drain(), 0.3)
                sent += 1 << 16
        assert sent < 32 << 20


async def test_a_client_that_goes_ends_upstream_s_request(gateway: Any) -> None:
    """Whether it waits for the answer or is reading it."""
    ended = asyncio.Queue[bool]()
    answers = [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfirst"]

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answers.pop(0))
        with contextlib.suppress(OSError):
            await reader.read()
        ended.put_nowait(True)

    async with gateway(talk) as line:
        host, port = line.writer.get_extra_info("peername")
        for first in (b"", b"first"):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(b"GET /rest/v0/tasks/1?wait=true HTTP/1.1\r\nHost: x\r\n\r\n")
            if first:
                await reader.readuntil(first)
            else:
                await asyncio.sleep(0.05)
            writer.close()
            assert await asyncio.wait_for(ended.get(), 5)


async def test_an_answer_that_breaks_off_is_not_taken_for_whole(gateway: Any) -> None:
    """Upstream goes in the middle of a chunked body: the client's connection ends without its end."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        await writer.drain()

    async with gateway(talk) as line:
        await line.ask(b"GET /x HTTP/1.1")
        assert await asyncio.wait_for(line.reader.read(), 5) == b"5\r\nfirst\r\n"


async def test_a_kept_connection_that_died_is_not_noticed(gateway: Any) -> None:
    """A request without a body is sent again on a new one; one with a body goes on a new one at once."""
    connections = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await reader.readuntil(b"\r\n\r\n")  # and then it is gone, although asked

    async with gateway(talk) as line:
        for _ in range(2):
            assert (await line.ask(b"GET /x HTTP/1.1")).startswith(b"HTTP/1.1 200 ")
            await line.reader.readexactly(2)
        assert connections == 2
        line.writer.write(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        assert (await line.head()).startswith(b"HTTP/1.1 200 ")
        assert connections == 3


async def test_what_follows_an_answer_is_not_the_next_one(gateway: Any) -> None:
    """It may be meant for nobody, or for somebody else: such a connection is not used again."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (await reader.readuntil(b"\r\n\r\n")).startswith(b"HEAD"):
            writer.write(OK.removesuffix(b"ok") + b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        writer.write(OK)

    async with gateway(talk) as line:
        assert b" 200 " in await line.ask(b"HEAD /a HTTP/1.1")
        assert b" 200 " in await line.ask(b"GET /b HTTP/1.1")


async def test_an_upstream_that_is_gone_is_a_502(gateway: Any, speak: Any) -> None:
    """With a text for people; and when it is back, all is well without anybody doing anything."""
    async with speak(always(OK)) as url:
        pass
    async with gateway(at(url)) as line:
        head = await line.ask(b"GET / HTTP/1.1")
        assert head.startswith(b"HTTP/1.1 502 ")
        assert await line.reader.readexactly(len(BAD_GATEWAY)) == BAD_GATEWAY.encode()
        line.writer.write(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
        assert (await line.head()).startswith(b"HTTP/1.1 502 ")
        await line.reader.readexactly(len(BAD_GATEWAY))
        async with speak(always(OK), port=int(url.rsplit(":", 1)[1])):
            assert (await line.ask(b"GET / HTTP/1.1")).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 101 Switching Protocols\r\n\r\n"])
async def test_an_upstream_that_speaks_no_http_is_a_502(gateway: Any, answer: bytes) -> None:
    """Also one that closes at once."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()

    async with gateway(talk) as line:
        assert (await line.ask(b"GET / HTTP/1.1")).startswith(b"HTTP/1.1 502 ")


async def test_certificates_are_judged(gateway: Any, speak: Any, pair: Any, tmp_path: Any) -> None:
    """An unknown one is a 502; by its authority (with the name), by its fingerprint or as the first one seen it is believed."""
    named, other = pair("named", names=True), pair("other")
    kept = tmp_path / "kept"
    cases = [
        (named, Certificate(), 502),
        (named, Certificate(ca_file=named.certificate), 200),
        (other, Certificate(ca_file=other.certificate), 502),  # it names something else
        (other, Certificate(fingerprint=other.fingerprint), 200),
        (named, Certificate(fingerprint=other.fingerprint), 502),
        (named, Certificate(kept=kept), 200),
        (named, Certificate(kept=kept), 200),
        (other, Certificate(kept=kept), 502),
    ]
    for own, certificate, status in cases:
        async with speak(always(OK), context=own.context) as url, gateway(at(url, certificate)) as line:
            head = await line.ask(b"GET / HTTP/1.1")
            assert int(head.split()[1]) == status, certificate
    assert kept.read_text().strip() == named.fingerprint
    assert kept.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("path", "told"),
    [
        (b"/v5/api/se%63ret", "GET /v5/api/..."),
        (b"/api/secret.xva", "GET /api/..."),
        (b"/rest/v0/vms/a%0Ab", "GET /rest/v0/vms/a%0Ab"),
        (b"/signin", "GET /signin"),
    ],
)
def test_the_log_has_no_secret_of_a_request(path: bytes, told: str) -> None:
    """Nor a line that somebody else writes."""
    scope = {"method": "GET", "raw_path": path, "query_string": b"token=secret"}
    assert shown(scope) == told
