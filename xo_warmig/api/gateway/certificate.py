"""Whether the certificate that upstream shows is believed: checked within the TLS handshake, before anything is sent. Never not at all."""

import hashlib
import ssl
from pathlib import Path
from typing import ClassVar

import msgspec

from xo_warmig.api.state_file import write_private
from xo_warmig.errors import InvalidRequest


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """How it is judged. Of the three at most one is given; none: it must be valid for the machine's own authorities.

    ``ca_file``: PEM, the authorities instead of the machine's. ``fingerprint``: its SHA-256 as 64 hexadecimal digits; the name in it is
    of no interest then. ``kept``: the same, where the fingerprint is what the file holds, or what is seen first and then written there.
    """

    ca_file: Path | None = None
    fingerprint: str | None = None
    kept: Path | None = None

    def context(self) -> ssl.SSLContext:
        """For clients, of asyncio or of blocking sockets. A handshake with another certificate fails with ssl.SSLError.

        Raises:
            InvalidRequest: code BAD_CONFIG, the file of authorities is none.
        """
        if self.fingerprint is None and self.kept is None:
            return self._of_authorities()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # the fingerprint is compared instead

        class Pinned(_PinnedObject):
            certificate = self

        class PinnedSocket(_PinnedSocket):
            certificate = self

        context.sslobject_class = Pinned
        context.sslsocket_class = PinnedSocket
        return context

    def judge(self, shown: bytes | None) -> None:
        """``shown`` is DER. Raises ssl.SSLError."""
        seen = hashlib.sha256(shown or b"").hexdigest()
        expected = self.fingerprint or self._kept_or(seen)
        if seen != expected:
            raise ssl.SSLError(f"upstream shows a certificate with SHA-256 {seen}, not the expected {expected}")

    def _kept_or(self, seen: str) -> str:
        assert self.kept is not None
        if not self.kept.exists():
            write_private(self.kept, f"{seen}\n".encode())
        return self.kept.read_text().strip()

    def _of_authorities(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise InvalidRequest(
                f"gateway.ca_file: {self.ca_file} cannot be used: {error}",
                code="BAD_CONFIG",
                evidence={"key": "gateway.ca_file", "file": str(self.ca_file)},
                remedy="Name a PEM file with the certificate of the authority, or of the server if it signed its own.",
            ) from error
        if self.ca_file is not None:
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # the file may hold the server's own certificate
        return context


class _PinnedObject(ssl.SSLObject):
    certificate: ClassVar[Certificate]

    def do_handshake(self) -> None:
        super().do_handshake()
        self.certificate.judge(self.getpeercert(binary_form=True))


class _PinnedSocket(ssl.SSLSocket):
    certificate: ClassVar[Certificate]

    def do_handshake(self, block: bool = False) -> None:
        super().do_handshake(block)
        self.certificate.judge(self.getpeercert(binary_form=True))
