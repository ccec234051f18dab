"""Asking a source to shut down, by the policy of the request as far as that serves it."""

import asyncio

import msgspec

from xo_warmig.engine.work import Work
from xo_warmig.errors import PoolError
from xo_warmig.model.requests import ForceShutdown, ShutdownPolicy
from xo_warmig.replication.choosing import needs_clean_shutdown


async def shut_down(work: Work) -> bool:
    """Ask for the shutdown; imports that stand open are let go of when it drags on. True when it was clean."""
    asking = asyncio.ensure_future(_ask(work))
    timer = asyncio.ensure_future(work.clock.sleep(work.settings.held_import_seconds))
    try:
        await asyncio.wait({asking, timer}, return_when=asyncio.FIRST_COMPLETED)
        if not asking.done() and work.held:
            await work.drop_held()
            await work.journal.warn(
                "HELD_IMPORTS_DROPPED",
                "the shutdown takes long; the target's disks were let go of and will be attached again, which adds to the downtime",
            )
        return await asking
    finally:
        timer.cancel()
        asking.cancel()
        await asyncio.wait({asking, timer})


async def _ask(work: Work) -> bool:
    policy, asked = policy_of(work), work.state.request.shutdown
    try:
        return await work.source.shut_down(work.vm, policy)
    except PoolError as refusal:
        if policy != asked and refusal.code in ("SHUTDOWN_TIMEOUT", "SHUTDOWN_REFUSED"):
            refusal.remedy = (
                "shut it down from inside, or give it more time. It is not powered off, as the last changes of its disks could not be "
                "told then (R21), and it would have to be started again"
            )
        raise


def policy_of(work: Work) -> ShutdownPolicy:
    """Power is not cut where that would be in vain."""
    request, targets = work.state.request, work.state.target_disks
    based = [disk for disk in work.state.plan.vm.disks if disk.vdi in targets and targets[disk.vdi].base is not None]
    if needs_clean_shutdown(request.transport, based):
        return msgspec.structs.replace(request.shutdown, force=ForceShutdown.NEVER)
    return request.shutdown
