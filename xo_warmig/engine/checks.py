"""Looks at both sides before something depends on them. Each raises SafetyError naming its rule, and changes nothing."""

from collections.abc import Collection, Mapping

from xo_warmig.engine.blocks import demand_blocks
from xo_warmig.engine.detaching import still_held
from xo_warmig.engine.work import Work
from xo_warmig.errors import SafetyError
from xo_warmig.model.phases import WaitingFor
from xo_warmig.model.units import format_seconds
from xo_warmig.model.vm import Attachment, Look, PowerState, Vm
from xo_warmig.replication.preflight import DOOR, MOST_CHAIN_DEPTH, lack_of_space, snapshot_bytes
from xo_warmig.replication.preflight.disks import MOST_UNMERGED

DOOR_LOST = "DOOR_LOST"
# Our passes add a level each; SM refuses at 30.
_LAST_CHAIN_DEPTH = MOST_CHAIN_DEPTH + 3


async def running_source(work: Work) -> Vm:
    """The source, seen Running with the disks of the plan."""
    vm = await work.source.read_vm(work.vm)
    demand_door(work, vm.other_config)
    demand_same_disks(work, {disk.vdi: disk.virtual_size_bytes for disk in vm.disks})
    if vm.power_state is not PowerState.RUNNING:
        raise SafetyError(
            f"the source VM became {vm.power_state} without our asking",
            code="SOURCE_HALTED_UNASKED",
            evidence={"rule": "R7", "vm": vm.uuid, "actual": str(vm.power_state), "expected": str(PowerState.RUNNING)},
            remedy="start it, or migrate it halted",
        )
    return vm


async def halted_source(work: Work) -> Look:
    """The source, seen Halted with the disks of the plan and nobody writing to them (R3)."""
    seen: list[Look] = []

    async def free() -> bool:
        seen[:] = [await _halted(work)]
        return not _writers(seen[0])

    times = work.settings
    if not await work.until(free, seconds=times.detach_seconds, poll_seconds=times.detach_poll_seconds):
        raise SafetyError(
            "a disk of the halted source VM is attached for writing",
            code="SOURCE_DISK_ATTACHED",
            evidence={"rule": "R3", "disks": sorted({each.vdi for each in _writers(seen[0])})},
            remedy="find out what holds it",
        )
    return seen[0]


async def _halted(work: Work) -> Look:
    vm = await work.source.look(work.vm, [disk.vdi for disk in work.state.plan.vm.disks])
    demand_door(work, vm.other_config)
    if vm.power_state is not PowerState.HALTED:
        raise SafetyError(
            f"the source VM is {vm.power_state} where it must be halted",
            code="SOURCE_NOT_HALTED",
            evidence={"rule": "R3", "vm": vm.uuid, "actual": str(vm.power_state), "expected": str(PowerState.HALTED)},
        )
    demand_same_disks(work, vm.disks)
    return vm


def _writers(vm: Look) -> list[Attachment]:
    return [each for each in vm.attachments if each.plugged and each.mode != "RO"]


def demand_same_disks(work: Work, found: Mapping[str, int]) -> None:
    """R14: the set and the sizes of the disks are those of the plan. ``found``: sizes in bytes by uuid."""
    planned = {disk.vdi: disk.virtual_size_bytes for disk in work.state.plan.vm.disks}
    if planned == found:
        return
    raise SafetyError(
        "the disks of the source VM changed since the migration was planned",
        code="DISKS_CHANGED",
        evidence={
            "rule": "R14",
            "vm": work.vm,
            "added": sorted(found.keys() - planned.keys()),
            "removed": sorted(planned.keys() - found.keys()),
            "resized": sorted(vdi for vdi in found.keys() & planned.keys() if found[vdi] != planned[vdi]),
        },
        remedy="start the migration again",
    )


async def source_blocked(work: Work) -> None:
    """R1: our blocks stand on the source."""
    demand_source_blocks(work, await work.source.blocked_operations(work.vm))


def demand_source_blocks(work: Work, found: Mapping[str, str]) -> None:
    """The same of what was read already."""
    blocking = work.state.blocking
    demand_blocks(blocking.operations if blocking is not None else {"start": ""}, found, side="source", vm=work.vm)


def demand_door(work: Work, other_config: Mapping[str, str]) -> None:
    """R16: our key is on the source, so no other server drives it."""
    key, found = work.state.door_key, other_config.get(DOOR)
    if key is not None and found != key:
        raise SafetyError(
            "the door key on the source VM is not ours any more; another server may drive it",
            code=DOOR_LOST,
            evidence={"rule": "R16", "vm": work.vm, "expected": key, "actual": found},
            remedy="find out which server took the VM; nothing more is done to either side by this migration",
        )


async def target_untouched(work: Work) -> None:
    """R1, R17: the target is halted and blocked as we left it, and nobody but it and our own imports has a VBD on its disks."""
    held = {work.state.target_disks[disk].vdi for disk in work.held}
    others = await _others_on_target(work, held)
    if any(each.plugged for each in others):
        vdis = [disk.vdi for disk in work.state.target_disks.values()]
        await still_held(work, work.target, [vdi for vdi in vdis if vdi not in held])
        others = await _others_on_target(work, held)
    if any(each.plugged or not each.is_control_domain for each in others):
        raise _touched(work, "has a disk that something else uses", disks=sorted({each.vdi for each in others}))


async def _others_on_target(work: Work, held: Collection[str]) -> list[Attachment]:
    """Who has VBDs on the disks of a target that is halted and blocked, but it and the imports into those that are ``held``."""
    vm = await work.target.look(work.target_vm, [disk.vdi for disk in work.state.target_disks.values()])
    if vm.power_state is not PowerState.HALTED:
        raise _touched(work, f"is {vm.power_state}", actual=str(vm.power_state))
    demand_blocks(work.state.target_blocked, vm.blocked_operations, side="target", vm=work.target_vm)
    return [each for each in vm.attachments if _is_foreign(each, work.target_vm, each.vdi in held)]


def _is_foreign(each: Attachment, target_vm: str, held: bool) -> bool:
    if each.is_control_domain:
        return each.plugged and not held
    return each.vm != target_vm or each.plugged


def _touched(work: Work, how: str, **evidence: object) -> SafetyError:
    return SafetyError(
        f"the target VM {how}; somebody else uses it",
        code="TARGET_TOUCHED",
        evidence={"rule": "R17", "vm": work.target_vm, **evidence},
        remedy="start the migration again: it makes new disks",
    )


async def with_coalesced_disks(work: Work) -> Vm:
    """R19: the running source, once its storage is not behind with merging what earlier snapshots left; told where it stays behind."""
    found: list[Vm] = []

    async def merged() -> bool:
        found[:] = [await work.patiently(lambda: running_source(work))]
        behind = [disk for disk in found[0].disks if disk.unmerged > MOST_UNMERGED]
        if behind:
            await work.journal.wait_for(
                WaitingFor.STORAGE,
                f"{behind[0].unmerged} images of disk {behind[0].name_label!r} are to be coalesced first",
            )
        return not behind

    times = work.settings
    if not await work.until(merged, seconds=times.coalesce_seconds, poll_seconds=times.coalesce_poll_seconds):
        await work.journal.warn(
            "COALESCING_BEHIND",
            f"the storage did not coalesce in {format_seconds(times.coalesce_seconds)}; another snapshot is taken all the same",
            rule="R19",
            remedy="look whether the storage has space to coalesce, and whether its garbage collector is switched off",
        )
    await work.journal.wait_for(WaitingFor.NOTHING)
    return found[0]


async def room_for_snapshots(work: Work, vm: Vm) -> None:
    """R19: free space on the source's SRs and the depth of the chains allow another snapshot of each disk."""
    deep = [disk for disk in vm.disks if disk.chain_depth > _LAST_CHAIN_DEPTH]
    if deep:
        raise SafetyError(
            f"disk {deep[0].name_label!r} has a snapshot chain of {deep[0].chain_depth}: no more snapshots are taken",
            code="CHAIN_TOO_LONG",
            evidence={"rule": "R19", "disks": [disk.vdi for disk in deep], "actual": deep[0].chain_depth},
            remedy="wait until the storage has coalesced",
        )
    for uuid in sorted({disk.sr for disk in vm.disks}):
        sr = await work.source.read_sr(uuid)
        lack = lack_of_space(sr, snapshot_bytes(sr, [disk for disk in vm.disks if disk.sr == uuid]))
        if lack is not None:
            lack.evidence["rule"] = "R19"
            raise lack
