"""Labels on disks that are about to be copied: XAPI copies them along, so that a snapshot or clone made just before a crash is found.

``VDI.snapshot`` and ``VDI.clone`` take no tags. So a label is put on the disk first, ``<tag>/<random>/<time of the pool>``; what is
made of the disk then carries it until it gets tags of its own. A label is no proof (R11): users copy disks too. It makes a candidate,
and only a single one that nothing speaks against is taken.
"""

import asyncio
import calendar
import secrets
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from xo_warmig.errors import PoolError
from xo_warmig.xapi import failures, objects
from xo_warmig.xapi.connection import Calls

LABEL = "xo_warmig:snapshot"
_TIME_FORMAT = "%Y%m%dT%H:%M:%S"
_COPYING_SECONDS = 60.0
_COPYING_DISKS = frozenset({"snapshot", "clone", "copy"})
# Those that copy a VM's disks first, one after the other, and only then give the copies to a VM.
_COPYING_VMS = frozenset({"snapshot", "snapshot_with_quiesce", "checkpoint", "clone", "copy", "csvm"})


class Label(NamedTuple):
    """A label, read. ``written`` is the pool's own time, in seconds since the epoch."""

    tag: str
    written: float


def label_of(other_config: Mapping[str, str]) -> Label | None:
    """The label in an ``other_config``, a disk's own or one that was copied; None without one, or when it cannot be read."""
    parts = other_config.get(LABEL, "").rsplit("/", 2)
    if len(parts) != 3:
        return None
    try:
        return Label(parts[0], seconds_of(parts[2]))
    except ValueError:
        return None


def seconds_of(timestamp: Any) -> float:
    """A time as XAPI writes it, in seconds since the epoch. Raises ValueError."""
    return float(calendar.timegm(time.strptime(str(timestamp).replace("-", "").rstrip("Z"), _TIME_FORMAT)))


async def put_label(calls: Calls, vdi_ref: str, other_config: Mapping[str, str], tag: str) -> None:
    """Label a disk, whose ``other_config`` was just read; a label of ours from before gives way."""
    if LABEL in other_config:
        await remove_label(calls, vdi_ref)
    now = await _server_time(calls)
    await calls.call("VDI.add_to_other_config", vdi_ref, LABEL, f"{tag}/{secrets.token_hex(4)}/{now}")


async def remove_label(calls: Calls, vdi_ref: str) -> None:
    """A disk without a label does not mind."""
    await calls.call("VDI.remove_from_other_config", vdi_ref, LABEL)


async def wait_until_not_copied(calls: Calls, vdi_ref: str) -> None:
    """Wait for what copies a disk now: our own call of before the crash, or that of a user whose copy is not in its VM yet.

    Raises:
        PoolError: OTHER_OPERATION_IN_PROGRESS, after a minute.
    """
    deadline = time.monotonic() + _COPYING_SECONDS
    while (operation := await _copying(calls, vdi_ref)) is not None:
        if time.monotonic() > deadline:
            raise failures.from_details(
                ["OTHER_OPERATION_IN_PROGRESS", "VDI", vdi_ref, operation],
                call="VDI.snapshot",
                pool=getattr(calls, "pool_name", ""),
            )
        await asyncio.sleep(0.2)


async def _copying(calls: Calls, vdi_ref: str) -> str | None:
    record = await calls.call("VDI.get_record", vdi_ref)
    running = _COPYING_DISKS.intersection(record["current_operations"].values())
    for vbd in record["VBDs"]:
        try:
            vm = await calls.call("VM.get_record", await calls.call("VBD.get_VM", vbd))
        except PoolError as error:
            if error.code not in objects.GONE:  # unplugged and destroyed in between
                raise
            continue
        running |= _COPYING_VMS.intersection(vm["current_operations"].values())
    return min(running, default=None)


async def _server_time(calls: Calls) -> str:
    """The pool's own, as its snapshots are stamped with it."""
    pools = await calls.call("pool.get_all_records")
    master = next(iter(pools.values()))["master"]
    return str(await calls.call("host.get_servertime", master))
