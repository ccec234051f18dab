"""Servers: the pools that were configured, by the address that they were given with, and what is known of their connections."""

from enum import StrEnum

import msgspec

from xo_warmig.model.encryption import Encryption


class ServerStatus(StrEnum):
    """XO's own spelling."""

    CONNECTED = "connected"
    CONNECTING = "connecting"
    DISCONNECTED = "disconnected"


class ServerCredentials(msgspec.Struct, frozen=True, kw_only=True):
    """What is needed to connect to a pool.

    ``host``: ``[http[s]://]host[:port]``, https unless it says otherwise. ``fingerprint``: SHA-256 of the certificate that was pinned
    on an earlier connection, as hexadecimal digits in pairs with colons; None while nothing is pinned. ``pins``: the same of the pool's
    other hosts that were met, by ``host:port``, as far as no master tells theirs.
    """

    id: str
    host: str
    username: str
    password: str
    label: str = ""
    allow_unauthorized: bool = False  # pin the certificate of the first connection instead of asking for a valid one
    read_only: bool = False
    enabled: bool = True  # connect, and reconnect, without being asked
    fingerprint: str | None = None
    pins: dict[str, str] = {}


class ServerState(msgspec.Struct, frozen=True, kw_only=True):
    """A server as it is now; the pool's members are None until it was connected for the first time.

    ``encryption``: of the connection to the pool's master, None until one was negotiated. ``fingerprint``, ``pins``: see
    ``ServerCredentials``.
    """

    id: str
    host: str
    username: str
    label: str
    enabled: bool
    allow_unauthorized: bool
    read_only: bool
    status: ServerStatus
    error: dict[str, object] | None = None
    pool_id: str | None = None  # uuid
    pool_name_label: str | None = None
    pool_name_description: str | None = None
    master: str | None = None  # uuid of the host
    members: list[str] = []  # addresses of the pool's hosts
    fingerprint: str | None = None
    pins: dict[str, str] = {}
    encryption: Encryption | None = None
