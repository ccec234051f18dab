"""Which certificates of a pool's hosts are believed: valid ones, or those pinned on first use. Never none at all."""

import base64
import hashlib
import ipaddress
import re
import socket
import ssl
import threading
import warnings
from collections.abc import Iterable

from xo_warmig.errors import PoolError

# XenServer up to 7.6 speaks TLS with static RSA keys only, and 6.5 only version 1.0; a pinned certificate still says who answers.
_OLD_CIPHERS = "DEFAULT:AES128-SHA256:AES256-SHA:AES128-SHA:@SECLEVEL=0"
_OP_LEGACY_SERVER_CONNECT = 0x4
_CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)


class Trust:
    """The certificates that one server's hosts may show, by ``host:port``. Thread-safe.

    With ``allow_unauthorized`` the first certificate of an unknown host is pinned; without, an unknown host needs a valid one. A host
    that was pinned must show that very certificate in both cases.
    """

    def __init__(self, *, allow_unauthorized: bool) -> None:
        self.allow_unauthorized = allow_unauthorized
        self._pins: dict[str, str] = {}
        self._lock = threading.Lock()
        self._old: set[str] = set()

    def pin(self, host: str, port: int, fingerprint: str) -> None:
        """From now on the host must show the certificate with this SHA-256 fingerprint."""
        with self._lock:
            self._pins[_key(host, port)] = normal_fingerprint(fingerprint)

    def pinned(self, host: str, port: int) -> str | None:
        with self._lock:
            return self._pins.get(_key(host, port))

    def wrap(self, plain: socket.socket, host: str, port: int) -> ssl.SSLSocket:
        """Speak TLS on a fresh connection, and believe the other side or raise; the socket is closed when it raises.

        Raises:
            PoolError: CERTIFICATE_UNKNOWN or CERTIFICATE_CHANGED. OSError (ssl.SSLError included): the handshake failed.
        """
        pin = self.pinned(host, port)
        if pin is None and not self.allow_unauthorized:
            return _verified(plain, host)
        secured = self._context(host, port).wrap_socket(plain, server_hostname=_server_name(host))
        try:
            self._believe(secured, host, port)
        except BaseException:
            secured.close()
            raise
        return secured

    def accepts_old_tls(self, host: str, port: int) -> bool:
        """After a failed handshake: allow the old versions for this host; False when they were allowed already, or must not be."""
        key = _key(host, port)
        with self._lock:
            allowed = (self.allow_unauthorized or key in self._pins) and key not in self._old
            if allowed:
                self._old.add(key)
            return allowed

    def _context(self, host: str, port: int) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # the pin is checked instead, before anything is sent
        with self._lock:
            old = _key(host, port) in self._old
        context.set_ciphers(_OLD_CIPHERS if old else "DEFAULT:AES128-SHA256:AES256-SHA:AES128-SHA")
        if old:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                context.minimum_version = ssl.TLSVersion.TLSv1
            context.options |= _OP_LEGACY_SERVER_CONNECT
        return context

    def _believe(self, secured: ssl.SSLSocket, host: str, port: int) -> None:
        seen = fingerprint_of(secured)
        with self._lock:
            expected = self._pins.setdefault(_key(host, port), seen)
        if seen != expected:
            raise PoolError(
                f"{host} shows another certificate than the one that was pinned",
                code="CERTIFICATE_CHANGED",
                evidence={"host": host, "port": port, "pinned": expected, "seen": seen},
                remedy="if the certificate was replaced on purpose, remove the server and add it again",
            )


def fingerprint_of(secured: ssl.SSLSocket) -> str:
    """SHA-256 of the other side's certificate."""
    return normal_fingerprint(hashlib.sha256(secured.getpeercert(binary_form=True) or b"").hexdigest())


def fingerprint_of_pem(text: str) -> str | None:
    """SHA-256 of the first certificate in a text; None when there is none."""
    match = _CERTIFICATE.search(text)
    if match is None:
        return None
    try:
        return normal_fingerprint(hashlib.sha256(base64.b64decode(match[1])).hexdigest())
    except ValueError:
        return None


def normal_fingerprint(text: str) -> str:
    """Upper-case pairs with colons, as XAPI writes it."""
    digits = "".join(character for character in text.upper() if character in "0123456789ABCDEF")
    return ":".join(digits[at : at + 2] for at in range(0, len(digits), 2))


def pin_members(trust: Trust, port: int, members: Iterable[tuple[str, str]]) -> None:
    """Pin what an authenticated master says of its members' certificates: addresses with fingerprints. Earlier pins stay."""
    for host, fingerprint in members:
        if host and fingerprint and trust.pinned(host, port) is None:
            trust.pin(host, port, fingerprint)


def _verified(plain: socket.socket, host: str) -> ssl.SSLSocket:
    try:
        return ssl.create_default_context().wrap_socket(plain, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        raise PoolError(
            f"the certificate of {host} is not valid: {error.verify_message}",
            code="CERTIFICATE_UNKNOWN",
            evidence={"host": host, "why": error.verify_message},
            remedy="install a valid certificate on the pool, or allow unauthorized certificates for this server to pin this one",
        ) from error


def _server_name(host: str) -> str | None:
    """The name to ask for; an IP literal is none."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host
    return None


def _key(host: str, port: int) -> str:
    return f"{host.lower()}:{port}"
