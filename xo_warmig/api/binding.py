"""Where the server may listen, and what the HTTP server must be told so that XO's clients get along with it."""

from typing import Any

from xo_warmig.api.settings import MOST_FRAME_BYTES, PING_INTERVAL_SECONDS, PING_TIMEOUT_SECONDS
from xo_warmig.config import Config, is_loopback
from xo_warmig.errors import InvalidRequest


def check_binding(config: Config) -> None:
    """Passwords do not travel in the clear: another address than loopback needs TLS, or somebody's word that it is protected.

    Raises:
        InvalidRequest: code PLAIN_ON_NETWORK.
    """
    if is_loopback(config.address) or config.uses_tls or config.allow_plain:
        return
    raise InvalidRequest(
        f"{config.address} can be reached by other machines, and passwords would travel in the clear",
        code="PLAIN_ON_NETWORK",
        evidence={"address": config.address},
        remedy="Give a certificate and key (--tls-cert, --tls-key), listen on 127.0.0.1, or pass --allow-plain.",
    )


def uvicorn_options(config: Config) -> dict[str, Any]:
    """Keyword arguments of ``uvicorn.Config`` for this API."""
    options: dict[str, Any] = {
        "host": config.address,
        "port": config.port,
        "ws": "websockets-sansio",
        "ws_max_size": MOST_FRAME_BYTES,
        "ws_ping_interval": PING_INTERVAL_SECONDS,
        "ws_ping_timeout": PING_TIMEOUT_SECONDS,
        "ws_per_message_deflate": False,
        "lifespan": "on",
        # X-Forwarded-* is believed by our own rule only.
        "proxy_headers": False,
        "server_header": False,
    }
    if config.tls_cert is not None and config.tls_key is not None:
        options |= {"ssl_certfile": str(config.tls_cert), "ssl_keyfile": str(config.tls_key)}
    return options
