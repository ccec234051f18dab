"""An upstream that speaks on its websocket as xo-server does: its answers, errors, silences and closes, in its own order of members."""

import asyncio
import json
import threading
from collections.abc import Callable
from concurrent.futures import Future
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

USERS = {
    "root@xo.example": {
        "id": "user-1",
        "email": "root@xo.example",
        "groups": [],
        "permission": "admin",
        "preferences": {},
    },
    "viewer@xo.example": {
        "id": "user-2",
        "email": "viewer@xo.example",
        "groups": [],
        "permission": "none",
        "preferences": {},
    },
}
PASSWORD = "xo's own"
OBJECTS: dict[str, dict[str, Any]] = {
    "vm-1": {
        "id": "vm-1",
        "type": "VM",
        "name_label": "web é 🐘",
        "$pool": "pool-9",
        "memory": {"size": 12345678901234567},
    },
    "vm-2": {"id": "vm-2", "type": "VM", "name_label": "db", "$pool": "pool-9", "memory": {"size": 1.50}},
    "sr-1": {"id": "sr-1", "type": "SR", "name_label": "local", "$pool": "pool-9"},
    "pool-9": {"id": "pool-9", "type": "pool", "name_label": "branch office", "$pool": "pool-9"},
}
METHODS_INFO: dict[str, Any] = {
    "session.signIn": {"description": "sign in", "params": {}, "permission": None},
    "vm.start": {"params": {"id": {"type": "string"}}},
    "vm.warmMigration": {"params": {"vm": {"type": "string"}, "sr": {"type": "string"}}, "permission": "admin"},
}


class Refusal(Exception):
    """``error`` as it goes out."""

    def __init__(self, code: int, message: str, **data: Any) -> None:
        super().__init__(message)
        self.error = {"code": code} | data | {"message": message}


class Peer:
    """One connection."""

    def __init__(self, websocket: ServerConnection) -> None:
        self.websocket = websocket
        self.headers = websocket.request.headers if websocket.request is not None else {}
        self.user: dict[str, Any] | None = None
        self.expires = False  # the next message closes it, as after the end of a token
        self.closed = threading.Event()
        self.close_code: int | None = None


class XoServer:
    """In a thread of its own. ``frames`` has every text that came; ``raw`` maps a method to the text that answers it, ``{id}`` its id.

    ``held`` maps a method to an event: it is answered when that is set.
    """

    def __init__(self) -> None:
        self.reset()
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        self._server = self.do(self._listen(0))
        self.port: int = next(iter(self._server.sockets)).getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def reset(self) -> None:
        """As it was made; connections stand."""
        self.frames: list[str] = []
        self.peers: list[Peer] = []
        self.raw: dict[str, str] = {}
        self.held: dict[str, asyncio.Event] = {}
        self.users = json.loads(json.dumps(USERS))
        self.servers: list[dict[str, Any]] = []
        self.tokens = {"xo-token": "root@xo.example"}
        self.downloads: list[str] = []
        self.redirect: str | None = None

    async def _listen(self, port: int) -> Server:
        return await serve(
            self._connected,
            "127.0.0.1",
            port,
            max_size=100 << 20,
            ping_interval=None,
            process_request=self._redirected,
        )

    def _redirected(self, websocket: ServerConnection, request: Request) -> Response | None:
        if self.redirect is None:
            return None
        response = websocket.respond(HTTPStatus.MOVED_PERMANENTLY, "")
        response.headers["Location"] = self.redirect
        return response

    def do(self, work: Any) -> Any:
        """Run a coroutine in its loop."""
        running: Future[Any] = asyncio.run_coroutine_threadsafe(work, self.loop)
        return running.result(20)

    def call(self, action: Callable[[], Any]) -> Any:
        async def act() -> Any:
            return action()

        return self.do(act())

    def say(self, text: str) -> None:
        """To everybody, signed in or not."""
        for peer in self.peers:
            if not peer.closed.is_set():
                self.do(peer.websocket.send(text))

    def close_peers(self, code: int, reason: str = "") -> None:
        for peer in self.peers:
            self.do(peer.websocket.close(code, reason))

    def die(self) -> None:
        """Every connection is cut and nobody listens any more."""

        async def cut() -> None:
            self._server.close(close_connections=False)
            for peer in self.peers:
                peer.websocket.transport.abort()

        self.do(cut())

    def rise(self) -> None:
        """Listen again where it did, if it does not."""
        if not self._server.is_serving():
            self._server = self.do(self._listen(self.port))

    def stop(self) -> None:
        self.die()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    async def _connected(self, websocket: ServerConnection) -> None:
        peer = Peer(websocket)
        self.peers.append(peer)
        try:
            async with asyncio.TaskGroup() as calls:
                async for text in websocket:
                    assert isinstance(text, str), "a binary frame came"
                    self.frames.append(text)
                    if peer.expires:
                        await websocket.close()
                        break
                    calls.create_task(self._answer(peer, text))
        except* ConnectionClosed:
            pass
        peer.close_code = websocket.close_code
        peer.closed.set()

    async def _answer(self, peer: Peer, text: str) -> None:
        try:
            message = json.loads(text)
        except ValueError:
            return
        if not isinstance(message, dict) or "method" not in message or message.get("id") is None:
            return
        id, method, params = message["id"], message["method"], message.get("params")
        if isinstance(id, float) and id.is_integer():
            id = int(id)  # JSON.stringify writes 5.0 as 5
        try:
            answer = {
                "id": id,
                "jsonrpc": "2.0",
                "result": self._call(peer, method, params if isinstance(params, dict) else {}),
            }
        except Refusal as refusal:
            answer = {"error": refusal.error, "id": id, "jsonrpc": "2.0"}
        if (held := self.held.get(method)) is not None:
            await held.wait()
        raw = self.raw.get(method)
        said = _stringify(answer) if raw is None else raw.replace("{id}", json.dumps(id))
        await peer.websocket.send(said)

    def _call(self, peer: Peer, method: str, params: dict[str, Any]) -> Any:
        match method:
            case "session.signIn" | "session.signInWithPassword" | "session.signInWithToken":
                return self._sign_in(peer, params)
            case "session.getUser":
                return self._user(peer)
            case "session.signOut":
                peer.user = None
            case "system.getMethodsInfo":
                return METHODS_INFO
            case "system.listMethods":
                return list(METHODS_INFO)
            case "system.getServerVersion":
                return "5.207.2"
            case "xo.getAllObjects":
                return self._objects(peer, params)
            case "server.add" | "server.set" | "server.getAll":
                return self._server_call(peer, method, params)
            case _ if method not in self.raw:
                raise Refusal(-32601, f"method not found: {method}", data=method)
        return True

    def _sign_in(self, peer: Peer, params: dict[str, Any]) -> Any:
        email = self.tokens.get(params["token"]) if "token" in params else params.get("email", params.get("username"))
        if email not in self.users or ("token" not in params and params.get("password") != PASSWORD):
            raise Refusal(3, "invalid credentials")
        peer.user = self.users[email]
        return peer.user

    def _user(self, peer: Peer) -> Any:
        if peer.user is None:
            raise Refusal(-32000, "unknown error from the peer")
        if peer.user["email"] not in self.users:
            raise Refusal(1, f"no such user {peer.user['id']}", data={"id": peer.user["id"], "type": "user"})
        return self.users[peer.user["email"]]

    def _objects(self, peer: Peer, params: dict[str, Any]) -> Any:
        if peer.user is None:
            raise Refusal(2, "not enough permissions", data={"object": {}})
        chosen = params.get("filter", {})
        if isinstance(chosen, str):
            chosen = dict([chosen.split(":", 1)])
        found = [one for one in OBJECTS.values() if all(one.get(key) == value for key, value in chosen.items())]
        found = found[: int(params.get("limit", len(found)))]
        if params.get("ndjson"):
            self.downloads.append("".join(_stringify(one) + "\n" for one in found))
            return {"$getFrom": f"/api/token-{len(self.downloads)}"}
        return {one["id"]: one for one in found}

    def _server_call(self, peer: Peer, method: str, params: dict[str, Any]) -> Any:
        if peer.user is None or peer.user["permission"] != "admin":
            raise Refusal(2, "not enough permissions", data={"permission": "admin", "object": {}})
        if method == "server.getAll":
            return [{key: value for key, value in server.items() if key != "password"} for server in self.servers]
        if method == "server.add":
            self.servers.append({"id": f"server-{len(self.servers)}"} | params)
            return self.servers[-1]["id"]
        server = next(server for server in self.servers if server["id"] == params["id"])
        server.update(params)
        return True


def _stringify(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
