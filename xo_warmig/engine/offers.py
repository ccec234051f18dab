"""What the source's pool offers for reading each disk, and which way is taken because of it (R12, R21)."""

import logging
from collections.abc import Mapping

from xo_warmig.engine.work import Work
from xo_warmig.errors import PoolError, PoolUnreachable
from xo_warmig.model.passes import PassKind, Way
from xo_warmig.model.requests import Transport
from xo_warmig.model.vm import Life
from xo_warmig.replication.choosing import Chosen, Offer, by_blocks_only, choose_way
from xo_warmig.replication.exports import exports_of_disk
from xo_warmig.replication.measured import rates_of
from xo_warmig.replication.tasks import together

log = logging.getLogger("xo_warmig.engine")

_BASE_UNTRACKED = "the log does not lead back to the base"


async def choose_ways(work: Work, read: Mapping[str, str], life: Life | None) -> dict[str, Chosen]:
    """How each disk is read in the pass that begins. A way worse than the one before is told.

    Args:
        read: what is read for each source disk, its new snapshot.
        life: in which all of these were taken; None where that is not known.
    """
    disks = list(read)
    offers = await together(*(offer_of(work, disk, read[disk]) for disk in disks))
    believed = {
        disk: Offer(offer.nbd, offer.cbt or against_base(work, disk, life))
        for disk, offer in zip(disks, offers, strict=True)
    }
    return await chosen_of(work, believed)


def copied_whole(work: Work, chosen: Mapping[str, Chosen]) -> dict[str, str]:
    """The disks that have a base and will be copied whole all the same, as nothing lists what changed since; and why."""
    targets = work.state.target_disks
    return {
        disk: each.reason
        for disk, each in chosen.items()
        if each.whole and disk in targets and targets[disk].base is not None
    }


async def without_delta(work: Work) -> dict[str, str]:
    """The same of the final pass, as far as can be told while the source runs: these would be read whole in the downtime."""
    transport = work.state.request.transport
    only = [disk.vdi for disk in work.state.plan.vm.disks if by_blocks_only(transport, exports_of_disk(disk))]
    if not only:
        return {}
    life = await life_now(work)
    offers = {disk: work.final_offers[disk] for disk in only}
    return copied_whole(
        work,
        await chosen_of(
            work, {d: Offer(each.nbd, each.cbt or against_base(work, d, life)) for d, each in offers.items()}
        ),
    )


async def look_at_final_offers(work: Work) -> None:
    """Ask for the final pass while the source runs, so that it costs no downtime."""
    disks = [disk.vdi for disk in work.state.plan.vm.disks]
    offers = await together(*(offer_of(work, disk, disk) for disk in disks))
    work.final_offers = dict(zip(disks, offers, strict=True))


async def choose_final_ways(work: Work) -> dict[str, Chosen]:
    """The same for the halted disks themselves, by what was asked before."""
    against = await against_log(work)
    no_delta = {disk.vdi for disk in work.state.plan.vm.disks if exports_of_disk(disk).delta}
    if not work.final_offers:
        if against and not work.state.base_missing and not no_delta:  # exports in any case: nothing is asked
            work.final_offers = {disk.vdi: Offer() for disk in work.state.plan.vm.disks}
        else:
            await look_at_final_offers(work)
    offers = {
        # Where no export can stand in, what broke is tried again: that is better than to give the cutover up.
        disk: Offer(each.nbd or ("" if disk in no_delta else _broke(work, disk)), each.cbt or against)
        for disk, each in work.final_offers.items()
    }
    return await chosen_of(work, offers)


async def offer_of(work: Work, disk: str, read_vdi: str) -> Offer:
    """By asking."""
    if work.state.request.transport is Transport.VHD:
        return Offer()
    nbd = await work.patiently(lambda: work.source.against_blocks(read_vdi))
    target = work.state.target_disks.get(disk)
    if nbd or target is None or target.base is None:
        return Offer(nbd=nbd)
    base = target.base
    tracked = [await work.patiently(lambda vdi=vdi: work.source.is_tracked(vdi)) for vdi in (base, read_vdi)]  # type: ignore[misc]
    return Offer(nbd=nbd, cbt="" if all(tracked) else _BASE_UNTRACKED)


async def life_now(work: Work) -> Life | None:
    """Since when the source and its host run; None where nothing depends on it, or it cannot be told."""
    if work.state.request.transport is Transport.VHD:
        return None
    try:
        return await work.patiently(lambda: work.source.life_of(work.vm))
    except PoolUnreachable:
        raise
    except PoolError as refusal:
        log.info("migration %s: since when the source runs cannot be told: %s", work.id, refusal)
        return None


def against_base(work: Work, disk: str, life: Life | None) -> str:
    """R21: what speaks against believing the log from the disk's base on to the VM in this life, in words.

    After a crash of its host the log lacks what was fresh in it, and a snapshot of the disk before its next start makes it look whole.
    """
    target = work.state.target_disks.get(disk)
    if target is None or target.base is None:
        return ""
    known = work.state.snapshots.get(target.base)
    if life is None or known is None or known.life is None:
        return "since when the VM and its host run is not known"
    return "" if known.life == life else "the VM, or its host, was started anew since the base"


async def against_log(work: Work) -> str:
    """R21: what speaks against believing the pool's log up to a halted disk, in words; "" when nothing does."""
    bases = [target.base for target in work.state.target_disks.values()]
    if work.state.request.transport is Transport.VHD or not any(bases):
        return ""
    if work.shut_down_in is None:
        return "the VM was not seen to shut down cleanly as we had asked"
    life: Life = work.shut_down_in
    for disk in work.state.target_disks:
        if why := against_base(work, disk, life):
            return why
    try:
        if not await work.briefly(lambda: work.source.host_lives(life)):
            return "the VM's host went down since the base"
    except PoolUnreachable:
        raise
    except PoolError as refusal:
        return f"the VM's host cannot be asked: {refusal}"
    return ""


async def chosen_of(work: Work, offers: Mapping[str, Offer]) -> dict[str, Chosen]:
    """The ways, with a warning for each disk that was read in a better one before."""
    chosen, rates = {}, rates_of(work.state.passes, work.earlier_passes)
    exports = {disk.vdi: exports_of_disk(disk) for disk in work.state.plan.vm.disks}
    for disk, offer in offers.items():
        target = work.state.target_disks.get(disk)
        full = target is None or target.base is None
        transport = work.state.request.transport
        chosen[disk] = choose_way(full=full, transport=transport, offer=offer, exports=exports[disk], rates=rates)
        if chosen[disk].way is Way.VHD and _was_read_over_nbd(work, disk):
            await work.journal.warn(
                "WAY_CHANGED", f"disk {disk} is read from a VHD export from here on: {chosen[disk].reason}", disk=disk
            )
    return chosen


def _broke(work: Work, disk: str) -> str:
    """Where a final pass broke at the source, the next one does not try the same again."""
    for report in work.state.passes:
        for each in report.disks:
            evidence = (each.error or {}).get("evidence")
            of_target = isinstance(evidence, dict) and evidence.get("side") == "target"
            if report.kind is PassKind.FINAL and each.disk == disk and each.error is not None and not of_target:
                return "it broke in the pass before"
    return ""


def _was_read_over_nbd(work: Work, disk: str) -> bool:
    """In the last pass, to its end."""
    plan = work.state.pass_plan
    if plan is None or not work.state.passes:
        return False
    planned = any(each.disk == disk and each.way is not Way.VHD for each in plan.disks)
    notes = [note.code for report in work.state.passes[-1].disks if report.disk == disk for note in report.notes]
    return planned and "WAY_CHANGED" not in notes
