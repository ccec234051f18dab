"""Orders to single VMs, on a simulated pool."""

from collections.abc import Callable

import pytest

from xo_warmig.errors import ForbiddenOperation, NoSuchObject, PoolError
from xo_warmig.model.vm import PowerState, VmChanges
from xo_warmig.replication import preflight
from xo_warmig.xapi import vms as module
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


def test_the_door_is_the_one_that_migrations_have() -> None:
    """Which this layer does not import; nor does it the mark of our reasons."""
    assert (DOOR, module.OUR_MARK) == (preflight.DOOR, preflight.OUR_MARK)
