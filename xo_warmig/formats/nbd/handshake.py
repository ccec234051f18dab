"""How a client comes to an export: fixed newstyle negotiation, TLS if it is wanted, and the export by its name.

No GO and no structured replies, as xapi-nbd knows neither. A server that does not like a name just hangs up, so it is kept where the
negotiation stood. Source: doc/proto.md of NetworkBlockDevice/nbd, lib/server.ml of xapi-project/nbd.
"""

import struct
from collections.abc import Generator
from enum import Enum, StrEnum
from typing import NamedTuple, TypeAlias

from xo_warmig.errors import FormatError
from xo_warmig.formats.nbd.numbers import (
    GREETING_MAGIC,
    MOST_NAME_BYTES,
    MOST_OPTION_REPLY_BYTES,
    OLDSTYLE_MAGIC,
    OPTION_MAGIC,
    OPTION_REPLY_MAGIC,
    RESERVED_BYTES,
    ExportFlag,
    HandshakeFlag,
    Option,
    OptionReply,
    name_of,
)
from xo_warmig.formats.nbd.refusal import printable, refused
from xo_warmig.formats.stream import Parser, Reader, Stream

MOST_SIZE_BYTES = 2**63 - 512

_GREETING = struct.Struct(">QQH")
_CLIENT_FLAGS = struct.Struct(">I")
_OPTION = struct.Struct(">QII")
_OPTION_REPLY = struct.Struct(">QIII")
_EXPORT = struct.Struct(">QH")


class Stage(StrEnum):
    """What the server is to answer next."""

    GREETING = "greeting"
    TLS = "tls"
    EXPORT = "export"


class Step(Enum):
    """What is to be done with the connection itself."""

    START_TLS = "start_tls"


Act: TypeAlias = bytes | Step
"""Bytes to send, or a step to take."""


class Export(NamedTuple):
    """What the server serves under the name that was asked for."""

    size_bytes: int
    read_only: bool


class Handshake:
    """Fed with what the server sends, just ``wanted`` bytes at a time, it says what to do; in order."""

    def __init__(self, export_name: str, *, secure: bool) -> None:
        """``secure``: TLS or nothing. Raises FormatError when no server takes the name."""
        self.stage = Stage.GREETING
        self._name = _encoded(export_name)
        self._secure = secure
        self._reader: Reader[Act, Export] = Reader(self._negotiate)

    @property
    def wanted(self) -> int:
        """How many bytes must come before anything is to be done; 0 when there is an export."""
        return self._reader.wanted

    @property
    def export(self) -> Export:
        """What the negotiation came to. Raises FormatError when it is not at its end."""
        return self._reader.result

    def feed(self, data: bytes) -> list[Act]:
        """What to do now.

        Raises:
            FormatError: it is no NBD server that we can read from. Code NBD_TLS_REFUSED: it is one, without TLS.
        """
        return self._reader.feed(data)

    def _negotiate(self, stream: Stream) -> Parser[Act, Export]:
        common = (yield from _greeting(stream)) & (HandshakeFlag.FIXED_NEWSTYLE | HandshakeFlag.NO_ZEROES)
        yield _CLIENT_FLAGS.pack(common)
        if self._secure:
            self.stage = Stage.TLS
            yield _OPTION.pack(OPTION_MAGIC, Option.STARTTLS, 0)
            yield from _tls_granted(stream)
            yield Step.START_TLS
        self.stage = Stage.EXPORT
        yield _OPTION.pack(OPTION_MAGIC, Option.EXPORT_NAME, len(self._name)) + self._name
        export = yield from _export(stream)
        if not common & HandshakeFlag.NO_ZEROES:
            yield from stream.skip(RESERVED_BYTES)
        return export


def _encoded(export_name: str) -> bytes:
    name = export_name.encode()
    if len(name) > MOST_NAME_BYTES:
        raise FormatError(
            f"the name of an NBD export has {len(name)} bytes, and none may have more than {MOST_NAME_BYTES}",
            code="BAD_NBD",
            evidence={"length": len(name)},
        )
    return name


def _greeting(stream: Stream) -> Generator[None, None, int]:
    magic, option_magic, flags = _GREETING.unpack((yield from stream.exact(_GREETING.size)))
    if magic != GREETING_MAGIC:
        raise refused("something else than NBD's greeting", magic=f"{magic:#018x}")
    if option_magic == OLDSTYLE_MAGIC:
        raise refused("an export without negotiation, as servers long ago did", magic=f"{option_magic:#018x}")
    if option_magic != OPTION_MAGIC:
        raise refused("an unknown kind of negotiation", magic=f"{option_magic:#018x}")
    if not flags & HandshakeFlag.FIXED_NEWSTYLE:
        raise refused("the greeting of a server that refuses no option properly", flags=flags)
    return int(flags)


def _tls_granted(stream: Stream) -> Generator[None, None, None]:
    magic, option, kind, length = _OPTION_REPLY.unpack((yield from stream.exact(_OPTION_REPLY.size)))
    if magic != OPTION_REPLY_MAGIC:
        raise refused("no answer where one to STARTTLS belongs", magic=f"{magic:#018x}")
    if option != Option.STARTTLS:
        raise refused("the answer to an option that nobody asked for", option=option)
    if length > MOST_OPTION_REPLY_BYTES:
        raise refused("an answer that is too long to be one", length=length)
    words = yield from stream.exact(length)
    if kind == OptionReply.ACK and not length:
        return
    if kind < OptionReply.ERR_UNSUP:
        raise refused("an answer that does not fit STARTTLS", reply=name_of(OptionReply, kind), length=length)
    raise FormatError(
        f"the NBD server refuses TLS: {name_of(OptionReply, kind)}" + (f" ({printable(words)})" if words else ""),
        code="NBD_TLS_REFUSED",
        evidence={"reply": name_of(OptionReply, kind), "words": printable(words)},
        remedy="Give the network of the pool the purpose nbd, which is NBD under TLS, in the place of insecure_nbd.",
    )


def _export(stream: Stream) -> Generator[None, None, Export]:
    size_bytes, flags = _EXPORT.unpack((yield from stream.exact(_EXPORT.size)))
    if size_bytes > MOST_SIZE_BYTES:
        raise refused("an export of an impossible size", size_bytes=size_bytes)
    if not flags & ExportFlag.HAS_FLAGS:
        raise refused("an export whose flags are none", flags=flags)
    return Export(size_bytes, bool(flags & ExportFlag.READ_ONLY))
