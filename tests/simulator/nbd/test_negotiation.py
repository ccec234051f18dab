"""From the greeting to the export, in clear and under TLS."""

import ssl
import struct
from collections.abc import Callable
from typing import Any

import pytest

ACK, UNSUPPORTED, POLICY, INVALID, TLS_REQUIRED = 1, 0x80000001, 0x80000002, 0x80000003, 0x80000005
GO = struct.pack(">I", 4) + b"name" + struct.pack(">H", 0)


def test_nothing_but_an_export_name_is_to_be_had(served: Any) -> None:
    """No GO, no structured replies, no meta contexts, no list, no TLS; and the flags say so."""
    client = served.connect()
    assert client.greet() == 1
    for option, data in ((7, GO), (6, GO), (8, b""), (10, b""), (9, b"x"), (99, b"")):
        assert client.ask_option(option, data) == UNSUPPORTED
    assert [client.ask_option(option) for option in (3, 5)] == [POLICY, POLICY]
    assert client.export(served.name()) == (16 << 20, 3)


def test_an_abort_is_acknowledged(served: Any) -> None:
    """And that is the end."""
    client = served.connect()
    client.greet()
    assert client.ask_option(2) == ACK
    assert client.is_closed()


def test_an_old_client_is_served_in_clear_only(serve: Callable[..., Any]) -> None:
    """One that does not know the fixed newstyle."""
    served = serve()
    client = served.connect()
    client.greet(flags=0)
    assert client.export(served.name()) == (16 << 20, 3)
    secure = serve(directory="secure", nbd_purpose="nbd").connect()
    secure.greet(flags=0)
    assert secure.is_closed()


def test_a_network_for_nbd_forces_tls(serve: Callable[..., Any]) -> None:
    """Nothing else is done before; afterwards it is the same protocol, on TLS 1.2."""
    served = serve(nbd_purpose="nbd")
    client = served.connect()
    client.greet()
    for option, data in ((3, b""), (7, GO), (99, b"")):
        assert client.ask_option(option, data) == TLS_REQUIRED
    client.start_tls()
    assert client.ask_option(5) == INVALID
    assert client.ask_option(7, GO) == UNSUPPORTED
    assert client.export(served.name()) == (16 << 20, 3)
    assert isinstance(client.socket, ssl.SSLSocket)
    assert client.socket.version() == "TLSv1.2"
    (info,) = served.call("VDI.get_nbd_info", served.vdi)
    assert ssl.DER_cert_to_PEM_cert(client.socket.getpeercert(binary_form=True) or b"") == info["cert"]


@pytest.mark.parametrize("option", [1, 2])
def test_before_tls_some_options_end_the_connection(serve: Callable[..., Any], option: int) -> None:
    """The export name in clear, and an abort, which is not acknowledged here."""
    client = serve(nbd_purpose="nbd").connect()
    client.greet()
    with pytest.raises((EOFError, ConnectionResetError)):
        client.ask_option(option, b"name")


def test_a_failed_handshake_is_the_end(serve: Callable[..., Any]) -> None:
    """And nothing stays behind."""
    served = serve(nbd_purpose="nbd")
    client = served.connect()
    client.greet()
    assert client.ask_option(5) == ACK
    client.socket.sendall(b"no handshake at all")
    with pytest.raises((EOFError, ConnectionResetError)):
        client.take(1000)
    assert served.vbds() == []


@pytest.mark.parametrize("purposes", [[], ["nbd", "insecure_nbd"]])
def test_without_one_purpose_nobody_is_served(served: Any, purposes: list[str]) -> None:
    """Not even greeted."""
    (network,) = [ref for ref, row in served.pool.db.rows("network").items() if row["purpose"]]
    served.pool.db.set("network", network, purpose=purposes)
    assert served.connect().is_closed()


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", struct.pack(">QII", 0x49484156454F5054, 7, 1 << 31)])
def test_what_is_no_option_ends_the_connection(served: Any, data: bytes) -> None:
    """So does one that is endless."""
    client = served.connect()
    client.greet()
    client.socket.sendall(data)
    assert client.is_closed()


def test_sixteen_connections_and_no_more(served: Any) -> None:
    """Also such as have not said yet what they want; the next one is dropped, until one of them ends."""
    clients = [served.connect() for _ in range(16)]
    for client in clients:
        client.greet()
    assert served.connect().is_closed()
    assert clients[3].ask_option(2) == ACK
    assert clients[3].is_closed()
    for _ in range(200):
        late = served.connect()
        try:
            late.greet()
        except (EOFError, ConnectionResetError):
            continue
        break
    assert late.export(served.name()) == (16 << 20, 3)


def bad_name(served: Any, kind: str) -> str:
    uuid, session = served.uuid(), served.session
    match kind:
        case "disk":
            return f"/00000000-0000-0000-0000-000000000000?session_id={session}"
        case "session":
            return f"/{uuid}?session_id=OpaqueRef:nobody"
        case "none":
            return f"/{uuid}"
        case "nonsense":
            return "//[?"
        case "empty":
            served.pool.storage.destroy(uuid)
        case "path":
            return f"{uuid}?session_id={session}"
        case "ended":
            served.call("session.logout")
            return f"/{uuid}?session_id={session}"
        case "metadata":
            served.pool.db.set("VDI", served.vdi, type="cbt_metadata")
        case "away":
            (pbd,) = served.pool.db.find("PBD", SR=served.pool.db.row("VDI", served.vdi)["SR"])
            served.pool.db.set("PBD", pbd, currently_attached=False)
    return str(served.name())


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("disk", "UUID_INVALID"),
        ("session", "SESSION_INVALID"),
        ("none", "SESSION_INVALID"),
        ("path", "UUID_INVALID"),
        ("nonsense", "UUID_INVALID"),
        ("empty", "NoSuchObject"),
        ("ended", "SESSION_INVALID"),
        ("metadata", "VDI_INCOMPATIBLE_TYPE"),
        ("away", "VM_REQUIRES_SR"),
    ],
)
def test_an_export_that_cannot_be_is_closed_without_a_word(served: Any, kind: str, error: str) -> None:
    """The trace knows why."""
    client = served.connect()
    client.greet()
    with pytest.raises((EOFError, ConnectionResetError)):
        client.export(bad_name(served, kind))
    assert [entry[2] for entry in served.trace()] == [error]
    assert served.vbds() == []
