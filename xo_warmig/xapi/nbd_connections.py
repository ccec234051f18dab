"""Several NBD connections to one disk, opened side by side: the pool attaches the disk for each, which takes its time."""

import asyncio
import itertools
import logging
from collections.abc import Sequence

from xo_warmig.disks.nbd_reader import NbdReader
from xo_warmig.disks.threads import settled, start
from xo_warmig.errors import TransferError
from xo_warmig.xapi.nbd_opening import OPEN_SECONDS, NbdOpening, NbdPlace
from xo_warmig.xapi.streams import STALL_SECONDS
from xo_warmig.xapi.trust import Trust

log = logging.getLogger(__name__)


async def open_readers(
    places: Sequence[NbdPlace],
    count: int,
    trust: Trust,
    *,
    stall_seconds: float = STALL_SECONDS,
    open_seconds: float = OPEN_SECONDS,
) -> list[NbdReader]:
    """Up to ``count`` connections over all the places; fewer when some do not open, as a host takes no more than 16.

    Raises:
        TransferError: none opens. PoolError, FormatError: one shows a certificate that is not believed, or speaks no NBD, or no TLS;
            that it is one of many does not make it better.
        asyncio.CancelledError: all are closed.
    """
    if not places:
        raise TransferError(
            "the pool serves the disk nowhere over NBD",
            code="NBD_NOT_SERVED",
            remedy="Give a network that the pool's hosts have an address on the purpose nbd.",
        )
    openings = [
        NbdOpening(place, trust, stall_seconds=stall_seconds, open_seconds=open_seconds)
        for place in itertools.islice(itertools.cycle(places), count)
    ]
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
    return _opened(threads)


def _opened(threads: "Sequence[asyncio.Future[NbdReader]]") -> list[NbdReader]:
    failures = [error for thread in threads if (error := thread.exception()) is not None]
    lasting = [error for error in failures if not isinstance(error, TransferError)]
    if lasting or len(failures) == len(threads):
        _close(threads)
        raise (lasting or failures)[0]
    for failure in failures:
        log.warning("a disk is read over fewer connections: %s", failure)
    return [thread.result() for thread in threads if thread.exception() is None]


def _close(threads: "Sequence[asyncio.Future[NbdReader]]") -> None:
    for thread in threads:
        if thread.exception() is None:
            thread.result().close()
