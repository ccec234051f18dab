"""The NBD servers of a pool: a listener for each host's address, a thread for each connection, sixteen connections a host at most."""

import errno
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from socketserver import BaseRequestHandler

from xo_warmig.simulator import tls
from xo_warmig.simulator.addresses import NBD_PORT
from xo_warmig.simulator.calls.vdi_nbd import PURPOSES
from xo_warmig.simulator.listener import Listener
from xo_warmig.simulator.nbd import export
from xo_warmig.simulator.nbd.negotiation import Channel
from xo_warmig.simulator.pool import SimPool
from xo_warmig.simulator.release import at_least

MOST_CONNECTIONS = 16
"""Further ones are dropped without a word."""


class NbdServer:
    """All NBD listeners of one pool; ``pool.nbd_ports`` says on which ports they are. ``start`` returns when every one accepts."""

    def __init__(self, pool: SimPool) -> None:
        hosts = pool.db.refs("host") if at_least(pool.release, "7.6") else []  # NBD came with 7.3
        self._listeners = [_listener(pool, ref) for ref in hosts]
        pool.nbd_ports |= {listener.host: listener.server_address[1] for listener in self._listeners}

    def start(self) -> None:
        for listener in self._listeners:
            listener.start("nbd listener")

    def stop(self) -> None:
        """Stops accepting and breaks the connections that are open."""
        for listener in self._listeners:
            listener.stop()


def _listener(pool: SimPool, host: str) -> "_Listener":
    """On the port that clients expect; on another one where that is taken."""
    try:
        return _Listener(pool, host, NBD_PORT)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        return _Listener(pool, host, 0)


class _Listener(Listener):
    """The server of one host."""

    def __init__(self, pool: SimPool, host: str, port: int) -> None:
        self._count = 0
        self._counting = threading.Lock()
        super().__init__(pool, host, port, _Connection)

    @cached_property
    def context(self) -> ssl.SSLContext:
        address = self.pool.db.row("host", self.host)["address"]
        return tls.server_context(
            tls.certificate_file(self.pool.directory, address, self.pool.release), self.pool.release
        )

    @contextmanager
    def slot(self) -> Iterator[bool]:
        """Whether there is room for another connection, for as long as it lasts."""
        with self._counting:
            self._count += 1
            free = self._count <= MOST_CONNECTIONS
        try:
            yield free
        finally:
            with self._counting:
                self._count -= 1

    def purposes(self) -> set[str]:
        """What the pool's networks are for, as xapi-nbd asks for each connection."""
        return {purpose for row in self.pool.db.rows("network").values() for purpose in row["purpose"]}


class _Connection(BaseRequestHandler):
    """One client."""

    server: _Listener

    def handle(self) -> None:
        server = self.server
        with server.slot() as free:
            purposes = server.purposes() & PURPOSES
            if not free or len(purposes) != 1:
                return
            with suppress(OSError):
                self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            channel = Channel(self.request, server.pool.config.latency_seconds, server.connections)
            export.serve(server.pool, server.host, channel, server.context if purposes == {"nbd"} else None)
