"""Loopback addresses and ports for simulated hosts: one address a host, one port a pool."""

import secrets
import socket
from contextlib import ExitStack

from xo_warmig.errors import WarmigError

NBD_PORT = 10809
"""Where NBD clients connect whatever a pool's own port is; an address is only free when this port of it is."""

_TRIES = 200


def pick(hosts: int) -> tuple[list[str], int]:
    """So many addresses of 127.0.0.0/8 that nobody listens on, and a port that is free on all of them."""
    for _ in range(_TRIES):
        addresses = [_random_address() for _ in range(hosts)]
        port = _free_port(addresses[0])
        if port is not None and len(set(addresses)) == hosts and are_free(addresses, port):
            return addresses, port
    raise WarmigError("no free loopback address was found", remedy="free some ports of 127.0.0.0/8")


def are_free(addresses: list[str], port: int) -> bool:
    """Whether a pool could listen there now."""
    with ExitStack() as held:
        try:
            for address in addresses:
                for number in (port, NBD_PORT):
                    listener = held.enter_context(socket.socket())
                    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    listener.bind((address, number))
        except OSError:
            return False
    return True


def _random_address() -> str:
    """Any of 127.1.0.1 to 127.254.255.254; those with a first 0 are left to whoever wrote them down."""
    return f"127.{1 + secrets.randbelow(254)}.{secrets.randbelow(256)}.{1 + secrets.randbelow(254)}"


def _free_port(address: str) -> int | None:
    with socket.socket() as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return None
        return int(probe.getsockname()[1])
