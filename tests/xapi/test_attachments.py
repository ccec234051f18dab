"""Who has a VBD on a disk."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from xo_warmig.errors import SafetyError, TransferError
from xo_warmig.xapi.attachments import Owners, read_attachments, see_nobody_writes, wait_until_let_go


async def test_every_user_of_a_disk_is_listed_but_snapshots(
    pool: Any, make_vm: Callable[..., str], make_vdi: Callable[..., str], make_vbd: Callable[..., str]
) -> None:
    """Control domains are marked."""
    disk = make_vdi()
    guest, dom0 = make_vm(), make_vm(is_control_domain=True)
    make_vbd(guest, disk, currently_attached=True)
    make_vbd(dom0, disk, mode="RO")
    make_vbd(make_vm(is_a_snapshot=True), disk)
    vdi = pool.get("VDI", disk)["uuid"]
    found = {each.vm: each for each in await read_attachments(pool, [vdi, "gone"])}
    assert set(found) == {pool.get("VM", guest)["uuid"], pool.get("VM", dom0)["uuid"]}
    assert found[pool.get("VM", guest)["uuid"]].plugged
    control = found[pool.get("VM", dom0)["uuid"]]
    assert (control.is_control_domain, control.mode, control.plugged, control.vdi) == (True, "RO", False, vdi)


async def test_a_disk_that_is_being_attached_counts_as_plugged(
    pool: Any, make_vm: Callable[..., str], make_vdi: Callable[..., str], make_vbd: Callable[..., str]
) -> None:
    """XAPI reserves it before it is attached."""
    disk = make_vdi()
    make_vbd(make_vm(), disk, current_operations={"OpaqueRef:t": "attach"})
    (found,) = await read_attachments(pool, [pool.get("VDI", disk)["uuid"]])
    assert found.plugged


async def test_waiting_ends_when_the_control_domain_lets_go(
    pool: Any, make_vm: Callable[..., str], make_vdi: Callable[..., str], make_vbd: Callable[..., str]
) -> None:
    """A guest's own VBD is none of its business."""
    disk = make_vdi()
    make_vbd(make_vm(), disk)
    vbd = make_vbd(make_vm(is_control_domain=True), disk)
    waiting = asyncio.ensure_future(wait_until_let_go(pool, [disk], most_seconds=5, first_wait_seconds=0.001))
    await asyncio.sleep(0.02)
    assert not waiting.done()
    del pool.records["VBD"][vbd]
    assert await waiting


async def test_waiting_has_a_bound(
    pool: Any, make_vm: Callable[..., str], make_vdi: Callable[..., str], make_vbd: Callable[..., str]
) -> None:
    """The caller is told."""
    disk = make_vdi()
    make_vbd(make_vm(is_control_domain=True), disk)
    assert not await wait_until_let_go(pool, [disk], most_seconds=0.02, first_wait_seconds=0.001)


async def test_all_disks_are_asked_for_at_once_and_no_vm_twice(
    pool: Any, make_vm: Callable[..., str], make_vdi: Callable[..., str], make_vbd: Callable[..., str]
) -> None:
    """It is inside the downtime."""
    disks, guest = [make_vdi() for _ in range(8)], make_vm()
    for disk in disks:
        make_vbd(guest, disk)
    owners: Owners = {}
    vdis = [pool.get("VDI", disk)["uuid"] for disk in disks]
    asked = ["VDI.get_all_records_where", "VBD.get_all_records_where"]
    for expected in ([*asked, "VM.get_record"], asked):
        pool.log.clear()
        assert len(await read_attachments(pool, vdis, owners)) == len(disks)
        assert pool.log == expected
    pool.log.clear()
    assert await wait_until_let_go(pool, disks, most_seconds=5, first_wait_seconds=0.001, owners=owners)
    assert pool.log == ["VBD.get_all_records_where"]


async def test_without_disks_nothing_is_asked(pool: Any) -> None:
    """A filter without a value would bring the whole pool."""
    assert await read_attachments(pool, []) == []
    assert pool.log == []


async def test_a_control_domain_that_comes_later_is_seen_as_one(
    pool: Any, make_vm: Callable[..., str], make_vdi: Callable[..., str], make_vbd: Callable[..., str]
) -> None:
    """What is known of other VMs says nothing of a host that joined the pool since."""
    disk = make_vdi()
    owners: Owners = {}
    vdi = pool.get("VDI", disk)["uuid"]
    make_vbd(make_vm(), disk)
    await read_attachments(pool, [vdi], owners)
    make_vbd(make_vm(is_control_domain=True), disk)
    assert [each.is_control_domain for each in await read_attachments(pool, [vdi], owners)] == [False, True]


@pytest.mark.parametrize("mode", ["RO", "RW"])
@pytest.mark.parametrize("control", [False, True], ids=["guest", "dom0"])
@pytest.mark.parametrize("how", ["attached", "attaching", "not attached"])
async def test_nothing_is_written_where_others_have_the_disk(
    pool: Any,
    make_vm: Callable[..., str],
    make_vdi: Callable[..., str],
    make_vbd: Callable[..., str],
    mode: str,
    control: bool,
    how: str,
) -> None:
    """R16, R17: a VM that has it in whatever way, or another writer; who only reads is for the pool to judge."""
    disk = make_vdi()
    fields: dict[str, dict[str, Any]] = {
        "attached": {"currently_attached": True},
        "attaching": {"current_operations": {"OpaqueRef:t": "plug"}},
        "not attached": {},
    }
    make_vbd(make_vm(is_control_domain=control), disk, mode=mode, **fields[how])
    make_vbd(make_vm(), make_vdi(), currently_attached=True)
    looking = see_nobody_writes(pool, pool.get("VDI", disk)["uuid"], disk, {})
    if how == "not attached" or (control and mode == "RO"):
        await looking
        return
    with pytest.raises(TransferError if control else SafetyError):
        await looking
