"""The numbers of the NBD protocol that a reading client meets. Source: doc/proto.md of NetworkBlockDevice/nbd."""

from enum import IntEnum, IntFlag
from typing import Final

from xo_warmig.model.units import KIB, MIB

GREETING_MAGIC: Final = 0x4E42444D41474943  # NBDMAGIC
OPTION_MAGIC: Final = 0x49484156454F5054  # IHAVEOPT
OLDSTYLE_MAGIC: Final = 0x00420281861253  # in its place where a server negotiates nothing
OPTION_REPLY_MAGIC: Final = 0x0003E889045565A9
REQUEST_MAGIC: Final = 0x25609513
REPLY_MAGIC: Final = 0x67446698

SECTOR_BYTES: Final = 512  # xapi-nbd refuses what is no multiple
MOST_READ_BYTES: Final = 2 * MIB  # the protocol sets no limit; this is what Xen Orchestra asks for at most
MOST_NAME_BYTES: Final = 4 * KIB
MOST_OPTION_REPLY_BYTES: Final = 4 * KIB  # of words for people
RESERVED_BYTES: Final = 124  # zeros after the export's size and flags, unless NO_ZEROES was agreed on


class HandshakeFlag(IntFlag):
    """What either side of the negotiation can do."""

    FIXED_NEWSTYLE = 1
    NO_ZEROES = 2


class ExportFlag(IntFlag):
    """What an export is; those that matter to a reader."""

    HAS_FLAGS = 1
    READ_ONLY = 2


class Option(IntEnum):
    """What a client may ask for before it reads."""

    EXPORT_NAME = 1
    STARTTLS = 5


class OptionReply(IntEnum):
    """What a server answers to an option; all but ACK are refusals here."""

    ACK = 1
    ERR_UNSUP = 0x80000001
    ERR_POLICY = 0x80000002
    ERR_INVALID = 0x80000003
    ERR_PLATFORM = 0x80000004
    ERR_TLS_REQD = 0x80000005
    ERR_UNKNOWN = 0x80000006
    ERR_SHUTDOWN = 0x80000007
    ERR_BLOCK_SIZE_REQD = 0x80000008
    ERR_TOO_BIG = 0x80000009


class Command(IntEnum):
    """What a reader may ask of an export."""

    READ = 0
    DISC = 2


class NbdError(IntEnum):
    """Why a server could not do what a request asked for."""

    EPERM = 1
    EIO = 5
    ENOMEM = 12
    EINVAL = 22
    ENOSPC = 28
    EOVERFLOW = 75
    ENOTSUP = 95
    ESHUTDOWN = 108


def name_of(kind: type[IntEnum], number: int) -> str:
    """The protocol's name of a number, or the number itself."""
    try:
        return kind(number).name
    except ValueError:
        return f"{number:#x}"
