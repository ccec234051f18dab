"""Changed block tracking (CBT) of disks: turned on and off, and asked for what changed. Source: XAPI's VDI class since 7.3."""

import asyncio
import logging

from xo_warmig.errors import PoolError
from xo_warmig.formats.cbt import decode_text
from xo_warmig.xapi import objects
from xo_warmig.xapi.connection import Calls

log = logging.getLogger(__name__)


async def is_tracked(calls: Calls, vdi: str) -> bool:
    """Whether the pool keeps track of the disk's changes. A release without the field does not. Raises NoSuchObject."""
    _, record = await objects.record_of(calls, "VDI", vdi)
    return bool(record.get("cbt_enabled", False))


async def track(calls: Calls, vdi: str) -> None:
    """Have the pool keep track; on a disk that is tracked already nothing happens. May be done while the VM runs.

    Raises PoolError: the licence, the storage or the kind of disk does not allow it.
    """
    await calls.call("VDI.enable_cbt", await objects.ref_of(calls, "VDI", vdi))


async def untrack(calls: Calls, vdi: str) -> None:
    """Have it stop. A disk that is gone, or not tracked, is success."""
    ref = await objects.ref_or_none(calls, "VDI", vdi)
    if ref is None:
        return
    try:
        await calls.call("VDI.disable_cbt", ref)
    except PoolError as error:
        if error.code not in objects.GONE:
            raise


async def changed_blocks(calls: Calls, base: str, vdi: str, *, size_bytes: int) -> bytes:
    """What was written to ``vdi`` since its snapshot ``base``: a bitmap of 64 KiB blocks (see ``formats.cbt``).

    ``vdi`` must not be attached: a later snapshot, or the disk of a halted VM.

    Raises PoolError: one of the two is not tracked, or they are not related. FormatError: the answer is no bitmap of such a disk.
    """
    first, last = await objects.refs_of(calls, "VDI", base, vdi)
    text = await calls.call("VDI.list_changed_blocks", first, last)
    return await asyncio.to_thread(decode_text, text, size_bytes)  # 0.1 s for 6 TiB
