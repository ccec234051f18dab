"""Downloads that were offered over the websocket, at the root and below XO 5's mount."""

import gzip
from typing import Any

import pytest

from xo_warmig.api.gateway.downloads import GatewayDownloads
from xo_warmig.api.gateway.supplements import Supplements


async def ask(app: Any, path: str, method: str = "GET") -> tuple[int, list[Any], bytes]:
    """Status, headers and body of what it answers to a client that can unpack."""
    messages: list[Any] = []

    async def send(message: Any) -> None:
        messages.append(message)

    headers = [(b"accept-encoding", b"gzip"), (b"host", b"x")]
    scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "headers": headers}
    await app(scope, None, send)
    start, *pieces = messages
    return start["status"], start["headers"], b"".join(piece["body"] for piece in pieces)


def answering(status: int, body: bytes, *, packs: bool = True) -> Any:
    """An application that packs where it may."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        packed = packs and (b"accept-encoding", b"gzip") in scope["headers"]
        data = gzip.compress(body) if packed else body
        headers = [(b"content-length", b"%d" % len(data)), (b"x-path", scope["path"].encode())]
        headers += [(b"content-encoding", b"gzip")] if packed else []
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": data[:3], "more_body": True})
        await send({"type": "http.response.body", "body": data[3:]})

    return app


@pytest.mark.parametrize("mount", ["", "/v5"])
async def test_a_download_of_upstream_s_is_completed_once(mount: str) -> None:
    """Asked for unpacked, and without the length that is not true any more; then it passes as everything."""
    supplements = Supplements()
    app = GatewayDownloads(answering(200, b"own"), lambda _: False, answering(200, b'{"id":1}\n'), supplements)
    supplements.put("/api/token", ['{"id":"ours"}'], None)
    path = f"{mount}/api/token"
    assert await ask(app, path) == (200, [(b"x-path", path.encode())], b'{"id":1}\n{"id":"ours"}\n')
    status, headers, body = await ask(app, path)
    assert (status, gzip.decompress(body)) == (200, b'{"id":1}\n')
    assert (b"content-encoding", b"gzip") in headers


async def test_what_is_no_download_is_not_completed() -> None:
    """An error of upstream's keeps its length and its text."""
    supplements = Supplements()
    app = GatewayDownloads(answering(200, b"own"), lambda _: False, answering(404, b"gone"), supplements)
    supplements.put("/api/token", ['{"id":"ours"}'], None)
    status, headers, body = await ask(app, "/api/token")
    assert (status, body) == (404, b"gone")
    assert (b"content-length", b"4") in headers


async def test_our_own_download_is_ours() -> None:
    """Below the mount too."""
    app = GatewayDownloads(
        answering(200, b"own", packs=False), lambda token: token == "mine", answering(200, b""), Supplements()
    )
    assert await ask(app, "/v5/api/mine") == (200, [(b"content-length", b"3"), (b"x-path", b"/api/mine")], b"own")
