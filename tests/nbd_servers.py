"""NBD servers on the loopback that nobody here wrote: nbdkit and qemu-nbd; and one that is as curt as xapi-nbd."""

import contextlib
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.programs import missing
from xo_warmig.simulator.tls import certificate_file
from xo_warmig.xapi.nbd.opening import NbdPlace

HOST = "127.0.0.1"
INSTALL = {"nbdkit": "apt-get install nbdkit", "qemu-nbd": "apt-get install qemu-utils"}


@contextlib.contextmanager
def nbdkit(*arguments: str, name: str = "", tls: Path | None = None) -> Iterator[NbdPlace]:
    """Serves a plugin with its filters, whatever name is asked for unless a filter says otherwise."""
    secure = ["--tls=require", f"--tls-certificates={tls}"] if tls else []
    port = free_port()
    with _running("nbdkit", ["-f", "-r", "-i", HOST, "-p", str(port), *secure], "-P", arguments):
        yield NbdPlace(HOST, port, name, secure=tls is not None)


@contextlib.contextmanager
def qemu_nbd(image: Path, *, name: str, tls: Path | None = None) -> Iterator[NbdPlace]:
    """Serves a raw image, read-only, under one name, to eight connections."""
    port = free_port()
    options = ["-r", "-t", "-e", "8", "-b", HOST, "-p", str(port), "-f", "raw", "-x", name]
    if tls:
        credentials = f"tls-creds-x509,id=tls0,endpoint=server,dir={tls},verify-peer=no,sanity-check=no"
        options += ["--object", credentials, "--tls-creds", "tls0"]
    with _running("qemu-nbd", options, "--pid-file", [str(image)]):
        yield NbdPlace(HOST, port, name, secure=tls is not None)


def certificates(directory: Path) -> tuple[Path, str]:
    """A folder as both programs want it, and the certificate in it."""
    made = certificate_file(directory, HOST).read_text()
    for name in ("ca-cert.pem", "server-cert.pem", "server-key.pem"):
        (directory / name).write_text(made)
    return directory, made


def free_port() -> int:
    with socket.create_server((HOST, 0)) as listener:
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def _running(program: str, options: Sequence[str], pid_option: str, rest: Sequence[str]) -> Iterator[None]:
    path = shutil.which(program, path="/usr/bin:/usr/sbin:/usr/local/bin:/usr/local/sbin") or shutil.which(program)
    if path is None:
        missing(program, INSTALL[program])
    with tempfile.TemporaryDirectory() as directory:
        listening = Path(directory) / "pid"  # written once it listens
        process = subprocess.Popen([path, *options, pid_option, str(listening), *rest])
        try:
            deadline = time.monotonic() + 30
            while not listening.exists():
                assert process.poll() is None, f"{program} ended at once"
                assert time.monotonic() < deadline, f"{program} does not listen"
                time.sleep(0.01)
            yield
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class CurtServer:
    """Serves one disk under one name, a request after the other, and hangs up where xapi-nbd does, without a word.

    ``answer`` takes the place of the data of a read: b"" hangs up in its middle, None never answers.
    """

    def __init__(self, disk: bytes, *, name: str = "/vdi?session_id=OpaqueRef:1", attach_seconds: float = 0.0) -> None:
        self.disk = disk
        self.drops_at_once = False
        self.answer: Callable[[int, int], bytes | None] = lambda offset, length: self.disk[offset : offset + length]
        self.disconnects = 0
        self.ended = threading.Event()
        self.names: list[str] = []
        self._name = name
        self._attach_seconds = attach_seconds
        self._stopping = threading.Event()
        self._listener = socket.create_server((HOST, 0))
        self.place = NbdPlace(HOST, self._listener.getsockname()[1], name, secure=False)
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def stop(self) -> None:
        self._stopping.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
                self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(10)
        with connection, contextlib.suppress(OSError, EOFError):
            if self.drops_at_once:
                return
            connection.sendall(b"NBDMAGICIHAVEOPT\0\1")
            assert _exactly(connection, 4) == b"\0\0\0\1"
            _, number, length = struct.unpack(">QII", _exactly(connection, 16))
            self.names.append(_exactly(connection, length).decode())
            self._stopping.wait(self._attach_seconds)
            if (number, self.names[-1]) != (1, self._name):
                return
            connection.sendall(struct.pack(">QH", len(self.disk), 3) + bytes(124))
            while self._answered(connection):
                pass
        self.ended.set()

    def _answered(self, connection: socket.socket) -> bool:
        magic, _, command, handle, offset, length = struct.unpack(">IHHQQI", _exactly(connection, 28))
        assert magic == 0x25609513
        if command == 2:
            self.disconnects += 1
            return False
        error = 22 if offset % 512 or length % 512 else 0
        data = self.answer(offset, length)
        if data is None:
            self._stopping.wait(10)
            return False
        connection.sendall(struct.pack(">IIQ", 0x67446698, error, handle) + (b"" if error else data))
        return bool(data)


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data
