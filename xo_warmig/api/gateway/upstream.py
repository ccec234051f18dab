"""The xo-server behind the gateway: where it is, and how its certificate is judged."""

import re
import ssl
from typing import Final, NoReturn
from urllib.parse import urlsplit

import msgspec

from xo_warmig.api.gateway.certificate import Certificate
from xo_warmig.config import Config
from xo_warmig.errors import InvalidRequest

KEPT_CERTIFICATE: Final = "upstream-certificate"  # in the state directory, where the first one that was seen is pinned
_PORTS: Final = {"http": 80, "https": 443}


class UpstreamGone(Exception):
    """It cannot be reached, went away before its answer was complete, or speaks no HTTP. ``str()``: why, for the log."""


class Upstream(msgspec.Struct, frozen=True, kw_only=True):
    """``scheme`` is http or https; ``host`` a name or an address, IPv6 without brackets."""

    scheme: str
    host: str
    port: int
    certificate: Certificate = Certificate()

    @property
    def url(self) -> str:
        """``http(s)://host[:port]``: the origin, without a path."""
        return f"{self.scheme}://{self.authority}"

    @property
    def authority(self) -> str:
        """``host[:port]`` as in a Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def is_secure(self) -> bool:
        return self.scheme == "https"

    def http_url(self, raw_path: bytes, query: bytes = b"") -> str:
        """The URL of what a client asked for: ASGI's ``raw_path`` and ``query_string``, as the client wrote them."""
        return self.url + target(raw_path, query).decode("latin-1")

    def websocket_url(self, path: str, query: str = "") -> str:
        """The same for a websocket; ``path`` and ``query`` are percent-encoded."""
        return f"ws{'s' if self.is_secure else ''}://{self.authority}{path}{'?' if query else ''}{query}"

    def ssl_context(self) -> ssl.SSLContext | None:
        """A new one for connections to it; None where it speaks in the clear. Raises InvalidRequest: BAD_CONFIG."""
        return self.certificate.context() if self.is_secure else None


def target(raw_path: bytes, query: bytes = b"") -> bytes:
    """Of an HTTP request line."""
    return raw_path + (b"?" + query if query else b"")


def upstream_of(config: Config) -> Upstream | None:
    """What the configuration says of it; None without one. It is not spoken to, but its certificates' file is read.

    Raises:
        InvalidRequest: code BAD_CONFIG.
    """
    if config.upstream is None:
        return None
    gateway = config.gateway
    certificate = Certificate(
        ca_file=gateway.ca_file,
        fingerprint=None if gateway.fingerprint is None else _fingerprint(gateway.fingerprint),
        kept=config.state_dir / KEPT_CERTIFICATE if gateway.allow_unauthorized else None,
    )
    upstream = _parsed(config.upstream, certificate)
    if not upstream.is_secure and certificate != Certificate():
        _refuse(
            "gateway", "an upstream at http:// shows no certificate", "Write https://, or leave its certificate out."
        )
    upstream.ssl_context()
    return upstream


def _parsed(text: str, certificate: Certificate) -> Upstream:
    """The text is not repeated where there may be a password in it."""
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError as error:
        _refuse("upstream", f"it is no URL: {error}")
    if parts.username is not None or parts.password is not None:
        _refuse("upstream", "it has a user or a password in it, but clients sign in themselves")
    if parts.scheme not in _PORTS or not parts.hostname:
        _refuse("upstream", f"{text!r} is no http:// or https:// URL with a host")
    if not re.fullmatch(r"[0-9A-Za-z._:%-]+", parts.hostname):
        _refuse("upstream", f"{parts.hostname!r} is no host")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        _refuse("upstream", f"{text!r} has more than an origin; xo-server's own links would lead out of a path")
    if port == 0:
        _refuse("upstream", "port 0 is none")
    return Upstream(
        scheme=parts.scheme, host=parts.hostname, port=port or _PORTS[parts.scheme], certificate=certificate
    )


def _fingerprint(text: str) -> str:
    digits = text.strip().lower().removeprefix("sha256:").replace(":", "")
    if not re.fullmatch(r"[0-9a-f]{64}", digits):
        _refuse(
            "gateway.fingerprint", f"{text!r} is no SHA-256", "Give what `openssl x509 -sha256 -fingerprint` prints."
        )
    return digits


def _refuse(key: str, why: str, remedy: str = "Give http(s)://host[:port] and nothing after it.") -> NoReturn:
    raise InvalidRequest(f"{key}: {why}", code="BAD_CONFIG", evidence={"key": key}, remedy=remedy)
