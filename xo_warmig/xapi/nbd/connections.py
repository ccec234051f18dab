"""Several NBD connections to one disk, opened side by side: the pool attaches the disk for each, which takes its time."""

import asyncio
import logging
from collections.abc import Sequence

from xo_warmig.disks.nbd_reader import NbdReader
from xo_warmig.disks.threads import settled, start
from xo_warmig.errors import TransferError
from xo_warmig.xapi.nbd.opening import OPEN_SECONDS, NbdOpening, NbdPlace
from xo_warmig.xapi.streams import STALL_SECONDS
from xo_warmig.xapi.trust import Trust

log = logging.getLogger(__name__)


Opened = tuple[NbdPlace, NbdReader]


async def open_readers(
    places: Sequence[NbdPlace],
    trust: Trust,
    *,
    stall_seconds: float = STALL_SECONDS,
    open_seconds: float = OPEN_SECONDS,
) -> list[Opened]:
    """A connection to each of the places; fewer when some do not open, as a host takes no more than 16.

    Raises:
        TransferError: none opens. PoolError, FormatError: one shows a certificate that is not believed, or speaks no NBD, or no TLS;
            that it is one of many does not make it better.
        asyncio.CancelledError: all are closed.
    """
    openings = [NbdOpening(place, trust, stall_seconds=stall_seconds, open_seconds=open_seconds) for place in places]
    threads = [start("nbd-open", opening.open) for opening in openings]
    try:
        await asyncio.wait(threads)
    except asyncio.CancelledError:
        for opening in openings:
            opening.stop()
        try:
            await settled(*threads)
        finally:
            _close(threads)
        raise
    return _opened(places, threads)


def _opened(places: Sequence[NbdPlace], threads: "Sequence[asyncio.Future[NbdReader]]") -> list[Opened]:
    failures = [error for thread in threads if (error := thread.exception()) is not None]
    lasting = [error for error in failures if not isinstance(error, TransferError)]
    if lasting or len(failures) == len(threads):
        _close(threads)
        raise (lasting or failures)[0]
    for failure in failures:
        log.warning("a disk is read over fewer connections: %s", failure)
    return [(place, thread.result()) for place, thread in zip(places, threads, strict=True) if not thread.exception()]


def _close(threads: "Sequence[asyncio.Future[NbdReader]]") -> None:
    for thread in threads:
        if thread.exception() is None:
            thread.result().close()
