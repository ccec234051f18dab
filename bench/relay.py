"""A yardstick of copies: bytes of the VHD stream taken with ``recv_into`` and given on with ``sendall``, and nothing looked at.

One thread of this very process, as bare as Python can do it: what TLS costs it on both sides, it costs us.
"""

import socket
import urllib.parse

from bench.side import Side, unverified

_BUFFER_BYTES = 1 << 20
_END_OF_HEAD = b"\r\n\r\n"


def relay(source: Side, source_vdi: str, target: Side, target_vdi: str, length: int) -> None:
    """Copy the stream; raises unless the target's task succeeded."""
    with target.importing(target_vdi, "vhd") as url:
        reader, first = _asked("GET", source.export_url(source_vdi))
        writer, _ = _asked("PUT", url, f"Content-Length: {length}\r\n")
        with reader, writer:
            writer.sendall(first)
            buffer = memoryview(bytearray(_BUFFER_BYTES))
            while count := reader.recv_into(buffer):
                writer.sendall(buffer[:count])
            while writer.recv(_BUFFER_BYTES):
                pass


def _asked(method: str, url: str, headers: str = "") -> tuple[socket.socket, bytes]:
    """A connection whose answer begins well, and what came behind the head."""
    parts = urllib.parse.urlsplit(url)
    assert parts.hostname is not None
    sock: socket.socket = socket.create_connection((parts.hostname, parts.port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if parts.scheme == "https":
        sock = unverified().wrap_socket(sock)
    sock.sendall(f"{method} {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n{headers}\r\n".encode())
    received = bytearray()
    while _END_OF_HEAD not in received:
        piece = sock.recv(_BUFFER_BYTES)
        if not piece:
            raise RuntimeError(f"no answer: {bytes(received)!r}")
        received += piece
    head, _, rest = bytes(received).partition(_END_OF_HEAD)
    if b" 200 " not in head.splitlines()[0]:
        raise RuntimeError(f"{method} was answered {head.splitlines()[0]!r}")
    return sock, rest
