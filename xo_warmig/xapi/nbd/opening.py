"""Opening an NBD connection to a host of a pool: connect, negotiate, encrypt, and be given a disk. Blocks.

xapi-nbd gives no reasons. It hangs up at once when the pool's networks do not say how NBD is to be spoken, or when it has 16
connections already, and after the export's name when it does not like that or cannot attach the disk. Source: ocaml/nbd/src/main.ml.
"""

import socket
import time
from typing import Any, Final, NamedTuple

from xo_warmig.disks.nbd_reader import NbdReader
from xo_warmig.errors import TransferError, TransferStalled, WarmigError
from xo_warmig.formats.nbd import Handshake, Stage, Step
from xo_warmig.xapi.dial import CONNECT_SECONDS, connect
from xo_warmig.xapi.nbd.duplex import SocketDuplex
from xo_warmig.xapi.opening import BUFFER_BYTES
from xo_warmig.xapi.rpc import shut
from xo_warmig.xapi.streams import stopped
from xo_warmig.xapi.trust import Trust, fingerprint_of_pem

DIAL_SECONDS: Final = 3.0  # the copy waits for all of its connections to open, and others may answer
OPEN_SECONDS: Final = 60.0  # the disk is attached before the server answers, which takes some of them

_REASONS: Final = {
    Stage.GREETING: (
        "it has too many connections, or the purposes of the pool's networks do not allow NBD",
        "See that the network has the purpose nbd or insecure_nbd, no other one the other, and that others leave connections free.",
    ),
    Stage.TLS: ("it does not speak TLS", "See the host's log of xapi-nbd."),
    Stage.EXPORT: (
        "it knows no such session or VDI, or cannot attach the disk",
        "Ask for the disk's export anew, with the session of now; if it stays, see that the disk can be attached on that host.",
    ),
}


class NbdPlace(NamedTuple):
    """Where a disk is served: one of the answers of ``VDI.get_nbd_info``, and whether the pool wants TLS."""

    host: str
    port: int
    export_name: str
    secure: bool
    certificate: str = ""  # of the host, as PEM; empty: the pool's own trust says what is believed

    @property
    def server(self) -> str:
        """The same for all addresses of a host, as far as can be told."""
        return self.certificate or self.host

    def __repr__(self) -> str:
        """Without the session that the export's name holds."""
        return f"nbd{'s' if self.secure else ''}://{self.host}:{self.port}{self.disk}"

    @property
    def disk(self) -> str:
        """The part of the export's name that is no secret."""
        return self.export_name.partition("?")[0]


def nbd_place(info: dict[str, Any], *, secure: bool) -> NbdPlace:
    """The place that a record of ``VDI.get_nbd_info`` tells of."""
    return NbdPlace(info["address"].strip("[]"), int(info["port"]), info["exportname"], secure, info.get("cert", ""))


class NbdOpening:
    """One attempt. ``stop`` may be called from another thread."""

    def __init__(
        self, place: NbdPlace, trust: Trust, *, stall_seconds: float, open_seconds: float = OPEN_SECONDS
    ) -> None:
        """``trust``: what the pool's hosts may show, where the place does not say."""
        self._place = place
        self._trust = trust
        self._stall_seconds = stall_seconds
        self._open_seconds = open_seconds
        self._sock: socket.socket | None = None
        self._stopped = False

    def stop(self) -> None:
        """Give it up: ``open`` raises soon, or its result is to be closed."""
        self._stopped = True
        if self._sock is not None:
            shut(self._sock)

    def open(self) -> NbdReader:
        """A connection that is ready to read.

        Raises:
            TransferError: no connection, or it was closed on us. TransferStalled: there is none in ``open_seconds``.
            FormatError: no NBD is spoken there, or none under TLS. PoolError: its certificate is not believed.
        """
        deadline = time.monotonic() + self._open_seconds
        try:
            self._sock = connect(
                self._place.host, self._place.port, timeout_seconds=DIAL_SECONDS, buffer_bytes=BUFFER_BYTES
            )
        except OSError as error:
            raise self._failure(
                f"no connection: {error}",
                "HOST_UNREACHABLE",
                "See that the host is up, and that its NBD port can be reached from here.",
            ) from error
        try:
            size_bytes = self._negotiate(deadline)
        except BaseException as error:
            self._sock.close()
            if not isinstance(error, WarmigError):
                raise
            if self._stopped:
                raise stopped() from error
            error.evidence = self._evidence() | error.evidence
            raise
        duplex = SocketDuplex(self._sock, stall_seconds=self._stall_seconds, explain=self._explain)
        return NbdReader(duplex, size_bytes)

    def _negotiate(self, deadline: float) -> int:
        handshake = Handshake(self._place.export_name, secure=self._place.secure)
        while handshake.wanted:
            try:
                acts = handshake.feed(self._read(handshake.wanted, deadline))
                for act in acts:
                    if isinstance(act, Step):
                        self._start_tls(deadline)
                    else:
                        self._connected(deadline).sendall(act)
            except (EOFError, ConnectionResetError, BrokenPipeError) as error:
                raise self._dropped(handshake.stage) from error
            except TimeoutError as error:
                raise self._late() from error
            except OSError as error:
                raise self._explain(f"the connection broke: {error.strerror or error}") from error
        return handshake.export.size_bytes

    def _connected(self, deadline: float) -> socket.socket:
        """The socket, for as long as it may take."""
        if self._sock is None or self._stopped:
            raise stopped()
        left_seconds = deadline - time.monotonic()
        if left_seconds <= 0:
            raise self._late()
        self._sock.settimeout(left_seconds)
        return self._sock

    def _read(self, count_bytes: int, deadline: float) -> bytes:
        """Just so many bytes: what follows them may be TLS already, or the answers to reads."""
        data = bytearray()
        while len(data) < count_bytes:
            piece = self._connected(deadline).recv(count_bytes - len(data))
            if not piece:
                raise EOFError
            data += piece
        return bytes(data)

    def _start_tls(self, deadline: float) -> None:
        plain = self._connected(deadline)
        plain.settimeout(CONNECT_SECONDS)
        place, trust = self._place, self._trust
        fingerprint = fingerprint_of_pem(place.certificate)
        if fingerprint is not None:
            trust = Trust(allow_unauthorized=False)
            trust.pin(place.host, place.port, fingerprint)
        try:
            self._sock = trust.wrap(plain, place.host, place.port)
        except OSError as error:
            why = f"TLS failed: {error.strerror or error}"
            raise self._failure(why, "NBD_TLS_FAILED", "See the host's log of xapi-nbd.") from error

    def _dropped(self, stage: Stage) -> TransferError:
        why, remedy = _REASONS[stage]
        if stage is Stage.EXPORT and not self._place.secure:
            why += ", or wants TLS as a network of its pool has the purpose nbd"
        error = self._failure(f"it closed the connection without a word: {why}", "NBD_DROPPED", remedy)
        error.evidence["stage"] = stage.value
        return error

    def _late(self) -> TransferStalled:
        return TransferStalled(
            f"the NBD server of {self._place.host} did not give the disk in {self._open_seconds:.0f} s",
            evidence=self._evidence(),
        )

    def _explain(self, words: str) -> TransferError:
        return self._failure(words, "NBD_CONNECTION_LOST", "The pass can be repeated.")

    def _failure(self, words: str, code: str, remedy: str) -> TransferError:
        message = f"the NBD server of {self._place.host}: {words}"
        return TransferError(message, code=code, evidence=self._evidence(), remedy=remedy)

    def _evidence(self) -> dict[str, Any]:
        place = self._place
        return {"host": place.host, "port": place.port, "secure": place.secure, "export": place.disk}
