"""Answering requests: strictly in order, data straight from the files of the disk's chain, holes as zeros."""

from xo_warmig.simulator.nbd import wire
from xo_warmig.simulator.nbd.requests import Requests
from xo_warmig.simulator.nbd.wire import Command, Errno
from xo_warmig.simulator.storage import BLOCK, Disk
from xo_warmig.simulator.transfer.wire import Outlet

SECTOR = 512
_PIECE = 512 * 1024  # xapi-nbd reads so much at a time, and what reaches beyond the end fails as a whole
_ZEROS = memoryview(bytes(BLOCK))


def answer_all(requests: Requests, disk: Disk, outlet: Outlet) -> str | None:
    """Until the client is done, or makes a mistake: an error is told, and then the connection ends.

    None when the client said that it was done, else what ended it. Raises OSError when the connection broke.
    """
    size_bytes = disk.size_bytes
    for request in requests:
        match request.command:
            case Command.DISC:
                return None
            case Command.READ if request.offset % SECTOR == 0 and request.length % SECTOR == 0:
                if not _read(request, disk, size_bytes, outlet):
                    return "EIO"
            case Command.WRITE:
                return _refuse(request, outlet, Errno.EPERM)
            case _:
                return _refuse(request, outlet, Errno.EINVAL)
    return "NO_DISC"


def _refuse(request: wire.Request, outlet: Outlet, error: Errno) -> str:
    outlet.announce(wire.reply(request.handle, error))
    return error.name


def _read(request: wire.Request, disk: Disk, size_bytes: int, outlet: Outlet) -> bool:
    """The header and the data. False when there is less than was asked for: the header has been sent by then, as it says."""
    outlet.announce(wire.reply(request.handle), more=request.length > 0)
    whole = request.offset + request.length <= size_bytes and request.length < 2**31
    offset, end = request.offset, request.offset + request.length
    if not whole:
        end = offset + max(0, size_bytes - offset) // _PIECE * _PIECE
    while offset < end:
        block, begin = divmod(offset, BLOCK)
        count = min(BLOCK - begin, end - offset)
        segment = disk.segment(block)
        if segment is None:
            outlet.send(_ZEROS[:count])
        else:
            outlet.send_file(segment[0], segment[1] + begin, count)
        offset += count
    return whole
