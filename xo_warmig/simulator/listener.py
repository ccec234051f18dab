"""A listener on one host's address: a thread for each connection, and connections that can be broken all at once.

It can be closed for a while, as the address of a host that is down is.
"""

import logging
import socket
import socketserver
import threading
from contextlib import suppress
from typing import Any

from xo_warmig.simulator.pool import SimPool

log = logging.getLogger(__name__)


class Listener(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """The server of a host's address and a port; ``handler`` answers each connection. ``crash`` breaks what is open on that host."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 256

    def __init__(self, pool: SimPool, host: str, port: int, handler: type[socketserver.BaseRequestHandler]) -> None:
        self.pool, self.host = pool, host
        self.connections: set[socket.socket] = set()
        self._name, self._accepts = "", False
        super().__init__((pool.db.row("host", host)["address"], port), handler)
        pool.listeners.append(self)

    def start(self, name: str) -> None:
        """Accepts from now on, in a thread of its own."""
        self._name, self._accepts = name, True
        threading.Thread(target=self.serve_forever, args=(0.05,), name=name, daemon=True).start()

    def stop(self) -> None:
        """Accepts no more and breaks what is open."""
        if self._accepts:
            self.shutdown()
        self._accepts = False
        self.server_close()
        self.drop_connections()

    def open(self) -> None:
        """After ``stop``: accepts again, at the same address and port."""
        self.socket = socket.socket(self.address_family, self.socket_type)
        self.server_bind()
        self.server_activate()
        self.start(self._name)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.connections.discard(request)
        self.close_request(request)

    def drop_connections(self) -> None:
        for connection in list(self.connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.exception("a connection from %s failed", client_address)
