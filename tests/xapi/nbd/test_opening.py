"""Coming to a disk over NBD, at servers that nobody here wrote and at one that gives no reasons."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.nbd_servers import CurtServer, certificates, nbdkit, qemu_nbd
from xo_warmig.disks.nbd_reader import NbdReader
from xo_warmig.errors import TransferError, TransferStalled, WarmigError
from xo_warmig.model.units import MIB
from xo_warmig.xapi.nbd.opening import NbdOpening, NbdPlace, nbd_place
from xo_warmig.xapi.trust import Trust

DISK = bytes(range(256)) * 16384  # 4 MiB
NAME = "/3f2a?session_id=OpaqueRef:5ec"


def opening(place: NbdPlace, trust: Trust | None = None, *, open_seconds: float = 20) -> NbdOpening:
    return NbdOpening(place, trust or Trust(allow_unauthorized=False), stall_seconds=20, open_seconds=open_seconds)


def opened(place: NbdPlace, trust: Trust | None = None) -> NbdReader:
    return opening(place, trust).open()


def refusal(place: NbdPlace, trust: Trust | None = None) -> WarmigError:
    with pytest.raises(WarmigError) as refused:
        opened(place, trust)
    assert "OpaqueRef" not in f"{refused.value.as_dict()}", "a session is a secret"
    assert refused.value.remedy
    return refused.value


@pytest.fixture
def curt() -> Iterator[Callable[..., CurtServer]]:
    servers: list[CurtServer] = []

    def start(disk: bytes = DISK, *, attach_seconds: float = 0.0) -> CurtServer:
        servers.append(CurtServer(disk, name=NAME, attach_seconds=attach_seconds))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.mark.parametrize("offered", [[], ["--mask-handshake=1"]])
def test_nbdkit_gives_a_disk(offered: list[str]) -> None:
    """With the zeros after its size, as xapi-nbd sends them, and without."""
    with nbdkit(*offered, "memory", "size=12345344", name=NAME) as place:
        reader = opened(place)
        assert reader.size_bytes == 12345344
        reader.close()


def test_qemu_nbd_gives_a_disk(tmp_path: Path) -> None:
    """Under its name only; for another one it hangs up, and what is not secret of the name is told."""
    image = tmp_path / "disk.raw"
    image.write_bytes(DISK)
    with qemu_nbd(image, name=NAME) as place:
        reader = opened(place)
        assert reader.size_bytes == len(DISK)
        reader.close()
        error = refusal(place._replace(export_name="/other?session_id=OpaqueRef:1"))
    assert error.code == "NBD_DROPPED"
    assert error.evidence["export"] == "/other"
    assert error.evidence["stage"] == "export"


@pytest.mark.parametrize("server", ["nbdkit", "qemu-nbd"])
def test_tls_with_the_certificate_that_the_pool_names(server: str, tmp_path: Path) -> None:
    """Just that one is believed, whatever the pool's trust has."""
    directory, certificate = certificates(tmp_path)
    _, other = certificates(_folder(tmp_path / "other"))
    image = tmp_path / "disk.raw"
    image.write_bytes(DISK)
    serving = nbdkit("file", str(image), name=NAME, tls=directory)
    if server == "qemu-nbd":
        serving = qemu_nbd(image, name=NAME, tls=directory)
    with serving as place:
        reader = opened(place._replace(certificate=certificate))
        assert reader.size_bytes == len(DISK)
        reader.close()
        assert refusal(place._replace(certificate=other), Trust(allow_unauthorized=True)).code == "CERTIFICATE_CHANGED"
        assert refusal(place).code == "CERTIFICATE_UNKNOWN"
        trust = Trust(allow_unauthorized=True)
        opened(place, trust).close()
        assert trust.pinned(place.host, place.port)
        in_clear = refusal(place._replace(secure=False))
    assert in_clear.code == "NBD_DROPPED"
    assert "purpose nbd" in in_clear.message


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def test_a_server_without_tls_gets_no_session(tmp_path: Path) -> None:
    """Nobody in between may talk us out of TLS."""
    with nbdkit("memory", "size=1M", name=NAME) as place:
        assert refusal(place._replace(secure=True)).code == "NBD_TLS_REFUSED"


def test_a_name_that_nbdkit_does_not_serve_is_explained() -> None:
    """It hangs up without a word."""
    strict = ["--filter=exportname", "memory", "size=1M", "exportname-strict=true", "exportname=/right"]
    with nbdkit(*strict, name="/wrong?session_id=OpaqueRef:1") as place:
        error = refusal(place)
    assert error.code == "NBD_DROPPED"
    assert "session or VDI" in error.message


def test_where_it_hung_up_says_why(curt: Callable[..., CurtServer]) -> None:
    """At once: connections or purposes; after the name: session or VDI."""
    server = curt()
    unknown = refusal(server.place._replace(export_name="/gone?session_id=OpaqueRef:2"))
    assert (unknown.code, unknown.evidence["stage"]) == ("NBD_DROPPED", "export")
    server.drops_at_once = True
    dropped = refusal(server.place)
    assert (dropped.code, dropped.evidence["stage"]) == ("NBD_DROPPED", "greeting")
    assert "too many connections" in dropped.message


def test_a_slow_attach_is_waited_for_but_not_for_ever(curt: Callable[..., CurtServer]) -> None:
    """All of the opening has one time."""
    server = curt(attach_seconds=0.3)
    opened(server.place).close()
    with pytest.raises(TransferStalled, match="did not give the disk"):
        opening(server.place, open_seconds=0.05).open()


def test_stopping_ends_the_wait_for_an_attach(curt: Callable[..., CurtServer]) -> None:
    """Nobody may be left waiting for a cancelled migration."""
    server = curt(attach_seconds=20)
    attempt = opening(server.place)
    failures: list[TransferError] = []

    def work() -> None:
        try:
            attempt.open()
        except TransferError as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    while not server.names:
        time.sleep(0.005)
    attempt.stop()
    thread.join(5)
    assert [failure.code for failure in failures] == ["TRANSFER_STOPPED"]


def test_what_is_no_nbd_server_is_refused() -> None:
    """And what does not listen."""

    def answer() -> None:
        with listener.accept()[0] as connection, contextlib.suppress(ConnectionResetError):
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            connection.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        place = NbdPlace("127.0.0.1", listener.getsockname()[1], NAME, secure=False)
        thread = threading.Thread(target=answer)
        thread.start()
        error = refusal(place)
        thread.join()
    assert error.code == "BAD_NBD"
    assert error.evidence["host"] == "127.0.0.1"
    assert refusal(place).code == "HOST_UNREACHABLE"


def test_a_record_of_the_pool_is_a_place_and_shows_no_session() -> None:
    """The port is text on the wire; nothing that is logged or stored has the session."""
    info = {"address": "[::1]", "port": "10809", "exportname": NAME, "cert": "PEM", "subject": "host"}
    place = nbd_place(info, secure=True)
    assert place == NbdPlace("::1", 10809, NAME, True, "PEM")
    assert f"{place}" == repr(place) == "nbds://::1:10809/3f2a"


def test_closing_says_goodbye(curt: Callable[..., CurtServer]) -> None:
    """So that the pool detaches the disk at once."""
    server = curt(bytes(MIB))
    reader = opened(server.place)
    reader.close()
    reader.close()
    assert server.ended.wait(5)
    assert server.disconnects == 1
