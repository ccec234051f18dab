"""A pool against the simulator, on the real wire: everything that a migration asks of its two sides."""

import asyncio
import random
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from tests.disks.memory import admitted
from xo_warmig.disks.copy import copy_vhd
from xo_warmig.disks.meter import Meter
from xo_warmig.disks.order import CopyOrder
from xo_warmig.disks.sent import SentLog
from xo_warmig.disks.streams import ByteSink
from xo_warmig.errors import ForbiddenOperation, NoSuchObject, PoolError
from xo_warmig.model.passes import Mark
from xo_warmig.model.requests import ForceShutdown, ShutdownPolicy
from xo_warmig.model.vm import Disk, PowerState, Vm
from xo_warmig.replication.ports import Pools, SourcePool, TargetPool
from xo_warmig.simulator.launch import Site
from xo_warmig.xapi import labels
from xo_warmig.xapi.directory import Directory
from xo_warmig.xapi.pool import Pool

Named = Callable[[str], str]
BLOCKED = {"start": "xo_warmig: under way", "start_on": "xo_warmig: under way", "destroy": "xo_warmig: under way"}


class OneSink(NamedTuple):
    """A copy in one slice."""

    sink: ByteSink

    async def first(self, blocks: bytes) -> ByteSink:
        return self.sink

    async def next(self) -> ByteSink:
        raise AssertionError("one slice was ordered")


async def transfer(source: Pool, target: Pool, disk: Disk, read_vdi: str, base: str | None, target_vdi: str) -> None:
    exported = await source.open_export(read_vdi, base=base)
    imported = await target.open_import(target_vdi)
    with admitted() as admission:
        await copy_vhd(
            exported.stream,
            OneSink(imported.stream),
            CopyOrder(disk.virtual_size_bytes, differencing=base is not None, skip_zeros=base is None),
            sent=SentLog(Mark()),
            meter=Meter(),
            admission=admission,
        )
    await asyncio.gather(exported.finish(), imported.finish())


async def make_target(target: Pool, vm: Vm, sr: str, migration: str) -> tuple[str, dict[str, str]]:
    made = await target.create_vm(vm, migration=migration, epoch=1, blocked=BLOCKED)
    disks = {disk.vdi: await target.create_disk(disk, sr=sr, migration=migration, epoch=1) for disk in vm.disks}
    for disk in vm.disks:
        await target.attach_disk(made, disks[disk.vdi], disk)
    for drive in vm.cd_drives:
        await target.create_cd_drive(made, drive)
    network = (await target.networks())[0].uuid
    for vif in vm.vifs:
        await target.create_vif(made, vif, network=network)
    return made, disks


def hashes(state: Any, vdis: list[str]) -> list[str]:
    found = {vdi["uuid"]: vdi["hash"] for vdi in state["vdis"]}
    return [found[vdi] for vdi in vdis]


async def test_a_vm_moves_whole(
    site: Site, directory: Directory, source: Pool, target: Pool, ask: Any, eventually: Any, vm_named: Named
) -> None:
    """A full pass, writes, a final pass from the halted disks, and the target boots with equal disks."""
    vm = await source.read_vm(vm_named("web-1"))
    sr = site.pools[1].srs[0].uuid
    made, disks = await make_target(target, vm, sr, "move")
    bases = {disk.vdi: await source.snapshot_disk(disk.vdi, tag="move/1", epoch=1) for disk in vm.disks}
    await asyncio.gather(*(transfer(source, target, disk, bases[disk.vdi], None, disks[disk.vdi]) for disk in vm.disks))
    assert ask(site.pools[0], "guest", vm=vm.uuid, write=3 << 20)["written"] > 0
    assert await source.block_operations(vm.uuid, BLOCKED) == {}
    assert await source.shut_down(vm.uuid, ShutdownPolicy()) is True
    assert await source.power_state(vm.uuid) is PowerState.HALTED
    assert not any(each.plugged for each in await source.attachments([disk.vdi for disk in vm.disks]))
    await asyncio.gather(
        *(transfer(source, target, disk, disk.vdi, bases[disk.vdi], disks[disk.vdi]) for disk in vm.disks)
    )
    source_hashes = hashes(ask(site.pools[0], "state?hash=1"), [disk.vdi for disk in vm.disks])
    assert hashes(ask(site.pools[1], "state?hash=1"), list(disks.values())) == source_hashes
    await target.apply_volatile_state(made, (await source.read_again(vm))[1])
    await target.unblock_operations(made, BLOCKED, {})
    await target.start_vm(made)
    assert await target.power_state(made) is PowerState.RUNNING
    await eventually(lambda: target.is_booted(made, expect_tools=True))
    with pytest.raises(PoolError) as caught:
        await target.start_vm(made)
    assert caught.value.code == "VM_BAD_POWER_STATE"
    for base in bases.values():
        await source.destroy_disk(base)
    await source.destroy_vm(vm.uuid, [disk.vdi for disk in vm.disks])
    left = {vdi["uuid"] for vdi in ask(site.pools[0], "state")["vdis"] if vdi["managed"]}
    assert not left & {*bases.values(), *disks}


async def test_a_target_is_as_its_source(site: Site, source: Pool, target: Pool, vm_named: Named) -> None:
    """Read back by the same eyes, all but what names pool and object."""
    vm = await source.read_vm(vm_named("uefi"))
    made, _ = await make_target(target, vm, site.pools[1].srs[0].uuid, "same")
    await target.apply_volatile_state(made, (await source.read_again(vm))[1])
    await target.unblock_operations(made, BLOCKED, {})
    await target.restore_ha(made, vm)
    copy = await target.read_vm(made)
    assert copy.power_state is PowerState.HALTED
    assert (copy.is_a_template, copy.blocked_operations) == (False, {})
    fields = (
        "name_label name_description VCPUs_max VCPUs_at_startup memory_static_max memory_dynamic_min HVM_boot_params "
        "HVM_boot_policy domain_type NVRAM platform tags generation_id bios_strings actions_after_reboot recommendations"
    )
    assert {key: copy.metadata[key] for key in fields.split()} == {key: vm.metadata[key] for key in fields.split()}
    same = [(disk.device, disk.mode, disk.bootable, disk.name_label, disk.tags) for disk in vm.disks]
    assert [(disk.device, disk.mode, disk.bootable, disk.name_label, disk.tags) for disk in copy.disks] == same
    assert [(vif.device, vif.mac, vif.mtu) for vif in copy.vifs] == [(vif.device, vif.mac, vif.mtu) for vif in vm.vifs]
    assert [drive.device for drive in copy.cd_drives] == [drive.device for drive in vm.cd_drives]
    assert copy.other_config["mac_seed"] == vm.other_config["mac_seed"]


async def test_making_a_target_twice_makes_one(site: Site, source: Pool, target: Pool, vm_named: Named) -> None:
    """Objects are found again by their tags; a discarded one is made anew."""
    vm = await source.read_vm(vm_named("no-tools"))
    sr = site.pools[1].srs[0].uuid
    first = await make_target(target, vm, sr, "twice")
    assert await make_target(target, vm, sr, "twice") == first
    await target.discard_vm(first[0])
    await target.discard_vm(first[0])
    assert (await make_target(target, vm, sr, "twice"))[0] != first[0]


async def test_a_blocked_target_does_not_start(site: Site, source: Pool, target: Pool, vm_named: Named) -> None:
    """Not even by accident."""
    vm = await source.read_vm(vm_named("no-tools"))
    made = await target.create_vm(vm, migration="blocked", epoch=1, blocked=BLOCKED)
    with pytest.raises(PoolError) as caught:
        await target.start_vm(made)
    assert caught.value.code == "OPERATION_BLOCKED"


async def test_snapshots_are_found_by_tag_and_destroyed_twice(source: Pool, vm_named: Named) -> None:
    """With a chain that grows under the disk."""
    vm = await source.read_vm(vm_named("stubborn"))
    first = await source.snapshot_disk(vm.disks[0].vdi, tag="found/1", epoch=1)
    assert await source.snapshot_disk(vm.disks[0].vdi, tag="found/1", epoch=1) == first
    (disk,) = (await source.read_vm(vm.uuid)).disks
    assert first in disk.snapshots
    await source.destroy_disk(first)
    await source.destroy_disk(first)
    assert first not in (await source.read_vm(vm.uuid)).disks[0].snapshots


async def test_a_snapshot_without_tags_is_claimed(source: Pool, vm_named: Named) -> None:
    """As a killed server leaves one, with the pool's own times."""
    vm = await source.read_vm(vm_named("stubborn"))
    vdi = vm.disks[0].vdi
    ref = await source.calls.call("VDI.get_by_uuid", vdi)
    await labels.put_label(source.calls, ref, {}, "crash/1")
    made = await source.calls.call("VDI.snapshot", ref)
    uuid = await source.calls.call("VDI.get_uuid", made)
    assert await source.snapshot_disk(vdi, tag="crash/1", epoch=2) == uuid
    assert await source.snapshot_disk(vdi, tag="crash/1", epoch=2) == uuid
    assert labels.LABEL not in await source.calls.call("VDI.get_other_config", ref)
    (ours,) = [each for each in await source.our_objects() if each.migration == "crash"]
    assert (ours.kind, ours.uuid, ours.pool_name) == ("snapshot", uuid, "pool-0")
    await source.destroy_disk(uuid)


async def test_a_door_key_keeps_others_out(source: Pool, vm_named: Named) -> None:
    """Until it is given back; the note on a source that is kept is another key."""
    vm = vm_named("stubborn")
    before = (await source.read_vm(vm)).other_config
    await source.claim_door(vm, "m-1/1/r", migration="m-1")
    with pytest.raises(ForbiddenOperation) as caught:
        await source.claim_door(vm, "m-2/1/r", migration="m-2")
    assert caught.value.evidence["key"] == "m-1/1/r"
    await source.claim_door(vm, "m-1/2/s", migration="m-1")
    await source.note_moved(vm, "to pool-1")
    await source.release_door(vm, migration="m-1")
    assert (await source.read_vm(vm)).other_config == {**before, "xo_warmig:moved": "to pool-1"}
    await source.note_moved(vm, "")
    assert (await source.read_vm(vm)).other_config == before


async def test_a_disk_is_cloned_and_exchanged(site: Site, source: Pool, target: Pool, vm_named: Named) -> None:
    """Where an old writer does not let go of it."""
    vm = await source.read_vm(vm_named("no-tools"))
    made, disks = await make_target(target, vm, site.pools[1].srs[0].uuid, "cloned")
    (disk,) = vm.disks
    clone = await target.clone_disk(disks[disk.vdi], disk, migration="cloned", epoch=2)
    assert await target.clone_disk(disks[disk.vdi], disk, migration="cloned", epoch=2) == clone
    for _ in range(2):
        await target.detach_disk(made, disks[disk.vdi])
    await target.attach_disk(made, clone, disk)
    assert [each.vdi for each in (await target.read_vm(made)).disks] == [clone]
    kinds = {each.uuid: each.kind for each in await target.our_objects() if each.migration == "cloned"}
    assert kinds == {made: "vm", disks[disk.vdi]: "vdi", clone: "vdi"}


async def test_changes_of_the_source_reach_the_target(site: Site, source: Pool, target: Pool, vm_named: Named) -> None:
    """Every kind of them, by the setters that the pool has."""
    planned = await source.read_vm(vm_named("uefi"))
    made = await target.create_vm(planned, migration="changes", epoch=1, blocked=BLOCKED)
    ref = await source.calls.call("VM.get_by_uuid", planned.uuid)
    gib = str(1 << 30)
    for method, *arguments in (
        ("set_name_label", "uefi-2"),
        ("set_name_description", "changed"),
        ("set_tags", ["x"]),
        ("set_memory_limits", gib, gib, gib, gib),
        ("set_VCPUs_max", "4"),
        ("set_VCPUs_at_startup", "3"),
        ("set_platform", {**planned.metadata["platform"], "viridian": "false", "timeoffset": "77"}),
        ("set_HVM_boot_params", {"order": "n", "firmware": "uefi"}),
        ("set_actions_after_crash", "destroy"),
        ("set_order", "5"),
        ("set_start_delay", "6"),
        ("set_HVM_shadow_multiplier", 2.0),
        ("set_xenstore_data", {"vm-data/key": "text"}),
        ("add_to_other_config", "user", "key"),
    ):
        await source.calls.call(f"VM.{method}", ref, *arguments)
    now, _ = await source.read_again(planned)
    for _ in range(2):
        await target.apply_changes(made, planned, now)
    copy = await target.read_vm(made)
    fields = (
        "name_label name_description tags memory_static_max memory_static_min memory_dynamic_max VCPUs_max order"
        " VCPUs_at_startup HVM_boot_params actions_after_crash start_delay HVM_shadow_multiplier xenstore_data"
    )
    assert {key: copy.metadata[key] for key in fields.split()} == {key: now.metadata[key] for key in fields.split()}
    assert (copy.metadata["platform"]["viridian"], copy.metadata["platform"].get("timeoffset")) == ("false", None)
    assert (copy.other_config["user"], copy.other_config["xo_warmig:self"]) == ("key", made)


async def test_a_guest_that_ignores_its_shutdown_goes_on_running(source: Pool, vm_named: Named) -> None:
    """It has tools, so power is not cut (R7)."""
    vm = vm_named("stubborn")
    with pytest.raises(PoolError) as caught:
        await source.shut_down(vm, ShutdownPolicy(timeout=1))
    assert caught.value.code in ("SHUTDOWN_TIMEOUT", "SHUTDOWN_REFUSED")
    assert await source.power_state(vm) is PowerState.RUNNING


async def test_a_guest_without_tools_is_powered_off_unless_never(source: Pool, vm_named: Named) -> None:
    """By the policy."""
    vm = vm_named("no-tools")
    with pytest.raises(PoolError) as caught:
        await source.shut_down(vm, ShutdownPolicy(force=ForceShutdown.NEVER))
    assert caught.value.code == "SHUTDOWN_REFUSED"
    assert await source.shut_down(vm, ShutdownPolicy()) is False
    assert await source.power_state(vm) is PowerState.HALTED
    await source.start_vm(vm)


async def test_an_sr_is_read(site: Site, target: Pool) -> None:
    """With its room; an ISO library takes no disks."""
    sr = await target.read_sr(site.pools[1].srs[0].uuid)
    assert (sr.type, sr.plugged, sr.allows_create, sr.thin) == ("ext", True, True, True)
    assert 0 < sr.free_bytes <= sr.physical_size_bytes
    assert (await target.read_sr(site.pools[1].srs[2].uuid)).allows_create is False


async def test_what_is_not_there_is_named(source: Pool) -> None:
    """With its type."""
    for cls, asking in (
        ("VM", source.power_state("nowhere")),
        ("SR", source.read_sr("nowhere")),
        ("VDI", source.snapshot_disk("nowhere", tag="x", epoch=1)),
    ):
        with pytest.raises(NoSuchObject) as caught:
            await asking
        assert caught.value.evidence == {"id": "nowhere", "type": cls}


async def test_many_calls_at_once_do_not_mix_up_their_answers(source: Pool, vm_named: Named) -> None:
    """Connections are lent to one call at a time."""
    names = ["no-tools", "stubborn", "uefi"]
    wanted = [vm_named(random.choice(names)) for _ in range(40)]
    assert [vm.uuid for vm in await asyncio.gather(*(source.read_vm(vm) for vm in wanted))] == wanted


def test_pools_fit_what_the_engine_asks_of_them(directory: Directory, source: Pool, target: Pool) -> None:
    """The type checker is the judge; nothing happens here."""
    one: SourcePool = source
    other: TargetPool = target
    all_of_them: Pools = directory
    assert (one.name, other.name) == ("pool-0", "pool-1")
    assert all_of_them is directory
