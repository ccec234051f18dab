"""Opening transfers at hosts that answer in every way that XAPI does, over TCP and over TLS."""

import datetime
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from xo_warmig.errors import PoolError, TransferError, TransferStalled
from xo_warmig.xapi.address import Address
from xo_warmig.xapi.opening import Opening
from xo_warmig.xapi.streams import SocketSink
from xo_warmig.xapi.trust import Trust, believe_members, fingerprint_of, normal_fingerprint

Answer = bytes | Callable[[bytes], bytes]
OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"


class Host:
    """Answers one connection after another with what it was given, and notes the requests."""

    def __init__(self, answers: list[Answer], certificate: Path | None = None) -> None:
        self.requests: list[bytes] = []
        self._answers = answers
        self._certificate = certificate
        self._listener = socket.create_server(("127.0.0.1", 0))
        scheme = "https" if certificate else "http"
        self.address = Address(scheme, "127.0.0.1", self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        for answer in self._answers:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                try:
                    self._answer(connection, answer)
                except OSError:
                    continue

    def _answer(self, plain: socket.socket, answer: Answer) -> None:
        plain.settimeout(2)
        connection = plain
        if self._certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self._certificate)
            connection = context.wrap_socket(plain, server_side=True)
        with connection:
            request = b""
            while b"\r\n\r\n" not in request:
                piece = connection.recv(4096)
                if not piece:
                    return
                request += piece
            self.requests.append(request)
            connection.sendall(answer(request) if callable(answer) else answer)
            if self._certificate is not None:
                while connection.recv(4096):
                    pass


@pytest.fixture
def serve() -> Iterator[Callable[..., Host]]:
    hosts: list[Host] = []

    def start(*answers: Answer, certificate: Path | None = None) -> Host:
        hosts.append(Host(list(answers), certificate))
        return hosts[-1]

    yield start
    for host in hosts:
        host.stop()


def opening(trust: Trust | None = None, stall_seconds: float = 2) -> Opening:
    trust = trust or Trust(allow_unauthorized=False)
    return Opening("GET", "/export_raw_vdi", {"vdi": "OpaqueRef:1"}, trust, stall_seconds=stall_seconds)


def test_what_follows_the_head_is_not_lost(serve: Callable[..., Host]) -> None:
    """It may come in the same piece."""
    host = serve(OK + b"conectix")
    opened = opening().open([host.address])
    opened.sock.close()
    assert opened.first == b"conectix"
    assert host.requests[0].startswith(b"GET /export_raw_vdi?vdi=OpaqueRef:1 HTTP/1.1\r\n")


def test_a_redirect_is_followed_with_its_own_query(serve: Callable[..., Host]) -> None:
    """To the host that has the disk's storage."""
    right = serve(OK)
    location = f"Location: {right.address.url}/export_raw_vdi?vdi=OpaqueRef:1&task_id=t\r\n".encode()
    wrong = serve(b"HTTP/1.1 302 Found\r\n" + location + b"Connection: close\r\n\r\n")
    opening().open([wrong.address]).sock.close()
    assert right.requests[0].startswith(b"GET /export_raw_vdi?vdi=OpaqueRef:1&task_id=t HTTP/1.1\r\n")


def test_redirects_end_somewhere(serve: Callable[..., Host]) -> None:
    """Two hosts that name each other are an error."""

    def again(request: bytes) -> bytes:
        host = request.split(b"Host: ")[1].split(b"\r\n")[0]
        return b"HTTP/1.1 302 Found\r\nLocation: http://" + host + b"/x?y\r\n\r\n"

    host = serve(*[again] * 4)
    with pytest.raises(TransferError) as caught:
        opening().open([host.address])
    assert caught.value.code == "BAD_ANSWER"


def test_a_refusal_is_told_in_the_pool_s_own_words(serve: Callable[..., Host]) -> None:
    """And the attempt knows that no handler works on."""
    host = serve(
        b"HTTP/1.1 500 Internal Error\r\nconnection: close\r\n\r\n<body><pre>SR_HAS_NO_PBDS: [ x ]</pre></body>"
    )
    attempt = opening()
    with pytest.raises(TransferError, match="SR_HAS_NO_PBDS"):
        attempt.open([host.address])
    assert attempt.began
    assert attempt.refused


def test_the_next_host_is_tried_when_one_takes_no_connection(serve: Callable[..., Host]) -> None:
    """A member may be down."""
    host = serve(OK)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    opening().open([host.address._replace(port=port), host.address]).sock.close()


def test_no_host_at_all_is_an_error_before_anything_began() -> None:
    """No live host has the storage attached."""
    attempt = opening()
    with pytest.raises(TransferError) as caught:
        attempt.open([])
    assert caught.value.code == "HOST_UNREACHABLE"
    assert not attempt.began


def test_an_answer_that_never_comes_is_a_stall(serve: Callable[..., Host]) -> None:
    """By the same time as for the stream's bytes."""
    waiting = threading.Event()

    def never(_: bytes) -> bytes:
        waiting.wait(2)
        return b""

    host = serve(never)
    with pytest.raises(TransferStalled):
        opening(stall_seconds=0.1).open([host.address])
    waiting.set()


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200 OK\r\n", b"conectix\r\n\r\n", b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70000]
)
def test_what_is_no_answer_is_refused(serve: Callable[..., Host], answer: bytes) -> None:
    """Cut off, not HTTP, or without an end."""
    host = serve(answer)
    with pytest.raises(TransferError):
        opening().open([host.address])


def test_stopping_ends_a_wait_for_the_answer(serve: Callable[..., Host]) -> None:
    """Nobody may be left waiting for a cancelled migration."""
    asked, done = threading.Event(), threading.Event()

    def never(_: bytes) -> bytes:
        asked.set()
        done.wait(2)
        return b""

    host = serve(never)
    attempt = opening(stall_seconds=30)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            attempt.open([host.address])
        except TransferError as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    asked.wait(2)
    attempt.stop()
    thread.join(2)
    done.set()
    assert not thread.is_alive()
    assert failures


@pytest.fixture
def make_certificate(tmp_path: Path) -> Callable[[str], Path]:
    """A self-signed certificate with its key, as every pool has one."""

    def make(name: str) -> Path:
        key = ec.generate_private_key(ec.SECP384R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
            .sign(key, hashes.SHA256())
        )
        path = tmp_path / f"{name}.pem"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        return path

    return make


def fingerprint(path: Path) -> str:
    return normal_fingerprint(x509.load_pem_x509_certificate(path.read_bytes()).fingerprint(hashes.SHA256()).hex())


def test_a_self_signed_certificate_is_refused_unless_allowed(
    serve: Callable[..., Host], make_certificate: Callable[[str], Path]
) -> None:
    """Nothing is sent to a host that is not believed."""
    host = serve(OK, certificate=make_certificate("a"))
    with pytest.raises(PoolError) as caught:
        opening().open([host.address])
    assert caught.value.code == "CERTIFICATE_UNKNOWN"
    assert host.requests == []


def test_the_first_certificate_is_pinned_where_that_is_allowed(
    serve: Callable[..., Host], make_certificate: Callable[[str], Path]
) -> None:
    """And must be shown from then on."""
    certificate = make_certificate("a")
    trust = Trust(allow_unauthorized=True)
    host = serve(OK, OK, certificate=certificate)
    for _ in range(2):
        opening(trust).open([host.address]).sock.close()
    assert trust.pinned("127.0.0.1", host.address.port) == fingerprint(certificate)


def test_a_pinned_certificate_is_believed_without_being_valid(
    serve: Callable[..., Host], make_certificate: Callable[[str], Path]
) -> None:
    """Pinned on an earlier connection, or told by the master for its members."""
    certificate = make_certificate("a")
    host = serve(OK, certificate=certificate)
    trust = Trust(allow_unauthorized=False)
    believe_members(trust, host.address.port, [("127.0.0.1", fingerprint(certificate).lower().replace(":", ""))])
    opened = opening(trust).open([host.address])
    assert isinstance(opened.sock, ssl.SSLSocket)
    assert fingerprint_of(opened.sock) == fingerprint(certificate)
    opened.sock.close()


def test_another_certificate_than_the_pinned_one_is_refused(
    serve: Callable[..., Host], make_certificate: Callable[[str], Path]
) -> None:
    """Whatever else is allowed."""
    host = serve(OK, certificate=make_certificate("impostor"))
    trust = Trust(allow_unauthorized=True)
    trust.pin("127.0.0.1", host.address.port, fingerprint(make_certificate("a")))
    with pytest.raises(PoolError) as caught:
        opening(trust).open([host.address])
    assert caught.value.code == "CERTIFICATE_CHANGED"
    assert host.requests == []


def test_a_sink_sends_over_tls(serve: Callable[..., Host], make_certificate: Callable[[str], Path]) -> None:
    """And closing wakes it, as in clear."""
    host = serve(OK, certificate=make_certificate("a"))
    opened = opening(Trust(allow_unauthorized=True)).open([host.address])
    stream = SocketSink(opened.sock, stall_seconds=2, explain=TransferError)
    stream.writev([b"head", bytes(100_000)])
    stream.close()
    with pytest.raises(TransferError) as caught:
        stream.writev([b"more"])
    assert caught.value.code == "TRANSFER_STOPPED"
