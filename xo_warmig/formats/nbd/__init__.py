"""NBD, the reading client's side: how to come to an export, and how to read from it.

What the protocol leaves open is as xapi-nbd needs it; these are the names that others use. Nothing here sends, waits or encrypts.
"""

from xo_warmig.formats.nbd.handshake import Export, Handshake, Stage, Step
from xo_warmig.formats.nbd.numbers import MOST_READ_BYTES, SECTOR_BYTES
from xo_warmig.formats.nbd.transmission import DISCONNECT, REPLY_BYTES, Reads

__all__ = [
    "DISCONNECT",
    "MOST_READ_BYTES",
    "REPLY_BYTES",
    "SECTOR_BYTES",
    "Export",
    "Handshake",
    "Reads",
    "Stage",
    "Step",
]
