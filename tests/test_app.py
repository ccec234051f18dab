"""A whole server in the event loop: it answers, keeps its state to itself, and leaves nothing behind."""

import asyncio
import datetime
import ipaddress
import os
import socket
import time
from pathlib import Path

import httpx2
import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from xo_warmig.app import GRACE_SECONDS, locked, running
from xo_warmig.client import CallFailed, ConnectionLost, connect
from xo_warmig.config import Config
from xo_warmig.errors import InvalidRequest


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """On a free port, with a state directory of its own."""
    return Config(port=0, state_dir=tmp_path / "state")


async def test_it_answers_over_the_websocket(config: Config) -> None:
    """The new administrator signs in by password, local programs by token."""
    async with running(config) as server:
        assert server.new_password is not None
        async with connect(server.url, email=server.administrator, password=server.new_password) as client:
            assert client.user["permission"] == "admin"
            assert await client.call("warmMigration.list") == []
        async with connect(server.url, token=server.token) as client:
            assert await client.call("server.getAll") == []


async def test_a_stream_over_http_ends_with_the_server(config: Config) -> None:
    """At once, and properly."""
    async with running(config) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
        writer.write(f"GET /rest/v0/events HTTP/1.1\r\nHost: x\r\nCookie: token={server.token}\r\n\r\n".encode())
        await reader.readuntil(b"event: init")
        begun = time.monotonic()
    assert time.monotonic() - begun < GRACE_SECONDS
    assert (await reader.read()).endswith(b"0\r\n\r\n")
    writer.close()
    await writer.wait_closed()


async def test_the_password_is_made_once_and_kept(config: Config) -> None:
    """A second start shows none; the first one's is still good."""
    async with running(config) as server:
        password = server.new_password
        assert password is not None
    async with running(config) as server:
        assert server.new_password is None
        async with connect(server.url, email=server.administrator, password=password):
            pass


async def test_the_password_may_come_from_a_file(tmp_path: Path) -> None:
    """Its first line; then nothing is shown."""
    (tmp_path / "password").write_text("from a file\n")
    config = Config(port=0, state_dir=tmp_path / "state", admin_password_file=tmp_path / "password")
    async with running(config) as server:
        assert server.new_password is None
        async with connect(server.url, email=server.administrator, password="from a file"):
            pass
        with pytest.raises(CallFailed) as caught:
            async with connect(server.url, email=server.administrator, password="another"):
                pass
        assert caught.value.rpc_code == 3


async def test_an_empty_password_file_is_refused(tmp_path: Path) -> None:
    """An administrator without a password would be everybody's."""
    (tmp_path / "password").write_text("\n")
    with pytest.raises(InvalidRequest, match="holds no password"):
        async with running(Config(port=0, state_dir=tmp_path / "s", admin_password_file=tmp_path / "password")):
            pass


async def test_the_state_is_this_user_s_only(config: Config) -> None:
    """The directory 0700, every file in it 0600, whatever the umask."""
    before = os.umask(0)
    try:
        async with running(config) as server, connect(server.url, token=server.token) as client:
            await client.call("server.add", host="127.0.0.1:1", username="u", password="p", autoConnect=False)
    finally:
        os.umask(before)
    assert config.state_dir.stat().st_mode & 0o777 == 0o700
    modes = {path.name: path.stat().st_mode & 0o777 for path in config.state_dir.rglob("*") if path.is_file()}
    assert set(modes.values()) == {0o600}, modes
    assert {"key", "xo-warmig.sqlite"} <= modes.keys()


async def test_pools_are_known_again_after_a_restart(config: Config) -> None:
    """With what was stored."""
    async with running(config) as server, connect(server.url, token=server.token) as client:
        added = await client.call("server.add", host="127.0.0.1:1", username="u", password="p", autoConnect=False)
    async with running(config) as server, connect(server.url, token=server.token) as client:
        assert [one["id"] for one in await client.call("server.getAll")] == [added]


async def test_one_process_owns_a_state_directory(config: Config) -> None:
    """The second server says whose it is."""
    async with running(config):
        with pytest.raises(InvalidRequest) as caught:
            async with running(config):
                pass
    assert caught.value.code == "STATE_IN_USE"
    assert caught.value.evidence["process"] == str(os.getpid())


async def test_one_process_owns_a_database(tmp_path: Path) -> None:
    """Also when each has a state directory of its own."""
    url = f"sqlite:///{tmp_path / 'db' / 'shared.sqlite'}"
    (tmp_path / "db").mkdir()
    async with running(Config(port=0, state_dir=tmp_path / "one", database_url=url)) as server:
        assert (tmp_path / "db" / "shared.sqlite").exists()
        assert not (server.state_dir / "xo-warmig.sqlite").exists()
        with pytest.raises(InvalidRequest) as caught:
            async with running(Config(port=0, state_dir=tmp_path / "two", database_url=url)):
                pass
    assert caught.value.code == "STATE_IN_USE"


def test_a_lock_goes_with_its_owner(tmp_path: Path) -> None:
    """What an earlier process left written does not hold it."""
    (tmp_path / "lock").write_text("1\n")
    with locked(tmp_path):
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"
    with locked(tmp_path):
        pass


async def test_a_port_in_use_is_told(config: Config, tmp_path: Path) -> None:
    """Before anything else is started."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = Config(port=other.getsockname()[1], state_dir=tmp_path / "s")
        with pytest.raises(InvalidRequest) as caught:
            async with running(taken):
                pass
    assert caught.value.code == "CANNOT_LISTEN"
    assert not (tmp_path / "s" / "xo-warmig.sqlite").exists()


async def test_an_unusable_state_directory_is_told(tmp_path: Path) -> None:
    """Here a file stands in the way."""
    (tmp_path / "file").touch()
    with pytest.raises(InvalidRequest, match="state directory"):
        async with running(Config(port=0, state_dir=tmp_path / "file" / "state")):
            pass


async def test_it_ends_while_clients_are_connected(config: Config) -> None:
    """Their connections are closed, and the port is free again."""
    async with running(config) as server:
        connection = connect(server.url, token=server.token)
        client = await connection.__aenter__()
        port = int(server.url.rsplit(":", 1)[1])
    with pytest.raises(ConnectionLost):
        await asyncio.wait_for(client.call("warmMigration.list"), 5)
    await connection.__aexit__(None, None, None)
    with socket.create_server(("127.0.0.1", port)):
        pass


async def test_tls_is_served_with_the_given_pair(tmp_path: Path) -> None:
    """Clients that trust the certificate come in, others do not."""
    pair = self_signed(tmp_path)
    config = Config(port=0, state_dir=tmp_path / "state", tls_cert=pair[0], tls_key=pair[1])
    async with running(config) as server:
        assert server.url.startswith("https://")
        async with connect(server.url, token=server.token, ca_file=str(pair[0])) as client:
            assert await client.call("server.getAll") == []
        with pytest.raises(ConnectionLost, match="CERTIFICATE_VERIFY_FAILED"):
            async with connect(server.url, token=server.token):
                pass


async def test_with_an_upstream_it_is_a_gateway(config: Config) -> None:
    """Pages are upstream's, headers as they were sent; our own clients speak with us. Upstream need not be there."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nDate: long ago\r\nContent-Length: 2\r\n\r\nxo")
        writer.close()

    upstream = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{upstream.sockets[0].getsockname()[1]}"
    async with (
        running(msgspec.structs.replace(config, upstream=url)) as server,
        httpx2.AsyncClient(trust_env=False) as web,
        connect(server.url, token=server.token) as client,
    ):
        page = await web.get(f"{server.url}/v5/")
        assert (page.text, page.headers.get_list("date")) == ("xo", ["long ago"])
        upstream.close()
        await upstream.wait_closed()
        assert (await web.get(f"{server.url}/v5/")).status_code == 502
        assert await client.call("warmMigration.list") == []


async def test_a_bad_upstream_is_told(config: Config) -> None:
    """Before anything is made."""
    with pytest.raises(InvalidRequest, match="more than an origin"):
        async with running(msgspec.structs.replace(config, upstream="https://xo.example/xo")):
            pass
    assert not config.state_dir.exists()


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "xo-warmig test")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    certificate = builder.add_extension(address, critical=False).sign(key, hashes.SHA256())
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return cert_file, key_file
