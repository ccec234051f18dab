"""A look at one VM, as it is taken in the downtime."""

from collections.abc import Callable
from typing import Any

import pytest

from xo_warmig.errors import NoSuchObject
from xo_warmig.model.vm import Look, PowerState
from xo_warmig.xapi.attachments import Owners
from xo_warmig.xapi.looking import look
from xo_warmig.xapi.pool import Pool

Make = Callable[..., str]


def uuid_of(pool: Any, cls: str, ref: str) -> str:
    return str(pool.get(cls, ref)["uuid"])


async def test_it_tells_what_the_vm_is_and_who_has_its_disks(
    pool: Any, make_vm: Make, make_vdi: Make, make_vbd: Make
) -> None:
    """Its CD drive is none of its disks, and its snapshot's VBDs are nobody's."""
    vm = make_vm(
        power_state="Halted",
        blocked_operations={"start": "ours"},
        other_config={"a": "b"},
        current_operations={"OpaqueRef:t": "start"},
    )
    disk, iso = make_vdi(virtual_size="4096"), make_vdi()
    make_vbd(vm, disk)
    make_vbd(vm, iso, type="CD")
    make_vbd(make_vm(is_a_snapshot=True), disk)
    make_vbd(make_vm(is_control_domain=True), disk, mode="RO", currently_attached=True)
    vdi = uuid_of(pool, "VDI", disk)
    seen = await look(pool, uuid_of(pool, "VM", vm), [vdi], {})
    assert (seen.power_state, seen.current_operations) == (PowerState.HALTED, ["start"])
    assert (seen.blocked_operations, seen.other_config) == ({"start": "ours"}, {"a": "b"})
    assert seen.disks == {vdi: 4096}
    assert [(each.is_control_domain, each.plugged, each.mode) for each in seen.attachments] == [
        (False, False, "RW"),
        (True, True, "RO"),
    ]


async def test_it_takes_three_small_calls_whatever_the_number_of_disks(
    pool: Any, make_vm: Make, make_vdi: Make, make_vbd: Make
) -> None:
    """The second time, too, when a control domain that was met before has them."""
    vm, dom0, disks = make_vm(), make_vm(is_control_domain=True), [make_vdi() for _ in range(8)]
    for disk in disks:
        make_vbd(vm, disk)
        make_vbd(dom0, disk)
    owners: Owners = {}
    vdis = [uuid_of(pool, "VDI", disk) for disk in disks]
    await look(pool, uuid_of(pool, "VM", vm), vdis, owners)
    pool.log.clear()
    await look(pool, uuid_of(pool, "VM", vm), vdis, owners)
    assert pool.log == [f"{cls}.get_all_records_where" for cls in ("VM", "VDI", "VBD")]


async def test_disks_that_came_and_went_are_noticed(pool: Any, make_vm: Make, make_vdi: Make, make_vbd: Make) -> None:
    """R14: its own disks are those that it has, not those that were asked for."""
    vm, planned, added = make_vm(), make_vdi(), make_vdi(virtual_size="8192")
    make_vbd(vm, added)
    make_vbd(vm, "OpaqueRef:gone")
    seen = await look(pool, uuid_of(pool, "VM", vm), [uuid_of(pool, "VDI", planned)], {})
    assert seen.disks == {uuid_of(pool, "VDI", added): 8192}
    assert seen.attachments == []


async def test_a_vm_that_is_not_there_is_told(pool: Any) -> None:
    """As by any other reading."""
    with pytest.raises(NoSuchObject):
        await look(pool, "nowhere", [], {})


async def test_it_says_what_reading_all_of_the_pool_says(source: Pool, vm_named: Callable[[str], str]) -> None:
    """On the real wire, of a VM with two disks."""
    vm = await source.read_vm(vm_named("web-1"))
    vdis = [disk.vdi for disk in vm.disks]
    assert await source.look(vm.uuid, vdis) == Look(
        uuid=vm.uuid,
        power_state=vm.power_state,
        current_operations=vm.current_operations,
        blocked_operations=vm.blocked_operations,
        other_config=vm.other_config,
        disks={disk.vdi: disk.virtual_size_bytes for disk in vm.disks},
        attachments=await source.attachments(vdis),
    )
