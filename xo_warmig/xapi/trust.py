"""Which certificates of a pool's hosts are believed: valid ones, or those pinned on first use. Never none at all."""

import base64
import hashlib
import ipaddress
import re
import socket
import ssl
import threading
import warnings
from collections.abc import Iterable, Mapping

from xo_warmig.errors import PoolError
from xo_warmig.model.encryption import Encryption
from xo_warmig.xapi.negotiated import negotiated

# XenServer up to 7.6 speaks TLS with static RSA keys only, and 6.5 only version 1.0; a pinned certificate still says who answers.
_CIPHERS = "DEFAULT:AES128-SHA256:AES256-SHA:AES128-SHA"
_OLD_CIPHERS = f"{_CIPHERS}:@SECLEVEL=0"
# How OpenSSL calls it that the two sides have no version, cipher or strength of keys in common.
_NOTHING_IN_COMMON = frozenset(
    {
        "DH_KEY_TOO_SMALL",
        "SSLV3_ALERT_HANDSHAKE_FAILURE",
        "TLSV1_ALERT_PROTOCOL_VERSION",
        "UNSUPPORTED_PROTOCOL",
        "UNSAFE_LEGACY_RENEGOTIATION_DISABLED",
        "WRONG_SSL_VERSION",
    }
)
_OP_LEGACY_SERVER_CONNECT = 0x4
_CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)


class Trust:
    """The certificates that one server's hosts may show, by ``host:port``, and what was negotiated with them. Thread-safe.

    With ``allow_unauthorized`` the first certificate of an unknown host is pinned; without, an unknown host needs a valid one. A host
    that was pinned must show that very certificate in both cases.
    """

    def __init__(self, *, allow_unauthorized: bool, pins: Mapping[str, str] | None = None) -> None:
        """``pins``: those that an earlier process had in the end."""
        self.allow_unauthorized = allow_unauthorized
        self._pins = dict(pins or {})
        self._told: dict[str, str] = {}  # by a master that was believed
        self._lock = threading.Lock()
        self._old: set[str] = set()
        self._negotiated: dict[str, Encryption] = {}

    @property
    def pins(self) -> dict[str, str]:
        """Those to be kept beyond the process: what a master tells of its members, it tells again."""
        with self._lock:
            return dict(self._pins)

    def pin(self, host: str, port: int, fingerprint: str) -> None:
        """From now on the host must show the certificate with this SHA-256 fingerprint."""
        with self._lock:
            self._pins[place_of(host, port)] = normal_fingerprint(fingerprint)

    def be_told(self, host: str, port: int, fingerprint: str) -> None:
        """The same, by the word of a master that is believed, until it says otherwise. A pin of the host's own stays."""
        with self._lock:
            self._told[place_of(host, port)] = normal_fingerprint(fingerprint)

    def pinned(self, host: str, port: int) -> str | None:
        with self._lock:
            return self._expected(place_of(host, port))

    def encryption(self, host: str, port: int) -> Encryption | None:
        """What the last handshake with the host came to; None before the first one that it was believed in."""
        with self._lock:
            return self._negotiated.get(place_of(host, port))

    def wrap(self, plain: socket.socket, host: str, port: int) -> ssl.SSLSocket:
        """Speak TLS on a fresh connection, and believe the other side or raise; the socket is closed when it raises.

        Raises:
            PoolError: CERTIFICATE_UNKNOWN, CERTIFICATE_CHANGED or TLS_TOO_OLD. OSError (ssl.SSLError included): the handshake failed.
        """
        if self.pinned(host, port) is None and not self.allow_unauthorized:
            secured = _verified(plain, host)
        else:
            secured = self._context(host, port).wrap_socket(plain, server_hostname=_server_name(host))
            try:
                self._believe(secured, host, port)
            except BaseException:
                secured.close()
                raise
        found = negotiated(secured)
        with self._lock:
            self._negotiated[place_of(host, port)] = found
        return secured

    def accepts_old_tls(self, host: str, port: int) -> bool:
        """After a failed handshake: allow the old versions for this host; False when they were allowed already, or must not be."""
        place = place_of(host, port)
        with self._lock:
            allowed = (self.allow_unauthorized or self._expected(place) is not None) and place not in self._old
            if allowed:
                self._old.add(place)
            return allowed

    def _context(self, host: str, port: int) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # the pin is checked instead, before anything is sent
        with self._lock:
            old = place_of(host, port) in self._old
        context.set_ciphers(_OLD_CIPHERS if old else _CIPHERS)
        if old:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                context.minimum_version = ssl.TLSVersion.TLSv1
            context.options |= _OP_LEGACY_SERVER_CONNECT
        return context

    def _believe(self, secured: ssl.SSLSocket, host: str, port: int) -> None:
        seen = fingerprint_of(secured)
        with self._lock:
            expected = self._expected(place_of(host, port)) or self._pins.setdefault(place_of(host, port), seen)
        if seen != expected:
            raise PoolError(
                f"{host} shows another certificate than the one that was pinned: {seen}, not {expected}",
                code="CERTIFICATE_CHANGED",
                evidence={"host": host, "port": port, "pinned": expected, "seen": seen},
                remedy="if the certificate was replaced on purpose, remove the server and add it again",
            )

    def _expected(self, place: str) -> str | None:
        """With the lock held."""
        return self._pins.get(place) or self._told.get(place)


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


def believe_members(trust: Trust, port: int, members: Iterable[tuple[str, str]]) -> None:
    """Believe what an authenticated master says of its members' certificates: addresses with fingerprints. Their own pins stay."""
    for host, fingerprint in members:
        if host and fingerprint:
            trust.be_told(host, port, fingerprint)


def _verified(plain: socket.socket, host: str) -> ssl.SSLSocket:
    """As the machine's own authorities say; without forward secrecy too, which 7.x does not have."""
    context = ssl.create_default_context()
    context.set_ciphers(_CIPHERS)
    try:
        return context.wrap_socket(plain, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        raise PoolError(
            f"the certificate of {host} is not valid: {error.verify_message}",
            code="CERTIFICATE_UNKNOWN",
            evidence={"host": host, "why": error.verify_message},
            remedy="install a valid certificate on the host, add the server with the fingerprint of the one that it has, or allow "
            "unauthorized certificates for this server to pin what its hosts show first",
        ) from error
    except ssl.SSLError as error:
        if error.reason not in _NOTHING_IN_COMMON:
            raise
        raise PoolError(
            f"{host} does not speak TLS 1.2, and what is older is spoken only with hosts whose certificate is pinned ({error.reason})",
            code="TLS_TOO_OLD",
            evidence={"host": host, "why": error.reason},
            remedy="add the server with the fingerprint of the host's certificate, or allow unauthorized certificates for it, so that what "
            "the host shows first is pinned",
        ) from error


def _server_name(host: str) -> str | None:
    """The name to ask for; an IP literal is none."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host
    return None


def place_of(host: str, port: int) -> str:
    """By which a host is known here."""
    return f"{host.lower()}:{port}"
