"""Destroying what was named, and nothing else."""

from collections.abc import Callable
from typing import Any

import pytest

from xo_warmig.errors import PoolError, SafetyError
from xo_warmig.xapi import disposal
from xo_warmig.xapi.disposal import destroy_disk, destroy_vm, detach_disk, remove_device


@pytest.fixture
def halted(pool: Any, make_vm: Callable[..., str]) -> str:
    """A halted VM, blocked by us and by another; its uuid."""
    ref = make_vm(power_state="Halted", blocked_operations={"destroy": "xo_warmig: moved", "start": "xo_warmig: moved"})
    return str(pool.get("VM", ref)["uuid"])


def uuid_of(pool: Any, cls: str, ref: str) -> str:
    return str(pool.get(cls, ref)["uuid"])


async def test_a_vm_goes_with_just_the_disks_that_were_named(
    pool: Any, halted: str, make_vdi: Callable[..., str], make_vbd: Callable[..., str]
) -> None:
    """The others stay (R2)."""
    named, other = make_vdi(), make_vdi()
    make_vbd(pool._by_uuid("VM", halted), named)
    await destroy_vm(pool, halted, [uuid_of(pool, "VDI", named)])
    assert pool.records["VM"] == {}
    assert list(pool.records["VDI"]) == [other]


async def test_destroying_twice_is_as_good_as_once(pool: Any, halted: str, make_vdi: Callable[..., str]) -> None:
    """A crash between the VM and its disks is made good by the second try."""
    vdi = uuid_of(pool, "VDI", make_vdi())
    await destroy_vm(pool, halted, [])
    await destroy_vm(pool, halted, [vdi])
    await destroy_vm(pool, halted, [vdi])
    assert pool.records["VDI"] == {}


async def test_a_running_vm_is_never_destroyed(pool: Any, make_vm: Callable[..., str]) -> None:
    """Somebody started it."""
    vm = make_vm()
    with pytest.raises(SafetyError) as caught:
        await destroy_vm(pool, uuid_of(pool, "VM", vm), [])
    assert caught.value.code == "NOT_HALTED"
    assert vm in pool.records["VM"]


async def test_a_disk_of_another_vm_stops_everything(
    pool: Any, halted: str, make_vm: Callable[..., str], make_vdi: Callable[..., str], make_vbd: Callable[..., str]
) -> None:
    """Before anything is gone: XAPI would take the other VM's VBD away."""
    vdi = make_vdi()
    make_vbd(make_vm(), vdi)
    with pytest.raises(SafetyError) as caught:
        await destroy_vm(pool, halted, [uuid_of(pool, "VDI", vdi)])
    assert caught.value.code == "DISK_SHARED"
    assert len(pool.records["VM"]) == 2


async def test_somebody_s_own_protection_is_not_lifted(pool: Any, make_vm: Callable[..., str]) -> None:
    """Only an entry of ours is."""
    vm = make_vm(power_state="Halted", blocked_operations={"destroy": "keep"})

    def destroy(ref: str) -> None:
        raise pool.failure("OPERATION_BLOCKED", ref, pool.get("VM", ref)["blocked_operations"]["destroy"])

    pool.handlers["VM.destroy"] = destroy
    with pytest.raises(PoolError) as caught:
        await destroy_vm(pool, uuid_of(pool, "VM", vm), [])
    assert caught.value.code == "OPERATION_BLOCKED"


async def test_a_disk_that_is_still_held_is_waited_for(pool: Any, make_vdi: Callable[..., str]) -> None:
    """An export's end is seen before its disk is detached."""
    vdi = make_vdi()
    held = iter([True])

    def destroy(ref: str) -> str:
        for _ in held:
            raise pool.failure("VDI_IN_USE", ref, "destroy")
        del pool.records["VDI"][ref]
        return ""

    pool.handlers["VDI.destroy"] = destroy
    await destroy_disk(pool, uuid_of(pool, "VDI", vdi))
    assert len(pool.calls("VDI.destroy")) == 2


async def test_something_else_that_is_gone_is_not_taken_for_the_disk(pool: Any, make_vdi: Callable[..., str]) -> None:
    """A VBD of a VM that was destroyed just before, for one."""
    vdi = make_vdi()
    missing = iter([True])

    def destroy(ref: str) -> str:
        for _ in missing:
            raise pool.failure("HANDLE_INVALID", "VBD", "OpaqueRef:1")
        del pool.records["VDI"][ref]
        return ""

    pool.handlers["VDI.destroy"] = destroy
    await destroy_disk(pool, uuid_of(pool, "VDI", vdi))
    assert vdi not in pool.records["VDI"]


async def test_a_vm_that_still_stands_is_not_destroyed(pool: Any, halted: str) -> None:
    """Whatever the pool says is gone."""

    def destroy(ref: str) -> str:
        raise pool.failure("HANDLE_INVALID", "VBD", "OpaqueRef:1")

    pool.handlers["VM.destroy"] = destroy
    with pytest.raises(PoolError) as caught:
        await destroy_vm(pool, halted, [])
    assert caught.value.code == "HANDLE_INVALID"
    assert len(pool.calls("VM.destroy")) > 1, "it may have been a moment's matter"


@pytest.mark.parametrize("ours", [True, False])
async def test_a_disk_of_ours_is_taken_from_a_control_domain_that_forgot_it(
    pool: Any,
    make_vm: Callable[..., str],
    make_vdi: Callable[..., str],
    make_vbd: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    ours: bool,
) -> None:
    """A restarted toolstack leaves its VBD. What is not ours is left to whom it belongs (R8)."""
    monkeypatch.setattr(disposal, "_FORGOTTEN_SECONDS", 0.0)
    monkeypatch.setattr(disposal, "_RELEASE_SECONDS", 0.2)
    vdi = make_vdi()
    uuid = uuid_of(pool, "VDI", vdi)
    pool.get("VDI", vdi)["other_config"] = {"xo_warmig:self": uuid if ours else "another"}
    vbd = make_vbd(make_vm(is_control_domain=True), vdi, currently_attached=True)

    def destroy(ref: str) -> str:
        if vbd in pool.records["VBD"]:
            raise pool.failure("VDI_IN_USE", ref, "destroy")
        del pool.records["VDI"][ref]
        return ""

    pool.handlers["VDI.destroy"] = destroy
    pool.handlers["VBD.unplug"] = lambda ref: ""
    pool.handlers["VBD.destroy"] = lambda ref: pool.records["VBD"].pop(ref) and ""
    if ours:
        await destroy_disk(pool, uuid)
        assert vdi not in pool.records["VDI"]
        return
    with pytest.raises(PoolError) as held:
        await destroy_disk(pool, uuid)
    assert held.value.code == "VDI_IN_USE"
    assert vbd in pool.records["VBD"]


async def test_a_disk_that_is_gone_is_destroyed(pool: Any) -> None:
    """Nothing is asked of the pool but whether it has it."""
    await destroy_disk(pool, "nowhere")
    assert pool.log == ["VDI.get_by_uuid"]


@pytest.fixture
def target(pool: Any, make_vm: Callable[..., str]) -> str:
    """A halted VM that a migration made; its reference."""
    ref = make_vm(power_state="Halted")
    pool.get("VM", ref)["other_config"] = {"xo_warmig:role": "target", "xo_warmig:self": uuid_of(pool, "VM", ref)}
    return ref


async def test_a_disk_is_detached_from_our_target_alone(
    pool: Any, target: str, make_vm: Callable[..., str], make_vdi: Callable[..., str], make_vbd: Callable[..., str]
) -> None:
    """Twice is as good as once, other disks and other VMs keep theirs."""
    vdi, other = make_vdi(), make_vdi()
    make_vbd(target, vdi)
    kept = {make_vbd(target, other), make_vbd(make_vm(), vdi)}
    for _ in range(2):
        await detach_disk(pool, uuid_of(pool, "VM", target), uuid_of(pool, "VDI", vdi))
    assert set(pool.records["VBD"]) == kept
    await detach_disk(pool, "nowhere", uuid_of(pool, "VDI", vdi))
    await detach_disk(pool, uuid_of(pool, "VM", target), "nowhere")


@pytest.mark.parametrize(
    ("fields", "code"), [({"power_state": "Running"}, "NOT_HALTED"), ({"other_config": {}}, "NOT_OURS")]
)
async def test_a_disk_is_not_taken_from_a_vm_that_runs_or_is_not_ours(
    pool: Any,
    target: str,
    make_vdi: Callable[..., str],
    make_vbd: Callable[..., str],
    fields: dict[str, Any],
    code: str,
) -> None:
    """Nothing is changed then (R8)."""
    vdi = make_vdi()
    vbd = make_vbd(target, vdi)
    pool.get("VM", target).update(fields)
    with pytest.raises(SafetyError) as caught:
        await detach_disk(pool, uuid_of(pool, "VM", target), uuid_of(pool, "VDI", vdi))
    assert caught.value.code == code
    assert vbd in pool.records["VBD"]


async def test_only_the_device_at_the_position_goes(pool: Any, target: str, make_vdi: Callable[..., str]) -> None:
    """A disk there is none of them; gone already is as good, and so is a VM that is not there."""
    vm = uuid_of(pool, "VM", target)
    first, second = (pool.add("VIF", VM=target, device=device) for device in "01")
    drive = pool.add("VBD", VM=target, type="CD", userdevice="3")
    disk = pool.add("VBD", VM=target, type="Disk", userdevice="0", VDI=make_vdi())
    pool.get("VM", target).update(VIFs=[first, second], VBDs=[drive, disk])
    for _ in range(2):
        await remove_device(pool, vm, "VIF", "1")
        await remove_device(pool, vm, "VBD", "3")
        await remove_device(pool, vm, "VBD", "0")
        pool.get("VM", target).update(VIFs=[first], VBDs=[disk])
    assert (list(pool.records["VIF"]), list(pool.records["VBD"])) == ([first], [disk])
    await remove_device(pool, "nowhere", "VIF", "0")


@pytest.mark.parametrize(
    ("fields", "code"), [({"power_state": "Running"}, "NOT_HALTED"), ({"other_config": {}}, "NOT_OURS")]
)
async def test_a_device_is_not_taken_from_a_vm_that_runs_or_is_not_ours(
    pool: Any, target: str, fields: dict[str, Any], code: str
) -> None:
    """Nothing is changed then (R8)."""
    vif = pool.add("VIF", VM=target, device="0")
    pool.get("VM", target).update(fields | {"VIFs": [vif]})
    with pytest.raises(SafetyError) as caught:
        await remove_device(pool, uuid_of(pool, "VM", target), "VIF", "0")
    assert caught.value.code == code
    assert vif in pool.records["VIF"]
