"""Seeing that no control domain holds a disk any more, and taking it away where a restarted toolstack left it (R10, R16)."""

import logging

from xo_warmig.engine.work import Work
from xo_warmig.errors import PoolError, PoolUnreachable, WarmigError
from xo_warmig.replication.ports import Pool

log = logging.getLogger("xo_warmig.engine")


async def see_detached(work: Work, pool: Pool, vdis: list[str]) -> None:
    """R10: no control domain holds these disks any more. One that does not let go is told of, as is a pool that stays away."""
    try:
        held = await work.for_a_while(lambda: still_held(work, pool, vdis))
        why = f"a control domain of pool {pool.name} still holds a disk of the migration"
    except WarmigError as failure:
        held, why = (
            vdis,
            f"whether a control domain of pool {pool.name} holds a disk of the migration was not seen: {failure}",
        )
    if held:
        await work.journal.warn(
            "DISK_STILL_ATTACHED", why, rule="R10", disks=held, remedy="unplug and destroy its VBD there"
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
    for seconds in (times.left_behind_seconds, max(0.0, times.detach_seconds - times.left_behind_seconds)):
        if await work.until(free, seconds=seconds, poll_seconds=times.detach_poll_seconds):
            return []
        await ask_to_let_go(work, pool, list(held))
    return [] if await free() else held


async def ask_to_let_go(work: Work, pool: Pool, vdis: list[str]) -> None:
    """Have control domains detach these disks, where nobody uses them. Raises PoolUnreachable."""
    for vdi in vdis:
        try:
            await work.tried(lambda vdi=vdi: pool.release_disk(vdi))  # type: ignore[misc]
        except PoolUnreachable:
            raise
        except PoolError as refusal:
            log.warning("migration %s: disk %s is still held: %s", work.id, vdi, refusal)
