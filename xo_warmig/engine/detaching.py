"""Seeing that no control domain holds a disk any more, and taking it away where a restarted toolstack left it (R10, R16)."""

import logging

from xo_warmig.engine.work import Work
from xo_warmig.errors import PoolError, PoolUnreachable, WarmigError
from xo_warmig.replication.ports import Pool

log = logging.getLogger("xo_warmig.engine")


async def see_detached(work: Work, pool: Pool, vdis: list[str]) -> None:
    """R10: no control domain holds these disks any more. One that does not let go is told of."""
    try:
        held = await still_held(work, pool, vdis)
    except WarmigError as failure:
        log.info("migration %s: detachment was not seen on pool %s: %s", work.id, pool.name, failure)
        return
    if held:
        await work.journal.warn(
            "DISK_STILL_ATTACHED",
            f"a control domain of pool {pool.name} still holds a disk of the migration",
            rule="R10",
            disks=held,
            remedy="unplug and destroy its VBD there",
        )


async def still_held(work: Work, pool: Pool, vdis: list[str]) -> list[str]:
    """Those that a control domain still holds after a while, and does not let go of when it is asked to.

    Closed connections let go by themselves, soon. What a restarted toolstack left behind has to be unplugged; a disk that is really
    in use is not, as the pool refuses that.
    """
    held: list[str] = []

    async def free() -> bool:
        used = await pool.attachments(vdis)
        held[:] = sorted({each.vdi for each in used if each.plugged and each.is_control_domain})
        return not held

    times = work.settings
    if await work.until(free, seconds=times.detach_seconds, poll_seconds=times.detach_poll_seconds):
        return []
    for vdi in list(held):
        try:
            await pool.release_disk(vdi)
        except PoolUnreachable:
            raise
        except PoolError as refusal:
            log.warning("migration %s: disk %s is still held: %s", work.id, vdi, refusal)
    return [] if await free() else held
