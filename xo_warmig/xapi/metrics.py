"""Reading what a VM's host measured of it. A plan does without where the host does not tell; it never fails of it."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Mapping
from typing import Final

from xo_warmig.errors import TransferError, WarmigError
from xo_warmig.model.vm import PowerState
from xo_warmig.xapi import objects, rrd_updates
from xo_warmig.xapi.address import Address
from xo_warmig.xapi.connection import Connection
from xo_warmig.xapi.labels import seconds_of
from xo_warmig.xapi.opening import Opening

# The finest averages that rrdd keeps go back so far, 5 seconds each; a little less is asked for, as it drops the oldest meanwhile.
_SINCE_SECONDS: Final = 590
_MOST_SECONDS: Final = 5.0
_MOST_BYTES: Final = 4 << 20
_PIECE_BYTES: Final = 64 * 1024

log = logging.getLogger(__name__)


async def written_bytes_per_second(connection: Connection, vm: str) -> float | None:
    """What a running VM wrote to its disks in the last ten minutes, by its host's rrdd; None where that tells nothing in time."""
    try:
        async with asyncio.timeout(_MOST_SECONDS):
            return await _read(connection, vm)
    except (WarmigError, OSError, ValueError) as error:  # TimeoutError is an OSError
        log.debug("how fast VM %s writes is not known: %s", vm, str(error) or type(error).__name__)
        return None


async def _read(connection: Connection, vm: str) -> float | None:
    _, record = await objects.record_of(connection, "VM", vm)
    if record["power_state"] != PowerState.RUNNING:
        return None
    ref = record["resident_on"]
    host, now = await asyncio.gather(
        connection.call("host.get_record", ref), connection.call("host.get_servertime", ref)
    )
    address = connection.address_of({**host, "ref": ref})
    query = {
        "session_id": connection.session,
        "start": str(int(seconds_of(now)) - _SINCE_SECONDS),
        "cf": "AVERAGE",
        "vm_uuid": vm,
    }
    document = await _fetched(connection, address, query)
    return rrd_updates.written_bytes_per_second(document, vm)


async def _fetched(connection: Connection, address: Address, query: Mapping[str, str]) -> bytes:
    """Off the event loop; the thread closes what it opened, whether or not anybody waits for it still."""
    opening = Opening("GET", "/rrd_updates", query, connection.trust, stall_seconds=_MOST_SECONDS)
    try:
        answer: bytes = await connection.beside(_fetch, opening, address)
    except asyncio.CancelledError:
        opening.stop()
        raise
    return answer


def _fetch(opening: Opening, address: Address) -> bytes:
    """The body of the answer. Raises OSError, TransferError."""
    deadline = time.monotonic() + _MOST_SECONDS
    opened = opening.open([address])
    with contextlib.closing(opened.sock) as sock:
        body = bytearray(opened.first)
        while not rrd_updates.is_complete(body) and len(body) <= _MOST_BYTES and time.monotonic() < deadline:
            if not (piece := sock.recv(_PIECE_BYTES)):
                break
            body += piece
    if len(body) > _MOST_BYTES or not rrd_updates.is_complete(body):
        raise TransferError(f"the answer is too large, or has no end, after {len(body)} bytes")
    return bytes(body)
