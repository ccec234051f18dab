"""The negotiation: from the greeting to the name of the export that the client wants (lib/server.ml of the library nbd)."""

import contextlib
import socket
import ssl
import time

from xo_warmig.simulator.nbd import wire
from xo_warmig.simulator.nbd.wire import Answer, Option
from xo_warmig.simulator.transfer.wire import hang_up

_MOST_OPTION_BYTES = 1 << 16


class Dropped(Exception):
    """The server has nothing more to say, not even why."""


class Channel:
    """A connection, perhaps encrypted later. What is sent answers something, so it is late by the round trip that is simulated.

    Raises:
        EOFError: the client has gone.
        OSError: the connection broke.
    """

    def __init__(self, connection: socket.socket, latency_seconds: float, opened: set[socket.socket]) -> None:
        self.connection: socket.socket | ssl.SSLSocket = connection
        self.latency_seconds = latency_seconds
        self._opened = opened  # the sockets to be broken when the pool stops

    def take(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            piece = self.connection.recv(count - len(data))
            if not piece:
                raise EOFError
            data += piece
        return bytes(data)

    def answer(self, data: bytes) -> None:
        self.pause()
        self.connection.sendall(data)

    def pause(self) -> None:
        """A round trip."""
        if self.latency_seconds:
            time.sleep(self.latency_seconds)

    def encrypt(self, context: ssl.SSLContext) -> None:
        """The client begins; the handshake of TLS 1.2 takes two round trips."""
        self.pause()
        self.pause()
        self.connection = context.wrap_socket(self.connection, server_side=True)
        self._opened.add(self.connection)

    def close(self) -> None:
        """End the connection, so that the client reads everything before it."""
        hang_up(self.connection)
        self._opened.discard(self.connection)
        self.connection.close()

    def take_option(self) -> tuple[int, bytes]:
        number, length = wire.option_head(self.take(wire.OPTION_BYTES))
        if length > _MOST_OPTION_BYTES:
            raise Dropped
        return number, self.take(length)


def negotiate(channel: Channel, context: ssl.SSLContext | None) -> str:
    """The name of the export. With a context nothing but TLS is spoken after the first words.

    Raises:
        Dropped: the client gave up, or did what ends the connection.
    """
    channel.answer(wire.GREETING)
    flags = int.from_bytes(channel.take(wire.CLIENT_FLAGS_BYTES), "big")
    try:
        if context is not None:
            if not flags & wire.FIXED_NEWSTYLE:
                raise Dropped
            _encrypt(channel, context)
        return _export_name(channel, encrypted=context is not None)
    except wire.BadMagic:
        raise Dropped from None


def _encrypt(channel: Channel, context: ssl.SSLContext) -> None:
    """Until the client asks for it every other option is refused, and some end the connection."""
    while True:
        option, _ = channel.take_option()
        if option in (Option.EXPORT_NAME, Option.ABORT):
            raise Dropped
        if option == Option.STARTTLS:
            channel.answer(wire.option_answer(option, Answer.ACK))
            channel.encrypt(context)
            return
        channel.answer(wire.option_answer(option, Answer.TLS_REQUIRED))


def _export_name(channel: Channel, *, encrypted: bool) -> str:
    while True:
        option, data = channel.take_option()
        if option == Option.EXPORT_NAME:
            return data.decode(errors="replace")
        if option == Option.ABORT:
            with contextlib.suppress(OSError):
                channel.answer(wire.option_answer(option, Answer.ACK))
            raise Dropped
        channel.answer(wire.option_answer(option, _refusal(option, encrypted=encrypted)))


def _refusal(option: int, *, encrypted: bool) -> Answer:
    match option:
        case Option.STARTTLS:
            return Answer.INVALID if encrypted else Answer.POLICY
        case Option.LIST:
            return Answer.POLICY
    return Answer.UNSUPPORTED
