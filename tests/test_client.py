"""The client against small websocket servers: matching of answers, errors, notifications, and how a connection ends."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import msgspec
import pytest
from websockets.asyncio.server import Server, ServerConnection, serve

from xo_warmig.api.endpoint import OWN_AGENT
from xo_warmig.client import (
    CallFailed,
    Client,
    ConnectionLost,
    Notification,
    UnexpectedAnswer,
    connect,
    notifications,
    persistently,
    websocket_url,
)

Handler = Callable[[ServerConnection, dict[str, Any]], Awaitable[None]]
Start = Callable[[Handler], Awaitable[str]]


async def answer(socket: ServerConnection, request: dict[str, Any], **members: Any) -> None:
    """Send ``members`` as the answer to a request."""
    await socket.send(json.dumps({"jsonrpc": "2.0", "id": request["id"], **members}))


async def tell(socket: ServerConnection, method: str, **params: Any) -> None:
    """Send a notification."""
    await socket.send(json.dumps({"jsonrpc": "2.0", "method": method, "params": params}))


async def nothing(socket: ServerConnection, request: dict[str, Any]) -> None:
    """A handler that answers nothing."""


def port_of(server: Server) -> int:
    port: int = next(iter(server.sockets)).getsockname()[1]
    return port


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts a server that signs everybody in and gives each other request to a handler; its URL."""
    async with AsyncExitStack() as stack:

        async def run(handler: Handler) -> str:
            async def talk(socket: ServerConnection) -> None:
                assert socket.request is not None
                assert socket.request.path == "/api/"
                async for text in socket:
                    request = json.loads(text)
                    if request["method"] == "session.signIn":
                        await answer(socket, request, result={"id": "u", **request["params"]})
                    else:
                        await handler(socket, request)

            server = await stack.enter_async_context(serve(talk, "127.0.0.1", 0))
            return f"http://127.0.0.1:{port_of(server)}"

        yield run


async def test_answers_are_matched_by_id_in_any_order(start: Start) -> None:
    """Two calls at once, answered the other way round."""
    held: list[dict[str, Any]] = []

    async def swap(socket: ServerConnection, request: dict[str, Any]) -> None:
        held.append(request)
        if len(held) == 2:
            for one in reversed(held):
                await answer(socket, one, result=one["params"]["n"])

    async with connect(await start(swap), token="t") as client:
        assert list(await asyncio.gather(client.call("m", n=1), client.call("m", n=2))) == [1, 2]
    assert held[0]["id"] != held[1]["id"]


async def test_signing_in_sends_what_was_given(start: Start) -> None:
    """A token, or an email and a password, with a second factor where one is asked for."""
    url = await start(nothing)
    async with connect(url, token="secret") as client:
        assert client.user == {"id": "u", "token": "secret"}
    async with connect(url, email="a@b", password="p") as client:
        assert client.user == {"id": "u", "email": "a@b", "password": "p"}
    async with connect(url, email="a@b", password="p", otp="123456") as client:
        assert client.user == {"id": "u", "email": "a@b", "password": "p", "otp": "123456"}


async def test_refused_credentials_close_the_connection() -> None:
    """And are told by XO's number, as any other failed call."""
    closed = asyncio.Event()

    async def talk(socket: ServerConnection) -> None:
        async for text in socket:
            error = {"code": 3, "message": "invalid credentials"}
            await answer(socket, json.loads(text), error=error)
        closed.set()

    async with serve(talk, "127.0.0.1", 0) as server:
        with pytest.raises(CallFailed, match="invalid credentials") as caught:
            async with connect(f"http://127.0.0.1:{port_of(server)}", token="wrong"):
                pass
        await asyncio.wait_for(closed.wait(), 5)
    assert (caught.value.rpc_code, caught.value.code, caught.value.method) == (3, "XO_3", "session.signIn")


@pytest.mark.parametrize("objects", [False, True])
async def test_objects_of_pools_are_told_to_who_asks_for_them(objects: bool) -> None:
    """Our name, at the beginning of the client's, says that nobody needs every pool to be read."""
    agents: list[str] = []

    async def talk(socket: ServerConnection) -> None:
        assert socket.request is not None
        agents.append(socket.request.headers["User-Agent"])
        async for text in socket:
            await answer(socket, json.loads(text), result={})

    async with (
        serve(talk, "127.0.0.1", 0) as server,
        connect(f"http://127.0.0.1:{port_of(server)}", token="t", objects=objects),
    ):
        pass
    assert [agent.startswith(OWN_AGENT) for agent in agents] == [not objects]


async def test_a_failed_call_has_the_server_s_code_evidence_and_remedy(start: Start) -> None:
    """Our members in ``data`` become the error's own; XO's number stays beside them."""

    async def refuse(socket: ServerConnection, request: dict[str, Any]) -> None:
        ours = {"code": "NO_SUCH_OBJECT", "message": "no such VM x", "evidence": {"id": "x"}, "remedy": "Look again."}
        data = {"id": "x"} | ours
        await answer(socket, request, error={"code": 1, "message": "no such object x", "data": data})

    async with connect(await start(refuse), token="t") as client:
        with pytest.raises(CallFailed, match="no such VM x") as caught:
            await client.call("vm.warmMigration", vm="x")
    error = caught.value
    assert (error.rpc_code, error.rpc_message) == (1, "no such object x")
    assert (error.code, error.remedy) == ("NO_SUCH_OBJECT", "Look again.")
    assert (error.method, error.evidence, error.data["id"]) == ("vm.warmMigration", {"id": "x"}, "x")


async def test_wrong_parameters_are_named_in_the_message(start: Start) -> None:
    """XO keeps them in a list beside a message that says nothing."""

    async def refuse(socket: ServerConnection, request: dict[str, Any]) -> None:
        wrong = [{"instancePath": "/vm", "message": "must be string"}, {"instancePath": "", "message": "must have sr"}]
        await answer(socket, request, error={"code": 10, "message": "invalid parameters", "data": {"errors": wrong}})

    async with connect(await start(refuse), token="t") as client:
        with pytest.raises(CallFailed, match=r"^invalid parameters: /vm must be string; / must have sr$"):
            await client.call("m")


@pytest.mark.parametrize("data", [None, [], "foo.bar", {"code": 7}])
async def test_an_error_of_xo_s_own_shape_has_a_code_by_number(start: Start, data: Any) -> None:
    """Where the server gives no code of ours, the number is in the code."""

    async def refuse(socket: ServerConnection, request: dict[str, Any]) -> None:
        await answer(socket, request, error={"code": -32601, "message": "method not found: m", "data": data})

    async with connect(await start(refuse), token="t") as client:
        with pytest.raises(CallFailed) as caught:
            await client.call("m")
    assert caught.value.code == "XO_MINUS_32601"
    assert caught.value.evidence == {}


async def test_notifications_come_to_every_iterator_in_order(start: Start) -> None:
    """Each iterator sees all that came since it was made."""

    async def count(socket: ServerConnection, request: dict[str, Any]) -> None:
        for n in range(3):
            await tell(socket, "warmMigration", n=n)
        await answer(socket, request, result=True)

    async with connect(await start(count), token="t") as client:
        one, other = client.notifications(), client.notifications()
        await client.call("count")
    assert (
        [n async for n in one]
        == [n async for n in other]
        == [Notification("warmMigration", {"n": i}) for i in range(3)]
    )


async def test_closing_ends_what_waits(start: Start) -> None:
    """Iterators come to their end, and calls fail: they will have no answer."""
    async with connect(await start(nothing), token="t") as client:
        listener = client.notifications()
        waiting = asyncio.ensure_future(client.call("m"))
        await asyncio.sleep(0)
    with pytest.raises(ConnectionLost):
        await waiting
    assert [each async for each in listener] == []
    with pytest.raises(ConnectionLost):
        await client.call("again")


async def test_who_does_not_read_notifications_is_told_so(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was held for it comes first; calls are not concerned."""
    monkeypatch.setattr(notifications, "MAX_PENDING_NOTIFICATIONS", 2)

    async def many(socket: ServerConnection, request: dict[str, Any]) -> None:
        for n in range(4):
            await tell(socket, "warmMigration", n=n)
        await answer(socket, request, result=True)

    async with connect(await start(many), token="t") as client:
        listener = client.notifications()
        assert await client.call("m") is True
        assert [(await anext(listener)).params["n"] for _ in range(2)] == [0, 1]
        with pytest.raises(ConnectionLost) as caught:
            await anext(listener)
    assert caught.value.code == "TOO_SLOW"


class Point(msgspec.Struct):
    """What the test's server answers."""

    x: int


async def test_results_and_members_are_read_as_types(start: Start) -> None:
    """Or it is said that the server means something else."""

    async def give(socket: ServerConnection, request: dict[str, Any]) -> None:
        await tell(socket, "warmMigration", **request["params"])
        await answer(socket, request, result=request["params"]["point"])

    async with connect(await start(give), token="t") as client:
        listener = client.notifications()
        assert await client.call_as(Point, "m", point={"x": 1}) == Point(1)
        assert (await anext(listener)).read("point", Point) == Point(1)
        with pytest.raises(UnexpectedAnswer, match=r"^m gave something else than was expected: .*int") as caught:
            await client.call_as(Point, "m", point={"x": "1"})
        told = await anext(listener)
        with pytest.raises(UnexpectedAnswer, match="warmMigration"):
            told.read("point", Point)
        with pytest.raises(UnexpectedAnswer):
            told.read("nothing", Point)
    assert (caught.value.code, caught.value.evidence) == ("UNEXPECTED_ANSWER", {"method": "m"})


async def test_a_call_fails_when_the_server_goes(start: Start) -> None:
    """A closed connection ends calls and iterators with its code, and later calls too."""

    async def leave(socket: ServerConnection, request: dict[str, Any]) -> None:
        await socket.close(1013, "busy")

    url = await start(leave)
    async with connect(url, token="t") as client:
        listener = client.notifications()
        with pytest.raises(ConnectionLost, match="1013: busy") as caught:
            await client.call("m")
        assert caught.value.evidence == {"url": url}
        with pytest.raises(ConnectionLost):
            await anext(listener)
        with pytest.raises(ConnectionLost):
            await client.call("again")


async def test_a_cancelled_call_leaves_the_connection_usable(start: Start) -> None:
    """Its late answer is dropped."""
    late: list[dict[str, Any]] = []

    async def slow(socket: ServerConnection, request: dict[str, Any]) -> None:
        late.append(request)
        if len(late) == 2:
            for one in late:
                await answer(socket, one, result=one["method"])

    async with connect(await start(slow), token="t") as client:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.call("first"), 0.05)
        assert await client.call("second") == "second"


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        "[]",
        '{"jsonrpc": "2.0", "id": 2}',
        '{"jsonrpc": "2.0", "result": 1}',
        '{"jsonrpc": "2.0", "id": 2, "error": {"code": "1", "message": "m"}}',
        '{"jsonrpc": "2.0", "id": 2, "error": "m"}',
        '{"jsonrpc": "2.0", "method": "all", "params": []}',
    ],
)
async def test_what_is_no_json_rpc_ends_the_connection(start: Start, text: str) -> None:
    """A wrong server is told from a failing one."""

    async def babble(socket: ServerConnection, request: dict[str, Any]) -> None:
        await socket.send(text)

    async with connect(await start(babble), token="t") as client:
        with pytest.raises(ConnectionLost) as caught:
            await client.call("m")
    assert caught.value.code == "BAD_MESSAGE"


async def test_a_large_answer_is_taken(start: Start) -> None:
    """Above the library's own limit of 1 MiB."""

    async def much(socket: ServerConnection, request: dict[str, Any]) -> None:
        await answer(socket, request, result="x" * (3 << 20))

    async with connect(await start(much), token="t") as client:
        assert len(await client.call("m")) == 3 << 20


async def test_nobody_at_the_address_is_told_with_a_remedy(start: Start) -> None:
    """The first error that a newcomer sees."""
    with pytest.raises(ConnectionLost) as caught:
        async with connect("http://127.0.0.1:1", token="t"):
            pass
    assert caught.value.code == "SERVER_UNREACHABLE"
    assert "xo-warmig serve" in caught.value.remedy


@pytest.mark.parametrize(
    "given",
    [{}, {"email": "a"}, {"token": "t", "email": "a", "password": "p"}, {"token": "t", "otp": "1"}, {"otp": "1"}],
)
async def test_half_of_the_credentials_is_a_mistake(given: dict[str, str]) -> None:
    """A programmer's, so a TypeError."""
    with pytest.raises(TypeError):
        async with connect("http://127.0.0.1:1", **given):  # type: ignore[arg-type]
            pass


async def sign_in_or(socket: ServerConnection, request: dict[str, Any], handler: Handler) -> None:
    """Answer a sign-in, give everything else to the handler."""
    if request["method"] == "session.signIn":
        await answer(socket, request, result={"id": "u"})
    else:
        await handler(socket, request)


class Restarting:
    """A server that can be killed and started again at the same address."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._server: Server | None = None
        self._port = 0
        self.calls: list[dict[str, Any]] = []
        self.sign_ins: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def start(self) -> None:
        self._server = await serve(self._talk, "127.0.0.1", self._port)
        self._port = port_of(self._server)

    async def kill(self) -> None:
        assert self._server is not None
        for connection in self._server.connections:
            connection.transport.abort()
        self._server.close()
        await self._server.wait_closed()

    async def _talk(self, socket: ServerConnection) -> None:
        async for text in socket:
            request = json.loads(text)
            if request["method"] == "session.signIn":
                self.sign_ins.append(request["params"])
            else:
                self.calls.append(request)
            await sign_in_or(socket, request, self._handler)


async def test_a_long_call_survives_a_restart_of_the_server() -> None:
    """It is called again with the same parameters once the server is back, and the loss is told once."""
    restarted = asyncio.Event()
    called = asyncio.Event()

    async def migrate(socket: ServerConnection, request: dict[str, Any]) -> None:
        called.set()
        if restarted.is_set():
            await answer(socket, request, result="target-uuid")

    server = Restarting(migrate)
    await server.start()
    losses: list[ConnectionLost] = []

    async def restart() -> None:
        await called.wait()
        await server.kill()
        await asyncio.sleep(0.5)
        restarted.set()
        await server.start()

    restarting = asyncio.create_task(restart())
    target = await persistently(
        lambda client: client.call("vm.warmMigration", vm="v"), server.url, token="t", lost=losses.append
    )
    await restarting
    assert target == "target-uuid"
    assert [call["params"] for call in server.calls] == [{"vm": "v"}, {"vm": "v"}]
    assert [loss.code for loss in losses] == ["CONNECTION_LOST"]
    await server.kill()


async def test_who_watches_is_signed_in_again_and_goes_on() -> None:
    """With a second factor of its own each time; an iterator is asked for again, and what was missed is for the script to ask for."""
    seen: list[int] = []
    codes = iter(("111111", "222222"))

    async def count(socket: ServerConnection, request: dict[str, Any]) -> None:
        await tell(socket, "warmMigration", n=len(server.calls))
        if len(server.calls) == 1:
            socket.transport.abort()

    async def watch(client: Client) -> str:
        told = client.notifications()
        waiting = asyncio.ensure_future(client.call("m"))
        try:
            async for notification in told:
                seen.append(notification.params["n"])
                if len(seen) == 2:
                    break
        finally:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        return "seen"

    server = Restarting(count)
    await server.start()
    named: Any = {"email": "a@b", "password": "p", "otp": lambda: next(codes)}
    assert await persistently(watch, server.url, **named) == "seen"
    assert seen == [1, 2]
    assert [params["otp"] for params in server.sign_ins] == ["111111", "222222"]
    await server.kill()


async def test_patience_is_counted_from_the_loss() -> None:
    """A server that stays away, and one that drops every connection, are given up; the last error tells which."""

    async def leave(socket: ServerConnection, request: dict[str, Any]) -> None:
        socket.transport.abort()

    server = Restarting(leave)
    await server.start()
    with pytest.raises(ConnectionLost) as caught:
        await persistently(lambda client: client.call("m"), server.url, token="t", patience_seconds=0.7)
    assert caught.value.code == "CONNECTION_LOST"
    assert (
        2 <= len(server.calls) <= 3
    )  # at once, after 0.2 s, and after 0.4 s more unless the machine took too long for that

    async def use(client: Client) -> None:
        await server.kill()
        await client.call("m")

    with pytest.raises(ConnectionLost) as caught:
        await persistently(use, server.url, token="t", patience_seconds=0.3)
    assert caught.value.code == "SERVER_UNREACHABLE"


async def test_what_is_no_loss_is_not_tried_again(start: Start) -> None:
    """An error of the method, a server that never was there, and a peer that speaks something else."""
    calls: list[str] = []

    async def refuse(socket: ServerConnection, request: dict[str, Any]) -> None:
        calls.append(request["method"])
        if request["method"] == "babble":
            await socket.send("no json")
        else:
            await answer(socket, request, error={"code": 1, "message": "no such object"})

    url = await start(refuse)
    with pytest.raises(CallFailed):
        await persistently(lambda client: client.call("m"), url, token="t")
    with pytest.raises(ConnectionLost):
        await persistently(lambda client: client.call("babble"), url, token="t")
    with pytest.raises(ConnectionLost):
        await persistently(lambda client: client.call("m"), "http://127.0.0.1:1", token="t")
    assert calls == ["m", "babble"]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://h:1", "ws://h:1/api/"),
        ("https://h/", "wss://h/api/"),
        ("h", "wss://h/api/"),
        ("ws://h/api/", "ws://h/api/"),
        ("wss://h/xo", "wss://h/xo/api/"),
    ],
)
def test_the_api_s_address(url: str, expected: str) -> None:
    """As xo-lib builds it."""
    assert websocket_url(url) == expected


@pytest.mark.parametrize("url", ["ftp://h", "http://", ""])
def test_an_address_that_cannot_be_one(url: str) -> None:
    """Refused before anything is opened."""
    with pytest.raises(ConnectionLost) as caught:
        websocket_url(url)
    assert caught.value.code == "BAD_URL"


@pytest.mark.parametrize("host", ["127.0.0.2", "localhost", "[::1]"])
async def test_no_proxy_is_asked_for_this_machine(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor told the token."""
    asked: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as proxy:
        for name in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        with pytest.raises(ConnectionLost, match="no server answers"):
            async with connect(f"http://{host}:1", token="t"):
                pass
    assert asked == []
