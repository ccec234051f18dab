"""A server made of canned answers, and the commands run against it."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from click.testing import CliRunner, Result
from websockets.asyncio.server import ServerConnection, serve

from xo_warmig.cli import main

TOKEN = "t0k3n"


class CannedServer:
    """Answers calls from ``answers``: by method, a value, or a function of the parameters that returns one.

    A value with nothing but ``error`` is answered as an error. ``notifications`` go out after the answer of their method; None among
    them ends the connection. For each entry of ``drops``, a call of that method ends the connection in place of an answer.
    """

    def __init__(self) -> None:
        self.url = ""
        self.answers: dict[str, Any] = {}
        self.notifications: dict[str, list[dict[str, Any] | None]] = {}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.drops: list[str] = []

    async def talk(self, socket: ServerConnection) -> None:
        async for text in socket:
            request = json.loads(text)
            method, params = request["method"], request["params"]
            reply: dict[str, Any] = {"jsonrpc": "2.0", "id": request["id"]}
            if method == "session.signIn":
                wrong = {"code": 3, "message": "invalid credentials"}
                reply |= {"result": {"id": "u"}} if params == {"token": TOKEN} else {"error": wrong}
                await socket.send(json.dumps(reply))
                continue
            self.calls.append((method, params))
            if method in self.drops:
                self.drops.remove(method)
                socket.transport.abort()
                return
            answer = self.answers.get(method, {"error": {"code": -32601, "message": f"method not found: {method}"}})
            answer = answer(params) if callable(answer) else answer
            is_error = isinstance(answer, dict) and set(answer) == {"error"}
            await socket.send(json.dumps(reply | (answer if is_error else {"result": answer})))
            for params in self.notifications.get(method, []):
                if params is None:
                    socket.transport.abort()
                    return
                await socket.send(json.dumps({"jsonrpc": "2.0", "method": "warmMigration", "params": params}))


@pytest.fixture
def canned() -> Iterator[CannedServer]:
    """A canned server on loopback, in a thread of its own: the commands bring their own event loop."""
    server = CannedServer()
    ready: Future[str] = Future()
    stop: list[Callable[[], object]] = []

    async def run() -> None:
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        stop.append(lambda: loop.call_soon_threadsafe(ended.set))
        async with serve(server.talk, "127.0.0.1", 0) as listening:
            ready.set_result(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}")
            await ended.wait()

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    server.url = ready.result(5)
    yield server
    stop[0]()
    thread.join(5)


Run = Callable[..., Result]


@pytest.fixture
def run(canned: CannedServer, tmp_path: Any) -> Run:
    """Runs a command line against the canned server."""

    def invoke(*arguments: str, **options: Any) -> Result:
        environment = {"XO_WARMIG_URL": canned.url, "XO_WARMIG_TOKEN": TOKEN, "XO_WARMIG_STATE_DIR": str(tmp_path)}
        environment |= options.pop("env", {})
        return CliRunner().invoke(main, arguments, env=environment, **options)

    return invoke


@pytest.fixture
def report() -> Callable[..., dict[str, Any]]:
    """Makes a migration's report as the API gives it."""

    def make(**changes: Any) -> dict[str, Any]:
        a_pass = {
            "number": 1,
            "kind": "full",
            "verdict": "complete",
            "started": 1.0,
            "seconds": 3.5,
            "fixedSeconds": 1.0,
            "bytes": 100 << 20,
            "writtenBytes": 90 << 20,
            "throughputBytesPerSecond": 40.0 * (1 << 20),
            "dirtyBytesPerSecond": None,
            "predictedDowntimeSeconds": 2.25,
            "disks": [],
        }
        base: dict[str, Any] = {
            "id": "m-1",
            "vm": "8539ec6c-9f72-58a4-fa2b-05f867190a3c",
            "vmName": "web-1 [red]",
            "sourcePool": "p-1",
            "sourcePoolName": "intel",
            "targetPool": "p-2",
            "targetPoolName": "amd",
            "sr": "0747a9dc-a36c-6461-bb84-72efa03b0760",
            "targetVm": "c7e0a1f4-0000-4000-8000-000000000000",
            "request": {"vm": "v", "sr": "s", "startDestinationVm": True, "deleteSourceVm": False},
            "user": "admin@admin.net",
            "phase": "done",
            "stage": "finish",
            "waitingFor": "nothing",
            "progress": 1.0,
            "created": 1_790_000_000.0,
            "finished": 1_790_000_030.0,
            "currentPass": None,
            "passes": [a_pass],
            "predictedDowntimeSeconds": None,
            "downtime": {"seconds": 2.5, "parts": [{"name": "shutdown", "seconds": 1.0}]},
            "warnings": [],
            "error": None,
        }
        return base | changes

    return make
