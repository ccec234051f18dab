"""Opening a connection to a host of a pool, in clear or over TLS, for calls and for disks alike."""

import contextlib
import logging
import socket
import ssl

from xo_warmig.xapi.address import Address
from xo_warmig.xapi.trust import Trust

CONNECT_SECONDS = 10.0
_KEEPALIVE_IDLE_SECONDS = 60

log = logging.getLogger(__name__)


def dial(
    address: Address, trust: Trust, *, timeout_seconds: float = CONNECT_SECONDS, buffer_bytes: int = 0
) -> socket.socket:
    """Connect; the socket has ``timeout_seconds`` as its timeout until the caller sets another. Blocks.

    ``buffer_bytes`` asks the kernel for large buffers, before connecting so that the window can scale.

    Raises:
        OSError: no connection. PoolError: its certificate is not believed.
    """
    plain = connect(address.host, address.port, timeout_seconds=timeout_seconds, buffer_bytes=buffer_bytes)
    if not address.secure:
        return plain
    try:
        return _secure(plain, address, trust)
    except ssl.SSLError:
        if not trust.accepts_old_tls(address.host, address.port):
            raise
    log.warning("%s does not speak TLS 1.2: an older version is used, with its certificate pinned", address.url)
    plain = connect(address.host, address.port, timeout_seconds=timeout_seconds, buffer_bytes=buffer_bytes)
    return _secure(plain, address, trust)


def connect(host: str, port: int, *, timeout_seconds: float = CONNECT_SECONDS, buffer_bytes: int = 0) -> socket.socket:
    """A connection in clear; see ``dial``. Raises OSError."""
    failure: OSError | None = None
    for family, kind, protocol, _, where in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        plain = socket.socket(family, kind, protocol)
        try:
            _tune(plain, buffer_bytes)
            plain.settimeout(timeout_seconds)
            plain.connect(where)
        except OSError as error:
            plain.close()
            failure = error
        else:
            return plain
    raise failure or OSError(f"{host} has no address")


def _secure(plain: socket.socket, address: Address, trust: Trust) -> ssl.SSLSocket:
    try:
        return trust.wrap(plain, address.host, address.port)
    except BaseException:
        plain.close()
        raise


def _tune(plain: socket.socket, buffer_bytes: int) -> None:
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    with contextlib.suppress(AttributeError, OSError):  # not every platform can set it
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEPALIVE_IDLE_SECONDS)
    for option, limit in ((socket.SO_RCVBUF, "rmem_max"), (socket.SO_SNDBUF, "wmem_max")):
        # A size set by hand ends the kernel's own growth of the buffer, so it is set only where it is granted in full.
        if buffer_bytes and buffer_bytes <= _kernel_limit(limit):
            plain.setsockopt(socket.SOL_SOCKET, option, buffer_bytes)


def _kernel_limit(name: str) -> int:
    try:
        with open(f"/proc/sys/net/core/{name}", encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return 0
