"""The target before the first byte: the VM, blocked, then its disks, drives and interfaces. Every step finds what it made before."""

from xo_warmig.engine.adoption import settle_earlier
from xo_warmig.engine.blocks import target_blocks
from xo_warmig.engine.door import claim_door
from xo_warmig.engine.work import Work
from xo_warmig.errors import PoolError, PoolUnreachable
from xo_warmig.model.events import (
    Effect,
    EffectFailed,
    EffectIntended,
    TargetDiskCreated,
    TargetPrepared,
    TargetVmCreated,
)
from xo_warmig.model.phases import Phase
from xo_warmig.model.vm import Disk
from xo_warmig.replication.addresses import with_addresses
from xo_warmig.replication.tasks import together, unbroken


async def prepare(work: Work) -> None:
    """Claim the source, then make all of the target that can be made ahead."""
    await work.journal.enter(Phase.PREPARING)
    await settle_earlier(work)
    if work.state.epoch == 0:
        await claim_door(work)
    await unbroken(make_vm(work))
    await together(*(unbroken(make_disk(work, disk)) for disk in work.state.plan.vm.disks))
    await unbroken(equip(work))
    running = work.state.source_was_running
    await work.journal.enter(Phase.COPYING if running else Phase.STOPPING)


async def make_vm(work: Work) -> None:
    """The target, without disks."""
    if work.state.target_vm is not None:
        return
    vm = work.state.plan.vm
    blocked = target_blocks(work.id)
    await work.journal.record(EffectIntended(effect=Effect.TARGET_VM, subject=vm.uuid, tag=work.id))
    create, made = work.target.create_vm, with_addresses(vm, work.state.plan.addresses)
    uuid = await work.patiently(lambda: create(made, migration=work.id, epoch=work.state.epoch, blocked=blocked))
    await work.journal.record(TargetVmCreated(vm=uuid, blocked=blocked))


async def make_disk(work: Work, disk: Disk) -> None:
    """An empty disk, where none was adopted."""
    if disk.vdi in work.state.target_disks:
        return
    sr = work.state.plan.srs[disk.vdi]
    await work.journal.record(EffectIntended(effect=Effect.TARGET_DISK, subject=disk.vdi, tag=work.id))
    try:
        create = work.target.create_disk
        vdi = await work.patiently(lambda: create(disk, sr=sr, migration=work.id, epoch=work.state.epoch))
    except PoolError as refusal:
        if not isinstance(refusal, PoolUnreachable):
            await work.journal.record(EffectFailed(effect=Effect.TARGET_DISK, subject=disk.vdi))
        raise
    await work.journal.record(TargetDiskCreated(disk=disk.vdi, vdi=vdi, sr=sr))


async def equip(work: Work) -> None:
    """VBDs, CD drives and VIFs, in the source's order."""
    if work.state.target_prepared:
        return
    await work.patiently(lambda: give_devices(work))
    await work.journal.record(TargetPrepared())


async def give_devices(work: Work) -> None:
    """All of them; each finds what an earlier try made."""
    plan = work.state.plan
    for disk in plan.vm.disks:
        await work.target.attach_disk(work.target_vm, work.state.target_disks[disk.vdi].vdi, disk)
    for drive in plan.vm.cd_drives:
        await work.target.create_cd_drive(work.target_vm, drive)
    for vif in with_addresses(plan.vm, plan.addresses).vifs:
        await work.target.create_vif(work.target_vm, vif, network=plan.networks[vif.uuid])
