"""An upstream that says what a test has it say, and the gateway's parts served before it, in the test's own event loop."""

import asyncio
import contextlib
import datetime
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import NamedTuple

import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from starlette.types import ASGIApp
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Speak = Callable[..., AbstractAsyncContextManager[str]]
Serve = Callable[..., AbstractAsyncContextManager[str]]


class _Web(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def serving(app: ASGIApp, *, port: int = 0, lifespan: str = "off") -> AsyncIterator[str]:
    """``app`` under uvicorn as the program sets it; its URL."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        server = _Web(
            uvicorn.Config(
                app,
                ws=WebSocketsSansIOProtocol,
                ws_per_message_deflate=False,
                ws_max_size=100 << 20,
                lifespan=lifespan,  # type: ignore[arg-type]
                proxy_headers=False,
                server_header=False,
                date_header=False,
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=1,
                loop="asyncio",
            )
        )
        running = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            await asyncio.sleep(0.005)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await running


@contextlib.asynccontextmanager
async def speaking(talk: Talk, *, context: ssl.SSLContext | None = None, port: int = 0) -> AsyncIterator[str]:
    """``talk`` has each connection to this server, byte for byte; its URL."""
    ends: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        ends.add(task)
        try:
            await talk(reader, writer)
        except (asyncio.CancelledError, asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(connected, "127.0.0.1", port, ssl=context)
    try:
        yield f"http{'s' if context else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in ends:
            task.cancel()
        await asyncio.gather(*ends, return_exceptions=True)


class Pair(NamedTuple):
    """A certificate that signed itself, for another name than ours, as an xo-server makes one."""

    certificate: Path
    fingerprint: str
    context: ssl.SSLContext


def self_signed(folder: Path, *, names: bool) -> Pair:
    """``names``: whether the certificate names the address that it is shown at."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "xo")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now)
    builder = builder.not_valid_after(now + datetime.timedelta(days=1))
    if names:
        address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        builder = builder.add_extension(address, critical=False)
    certificate = builder.sign(key, hashes.SHA256())
    folder.mkdir(exist_ok=True)
    pem = folder / "certificate.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, folder / "key.pem")
    return Pair(pem, certificate.fingerprint(hashes.SHA256()).hex(), context)


@pytest.fixture
def serve() -> Serve:
    """Serve an ASGI application."""
    return serving


@pytest.fixture
def speak() -> Speak:
    """Speak to each connection by hand."""
    return speaking


@pytest.fixture
def pair(tmp_path: Path) -> Callable[..., Pair]:
    """A new certificate."""

    def make(name: str = "pair", *, names: bool = False) -> Pair:
        return self_signed(tmp_path / name, names=names)

    return make
