"""The forms of docs/gateway.md by real proxies: what goes to the gateway, what to xo-server, and that nothing is held back."""

import asyncio
import os
import re
import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.types import Receive, Scope, Send
from websockets.asyncio.client import connect

from tests.programs import missing

PAGE = Path(__file__).parents[3] / "docs" / "gateway.md"
AROUND_NGINX = """daemon off;
worker_processes 1;
pid {prefix}/pid;
error_log stderr warn;
events {{ worker_connections 64; }}
http {{
    access_log off;
    {temporary}
{form}
}}
"""


AROUND_CADDY = """{
	admin off
	auto_https off
	default_bind 127.0.0.1
}
"""
LISTEN = r"listen 443 ssl;\n +ssl_certificate .*?;\n +ssl_certificate_key .*?;"


class Answerer:
    """Says its name to everything; streams below ``/events``, counts what is uploaded, echoes on websockets."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.go_on = asyncio.Event()
        self.headers: dict[bytes, bytes] = {}
        self.received = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.headers = dict(scope["headers"])
        if scope["type"] == "websocket":
            await self._echo(receive, send)
            return
        while (message := await receive())["type"] == "http.request":
            self.received += len(message["body"])
            if not message["more_body"]:
                break
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-answered-by", self.name.encode())]})
        if scope["path"].endswith("/events"):
            await send({"type": "http.response.body", "body": b"event: init\n\n", "more_body": True})
            await self.go_on.wait()
        await send({"type": "http.response.body", "body": scope["raw_path"]})

    async def _echo(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": self.name})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "bytes": message["bytes"]})


class Proxied:
    """A proxy before both."""

    def __init__(self, url: str, xo: Answerer, gateway: Answerer) -> None:
        self.url = url
        self.xo = xo
        self.gateway = gateway


def form_of(kind: str, xo: str, gateway: str, listening: tuple[str, str]) -> str:
    """What the page says, but listening on loopback, without TLS, and with these servers."""
    (form,) = re.findall(rf"```{kind}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    for written, instead in (listening, (r"127\.0\.0\.1:8080", xo), (r"127\.0\.0\.1:8480", gateway)):
        form, count = re.subn(written, instead, form)
        assert count == 1, written
    return str(form)


def nginx(folder: Path, port: int, xo: str, gateway: str) -> list[str]:
    """The command for an unprivileged nginx that keeps to ``folder``."""
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    form = form_of("nginx", xo, gateway, (LISTEN, f"listen 127.0.0.1:{port};"))
    file = folder / "nginx.conf"
    file.write_text(AROUND_NGINX.format(prefix=folder, temporary=temporary, form=form))
    # The prefix is where it looks for what is not named, and -e what it says before it has read the configuration.
    return [program("nginx", "nginx-light"), "-p", str(folder), "-c", str(file), "-e", "stderr"]


def caddy(folder: Path, port: int, xo: str, gateway: str) -> list[str]:
    """The command for a Caddy without its administration's port."""
    form = form_of("caddy", xo, gateway, (r"^xo\.example ", f"http://127.0.0.1:{port} "))
    file = folder / "Caddyfile"
    file.write_text(AROUND_CADDY + form)
    return [program("caddy", "caddy"), "run", "--config", str(file), "--adapter", "caddyfile"]


def program(name: str, package: str) -> str:
    """Where it is."""
    path = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")
    return path or missing(name, f"apt-get install {package}")


@pytest.fixture(params=[nginx, caddy])
async def proxied(request: Any, tmp_path: Path, serve: Any) -> AsyncIterator[Proxied]:
    xo, gateway = Answerer("xo"), Answerer("gateway")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with serve(xo) as xo_url, serve(gateway) as gateway_url:
        hosts = (url.removeprefix("http://") for url in (xo_url, gateway_url))
        command = request.param(tmp_path, port, *hosts)
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
        process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE, env=environment)
        try:
            await until_listening(process, port)
            yield Proxied(f"http://127.0.0.1:{port}", xo, gateway)
        finally:
            if process.returncode is None:
                process.terminate()
            await process.communicate()


async def until_listening(process: asyncio.subprocess.Process, port: int) -> None:
    """Or say why it ended."""
    async with asyncio.timeout(10):
        while process.returncode is None:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return
    pytest.fail((await process.communicate())[1].decode())


OURS = [
    "/api/token",
    "/v5/api/token.json",
    "/rest/v0/tasks?fields=id",
    "/v5/rest/v0/tasks",
    "/rest/v0/tasks/0mdd1basu-k3j2h1/actions/abort",
    "/rest/v0/vms/770aa52a-fd42-8faf-f167-8c5c4a237cac/tasks",
    "/rest/v0/events/40d409f5-70dd-48eb-86ed-4f7f687bb805/subscriptions",
    "/rest/v0/vms/770aa52a-fd42-8faf-f167-8c5c4a237cac/actions/warm_migration",
]
THEIRS = [
    "/",
    "/v5/",
    "/signin",
    "/api/consoles/1",
    "/apix",
    "/rest/v0",
    "/rest/v0/tasksx",
    "/rest/v0/vms/1/actions/start",
    "/rest/v0/vms/a%2Fb//c.xva?compress=zstd",
]


async def test_paths_go_where_they_belong(proxied: Proxied) -> None:
    """And arrive as they were written, with what is known of the client."""
    async with httpx2.AsyncClient(base_url=proxied.url, trust_env=False, timeout=10) as web:
        for path, name in [*((each, "gateway") for each in OURS), *((each, "xo") for each in THEIRS)]:
            answer = await web.get(path)
            assert answer.headers["x-answered-by"] == name, path
            assert answer.text == path.partition("?")[0]
    for answerer in (proxied.xo, proxied.gateway):
        headers = answerer.headers
        host = proxied.url.removeprefix("http://").encode()
        assert (headers[b"host"], headers[b"x-forwarded-host"], headers[b"x-forwarded-for"]) == (
            host,
            host,
            b"127.0.0.1",
        )


async def test_websockets_pass(proxied: Proxied) -> None:
    """The API to the gateway, consoles to xo-server, frames of any size."""
    for path, name in (("/api/", "gateway"), ("/v5/api/", "gateway"), ("/v5/api/consoles/1", "xo")):
        async with connect(proxied.url.replace("http", "ws") + path, proxy=None, max_size=None) as client:
            assert await client.recv() == name
            await client.send(bytes(4 << 20))
            assert await client.recv() == bytes(4 << 20)


async def test_nothing_is_held_back(proxied: Proxied) -> None:
    """Events are seen as they are sent, and an upload of any size passes."""
    async with httpx2.AsyncClient(base_url=proxied.url, trust_env=False, timeout=10) as web:
        async with web.stream("GET", "/rest/v0/events") as answer:
            pieces = answer.aiter_raw()
            assert await anext(pieces) == b"event: init\n\n"
            proxied.gateway.go_on.set()
            assert await anext(pieces) == b"/rest/v0/events"
        await web.post("/api/token", content=bytes(8 << 20))
    assert proxied.gateway.received == 8 << 20
