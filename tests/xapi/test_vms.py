"""Orders to single VMs, on a simulated pool."""

from collections.abc import Callable
from typing import Any

import pytest

from xo_warmig.errors import ForbiddenOperation, IncorrectState, NoSuchObject, PoolError
from xo_warmig.model.vm import Disk, PowerState, VmChanges
from xo_warmig.replication import preflight
from xo_warmig.xapi import holds as module
from xo_warmig.xapi import objects, removal, tasks
from xo_warmig.xapi.directory import Directory
from xo_warmig.xapi.door import DOOR
from xo_warmig.xapi.pool import Pool
from xo_warmig.xapi.vms import Vms


@pytest.fixture
def vms(directory: Directory) -> Vms:
    return Vms(directory)


async def test_a_vm_is_started_and_stopped(vms: Vms, source: Pool, vm_named: Callable[[str], str]) -> None:
    """On any host or on a given one, by asking its guest or not."""
    vm = vm_named("uefi")
    host = next(iter((await source.calls.call("host.get_all_records")).values()))["uuid"]
    for given in (None, host):
        await vms.start(vm, host=given)
        assert await source.power_state(vm) is PowerState.RUNNING
        await vms.stop(vm, force=given is not None)
        assert await source.power_state(vm) is PowerState.HALTED


async def test_what_blocks_a_start_is_taken_away_by_force(
    vms: Vms, source: Pool, vm_named: Callable[[str], str]
) -> None:
    """Without it the pool refuses."""
    vm = vm_named("uefi")
    await vms.change(vm, VmChanges(blocked_operations={"start": "why", "start_on": "why"}))
    with pytest.raises(PoolError) as refused:
        await vms.start(vm)
    assert refused.value.code == "OPERATION_BLOCKED"
    await vms.start(vm, force=True)
    assert await source.blocked_operations(vm) == {}
    await vms.stop(vm, force=True)


async def test_r1_what_a_live_migration_blocks_stays_blocked(
    vms: Vms, source: Pool, vm_named: Callable[[str], str]
) -> None:
    """Its door key says that there is one; what others block is theirs to change."""
    vm = vm_named("uefi")
    await source.claim_door(vm, f"m/1/x/{vm}", migration="m")
    ours = {"start": f"{module.OUR_MARK} m", "hard_reboot": f"{module.OUR_MARK} m"}
    await source.block_operations(vm, ours | {"destroy": "mine"})
    changes = [VmChanges(blocked_operations={operation: value}) for operation in ours for value in (None, "mine")]
    for order in (vms.start(vm, force=True), *(vms.change(vm, change) for change in changes)):
        with pytest.raises(ForbiddenOperation):
            await order
    await vms.change(vm, VmChanges(blocked_operations={"destroy": None}))
    assert await source.blocked_operations(vm) == ours
    await source.release_door(vm, migration="m")
    await vms.change(vm, VmChanges(blocked_operations=dict.fromkeys(ours)))
    assert await source.blocked_operations(vm) == {}


async def test_r1_a_copy_that_is_not_whole_is_not_started(
    vms: Vms, source: Pool, target: Pool, vm_named: Callable[[str], str]
) -> None:
    """Whatever force says."""
    planned = await source.read_vm(vm_named("web-1"))
    ours = {"start": f"{module.OUR_MARK} m", "start_on": f"{module.OUR_MARK} m"}
    made = await target.create_vm(planned, migration="m", epoch=1, blocked=ours)
    for order in (
        vms.start(made, force=True),
        vms.change(made, VmChanges(blocked_operations={"start": None, "start_on": None})),
    ):
        with pytest.raises(ForbiddenOperation):
            await order
    assert await target.power_state(made) is PowerState.HALTED


@pytest.fixture
async def clone(source: Pool, vm_named: Callable[[str], str]) -> str:
    """A halted VM that a test may do anything to."""
    ref = await tasks.run(source.calls, "VM.clone", await objects.ref_of(source.calls, "VM", vm_named("uefi")), "clone")
    return str(await source.calls.call("VM.get_uuid", ref))


async def test_a_vm_goes_through_its_power_states(vms: Vms, source: Pool, clone: str) -> None:
    """Started again it goes on from where it stood."""
    await vms.start(clone)
    for order, state in (
        (vms.pause, PowerState.PAUSED),
        (vms.unpause, PowerState.RUNNING),
        (vms.suspend, PowerState.SUSPENDED),
        (vms.resume, PowerState.RUNNING),
        (vms.restart, PowerState.RUNNING),
        (vms.suspend, PowerState.SUSPENDED),
        (vms.start, PowerState.RUNNING),
        (vms.pause, PowerState.PAUSED),
        (vms.start, PowerState.RUNNING),
    ):
        await order(clone)
        assert await source.power_state(clone) is state
    await vms.delete(clone)


async def test_what_blocks_a_stop_stands_aside_when_it_is_bypassed(vms: Vms, source: Pool, clone: str) -> None:
    """And is there again afterwards."""
    await vms.start(clone)
    blocked: dict[str, str | None] = {"hard_shutdown": "no", "hard_reboot": "no"}
    await vms.change(clone, VmChanges(blocked_operations=blocked))
    for order in (vms.stop, vms.restart):
        with pytest.raises(PoolError):
            await order(clone, force=True)
    await vms.restart(clone, force=True, bypass_blocked=True)
    await vms.stop(clone, force=True, bypass_blocked=True)
    assert await source.power_state(clone) is PowerState.HALTED
    assert await source.blocked_operations(clone) == blocked
    await vms.delete(clone)


async def test_a_guest_that_takes_too_long_loses_its_power(vms: Vms, source: Pool, clone: str) -> None:
    """When that was asked for."""
    await vms.start(clone)
    await vms.stop(clone, force_after_seconds=0.01)
    assert await source.power_state(clone) is PowerState.HALTED
    await vms.delete(clone)


async def test_a_stop_that_is_refused_does_not_cut_the_power(vms: Vms, source: Pool, clone: str) -> None:
    """Only a guest that takes too long loses it: somebody blocked the clean way for a reason."""
    await vms.start(clone)
    await vms.change(clone, VmChanges(blocked_operations={"clean_shutdown": "not now"}))
    with pytest.raises(PoolError, match="OPERATION_BLOCKED"):
        await vms.stop(clone, force_after_seconds=30)
    assert await source.power_state(clone) is PowerState.RUNNING
    await vms.stop(clone, force=True)
    await vms.delete(clone)


async def test_a_snapshot_is_taken(vms: Vms, source: Pool, clone: str) -> None:
    """With its names, and no template; without a name it has the VM's and the time."""
    ref = await objects.ref_of(source.calls, "VM", clone)
    made = await vms.snapshot(clone, name="before", description="the change", memory=True)
    _, record = await objects.record_of(source.calls, "VM", made)
    assert (record["name_label"], record["name_description"]) == ("before", "the change")
    assert (record["is_a_snapshot"], record["is_a_template"], record["snapshot_of"]) == (True, False, ref)
    _, other = await objects.record_of(source.calls, "VM", await vms.snapshot(clone))
    assert other["name_label"].startswith("clone_20")
    await vms.start(clone)
    _, living = await objects.record_of(source.calls, "VM", await vms.snapshot(clone, memory=True))
    assert living["power_state"] == PowerState.SUSPENDED
    await vms.delete(clone)


async def test_a_vm_is_deleted_with_all_that_is_its_own(
    vms: Vms, source: Pool, clone: str, vm_named: Callable[[str], str]
) -> None:
    """Its snapshots and disks too, although it runs; not a disk that another VM has as well."""
    shared, own = (disk.vdi for disk in [*(await source.read_vm(clone)).disks, *await _added(source, clone)][:2])
    snapshot = await vms.snapshot(clone)
    copies = [disk.vdi for disk in (await source.read_vm(snapshot)).disks]
    await _attach(source, shared, vm_named("web-1"))
    await vms.start(clone)
    await vms.delete(clone)
    gone = [("VM", clone), ("VM", snapshot), ("VDI", own), *(("VDI", copy) for copy in copies)]
    assert [await objects.ref_or_none(source.calls, cls, uuid) for cls, uuid in gone] == [None] * len(gone)
    assert await objects.ref_or_none(source.calls, "VDI", shared) is not None


async def test_a_disk_may_outlive_its_vm(vms: Vms, source: Pool, clone: str) -> None:
    """When that is asked for."""
    disks = [disk.vdi for disk in (await source.read_vm(clone)).disks]
    await vms.delete(clone, disks=False)
    assert await objects.ref_or_none(source.calls, "VM", clone) is None
    for disk in disks:
        await tasks.run(source.calls, "VDI.destroy", await objects.ref_of(source.calls, "VDI", disk))


async def test_a_protected_vm_is_deleted_by_force_only(vms: Vms, source: Pool, clone: str) -> None:
    """XO's two ways of protecting one: a blocked operation, and being a pool's own template."""
    await vms.change(clone, VmChanges(blocked_operations={"destroy": "true"}))
    with pytest.raises(ForbiddenOperation) as refused:
        await vms.delete(clone)
    assert refused.value.evidence["operation"] == "destroy is blocked: protected from accidental deletion"
    ref = await objects.ref_of(source.calls, "VM", clone)
    await source.calls.call("VM.set_is_a_template", ref, True)
    await source.calls.call("VM.add_to_other_config", ref, "default_template", "true")
    with pytest.raises(IncorrectState):
        await vms.delete(clone, bypass_blocked=True)
    await vms.delete(clone, bypass_blocked=True, even_default_template=True)
    assert await objects.ref_or_none(source.calls, "VM", clone) is None


async def test_r2_what_a_migration_has_is_neither_deleted_nor_snapshotted(vms: Vms, source: Pool, clone: str) -> None:
    """Whatever force says; a key that was copied from another VM holds nothing."""
    ref = await objects.ref_of(source.calls, "VM", clone)
    await source.calls.call("VM.add_to_other_config", ref, DOOR, "m/1/x/another-vm")
    await vms.snapshot(clone)
    await source.claim_door(clone, f"m/1/x/{clone}", migration="m")
    for order in (vms.snapshot(clone), vms.delete(clone, bypass_blocked=True)):
        with pytest.raises(ForbiddenOperation) as refused:
            await order
        assert refused.value.evidence["reason"] == "it is the source of a migration"
    await source.release_door(clone, migration="m")
    await vms.delete(clone)


async def test_r2_a_migration_that_comes_by_keeps_the_vm(
    vms: Vms, source: Pool, clone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is looked for once more, after everything that takes time."""
    look = removal._own_disks

    async def look_slowly(*arguments: Any) -> list[str]:
        await source.claim_door(clone, f"m/1/x/{clone}", migration="m")
        return await look(*arguments)

    monkeypatch.setattr(removal, "_own_disks", look_slowly)
    with pytest.raises(ForbiddenOperation):
        await vms.delete(clone)
    assert await objects.ref_or_none(source.calls, "VM", clone) is not None
    await source.release_door(clone, migration="m")
    monkeypatch.undo()
    await vms.delete(clone)


async def test_r8_a_copy_that_is_not_whole_is_not_deleted(
    vms: Vms, source: Pool, target: Pool, vm_named: Callable[[str], str]
) -> None:
    """It is the migration's, which may go on from it; free of its blocks it is a VM like any other."""
    planned = await source.read_vm(vm_named("web-1"))
    ours = {"start": f"{module.OUR_MARK} m"}
    made = await target.create_vm(planned, migration="m", epoch=1, blocked=ours)
    with pytest.raises(ForbiddenOperation):
        await vms.delete(made, bypass_blocked=True)
    await target.unblock_operations(made, await target.blocked_operations(made), {})
    await vms.delete(made)
    assert await objects.ref_or_none(target.calls, "VM", made) is None


async def test_a_control_domain_is_no_vm(vms: Vms, source: Pool) -> None:
    """Its host would go with it."""
    records = await source.calls.call("VM.get_all_records")
    domain = next(record["uuid"] for record in records.values() if record["is_control_domain"])
    for order in (vms.delete(domain), vms.stop(domain, force=True), vms.suspend(domain)):
        with pytest.raises(NoSuchObject):
            await order


async def test_what_is_given_is_changed(vms: Vms, source: Pool, vm_named: Callable[[str], str]) -> None:
    """And nothing else."""
    vm = vm_named("uefi")
    before = await source.read_vm(vm)
    await vms.change(vm, VmChanges(name_label="new", tags=["a"], auto_poweron=True))
    now = await source.read_vm(vm)
    assert (now.name_label, now.metadata["tags"], now.auto_poweron) == ("new", ["a"], True)
    assert now.metadata["name_description"] == before.metadata["name_description"]
    await vms.change(vm, VmChanges(name_label=before.name_label, tags=[], auto_poweron=False))
    assert "auto_poweron" not in (await source.read_vm(vm)).other_config
    with pytest.raises(NoSuchObject):
        await vms.stop("nothing")


async def _added(source: Pool, vm: str) -> list[Disk]:
    """A second disk, where the VM has one only."""
    disks = (await source.read_vm(vm)).disks
    record = await source.calls.call("VDI.get_record", await objects.ref_of(source.calls, "VDI", disks[0].vdi))
    new = {"SR": record["SR"], "virtual_size": str(1 << 20), "type": "user", "name_label": "more"}
    rest = {"sharable": False, "read_only": False, "other_config": {}, "name_description": ""}
    made = await tasks.run(source.calls, "VDI.create", {**new, **rest})
    uuid = str(await source.calls.call("VDI.get_uuid", made))
    await _attach(source, uuid, vm)
    return [disk for disk in (await source.read_vm(vm)).disks if disk.vdi == uuid]


async def _attach(source: Pool, vdi: str, vm: str) -> None:
    ref = await objects.ref_of(source.calls, "VM", vm)
    device = (await source.calls.call("VM.get_allowed_VBD_devices", ref))[0]
    vbd = {
        "VM": ref,
        "VDI": await objects.ref_of(source.calls, "VDI", vdi),
        "userdevice": device,
        "bootable": False,
        "mode": "RW",
        "type": "Disk",
        "empty": False,
        "other_config": {},
        "qos_algorithm_type": "",
        "qos_algorithm_params": {},
    }
    await tasks.run(source.calls, "VBD.create", vbd)


def test_the_door_is_the_one_that_migrations_have() -> None:
    """Which this layer does not import; nor does it the mark of our reasons."""
    assert (DOOR, module.OUR_MARK) == (preflight.DOOR, preflight.OUR_MARK)
