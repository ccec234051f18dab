"""The bytes of NBD as far as xapi-nbd speaks it: fixed newstyle negotiation, simple replies (lib/protocol.ml of the library nbd)."""

import struct
from enum import IntEnum
from typing import NamedTuple

FIXED_NEWSTYLE = 1
"""The one flag that either side offers: NO_ZEROES is not to be had."""

_IHAVEOPT = 0x49484156454F5054
_REPLY_MAGIC = 0x0003E889045565A9
_REQUEST_MAGIC = 0x25609513
_SIMPLE_REPLY_MAGIC = 0x67446698
_HAS_FLAGS, _READ_ONLY = 1, 2

GREETING = struct.pack(">8sQH", b"NBDMAGIC", _IHAVEOPT, FIXED_NEWSTYLE)
_OPTION = struct.Struct(">QII")
_OPTION_REPLY = struct.Struct(">QIII")
_EXPORT = struct.Struct(">QH124x")
_REQUEST = struct.Struct(">IHHQQI")
_REPLY = struct.Struct(">IIQ")

CLIENT_FLAGS_BYTES = 4
OPTION_BYTES = _OPTION.size
REQUEST_BYTES = _REQUEST.size


class Option(IntEnum):
    """Options that are known; every other one is answered as unsupported."""

    EXPORT_NAME = 1
    ABORT = 2
    LIST = 3
    STARTTLS = 5


class Answer(IntEnum):
    """What an option is answered with."""

    ACK = 1
    UNSUPPORTED = 2**31 + 1
    POLICY = 2**31 + 2
    INVALID = 2**31 + 3
    TLS_REQUIRED = 2**31 + 5


class Command(IntEnum):
    READ = 0
    WRITE = 1
    DISC = 2


class Errno(IntEnum):
    EPERM = 1
    EINVAL = 22


class BadMagic(Exception):
    """What the client sent does not begin as it must."""


class Request(NamedTuple):
    """``command`` may be any number; ``handle`` is the client's name for the request."""

    command: int
    handle: int
    offset: int
    length: int


def option_head(data: bytes) -> tuple[int, int]:
    """Number of an option, and how many bytes of it follow. BadMagic."""
    magic, number, length = _OPTION.unpack(data)
    if magic != _IHAVEOPT:
        raise BadMagic
    return number, length


def option_answer(option: int, answer: Answer) -> bytes:
    return _OPTION_REPLY.pack(_REPLY_MAGIC, option, answer, 0)


def export_answer(size_bytes: int) -> bytes:
    """After EXPORT_NAME: the disk is there, for reading."""
    return _EXPORT.pack(size_bytes, _HAS_FLAGS | _READ_ONLY)


def request(data: bytes) -> Request:
    """BadMagic."""
    magic, _flags, command, handle, offset, length = _REQUEST.unpack(data)
    if magic != _REQUEST_MAGIC:
        raise BadMagic
    return Request(command, handle, offset, length)


def reply(handle: int, error: int = 0) -> bytes:
    return _REPLY.pack(_SIMPLE_REPLY_MAGIC, error, handle)
