"""What a VM changes of itself while it runs."""

from collections.abc import Callable
from typing import Any

import pytest

from xo_warmig.errors import PoolError
from xo_warmig.model.vm import Vm, VolatileState
from xo_warmig.xapi.reading import read_vm
from xo_warmig.xapi.records import Origin
from xo_warmig.xapi.volatile_state import against_vtpm_contents, apply_volatile_state, read_again

ORIGIN = Origin("p", "lab", (2, 21))


async def state_of(pool: Any, ref: str) -> VolatileState:
    """As it is read in the downtime."""
    return (await read_again(pool, ORIGIN, await planned(pool, ref)))[1]


async def planned(pool: Any, ref: str) -> Vm:
    return await read_vm(pool, ORIGIN, pool.get("VM", ref)["uuid"])


async def test_one_reading_tells_all_that_changed(pool: Any, make_vm: Callable[..., str]) -> None:
    """What users changed is as if the whole VM had been read again."""
    ref = make_vm()
    before = await planned(pool, ref)
    pool.get("VM", ref).update(name_label="web-2", other_config={"a": "b"}, platform={"timeoffset": "7"}, order="5")
    pool.log.clear()
    now, state = await read_again(pool, ORIGIN, before)
    assert pool.log == ["VM.get_all_records_where"]
    assert now == await planned(pool, ref)
    assert (now.name_label, state.time_offset) == ("web-2", "7")


async def test_devices_are_read_only_where_one_came_or_went(pool: Any, make_vm: Callable[..., str]) -> None:
    """The record names them; then they are as if the whole VM had been read again."""
    ref = make_vm()
    before = await planned(pool, ref)
    network = pool.add("network", name_label="dmz", PIFs=[])
    fields = {
        "MAC": "aa:bb:cc:00:00:01",
        "MTU": "1500",
        "other_config": {},
        "qos_algorithm_type": "",
        "qos_algorithm_params": {},
    }
    vif = pool.add("VIF", VM=ref, device="0", network=network, **fields)
    drive = pool.add("VBD", VM=ref, type="CD", VDI="OpaqueRef:NULL", userdevice="3")
    pool.get("VM", ref).update(VIFs=[vif], VBDs=[drive], ha_restart_priority="restart")
    now, _ = await read_again(pool, ORIGIN, before)
    again = await planned(pool, ref)
    assert now == again
    assert ([each.mac for each in now.vifs], len(now.cd_drives)) == (["aa:bb:cc:00:00:01"], 1)


async def test_it_travels_from_one_vm_to_another(pool: Any, make_vm: Callable[..., str]) -> None:
    """NVRAM, the clock's offset and what is in the vTPM."""
    pool.handlers["VTPM.get_contents"] = lambda _: "Y29udGVudHM="
    filled: list[tuple[str, ...]] = []
    pool.handlers["VTPM.set_contents"] = lambda *arguments: filled.append(arguments)
    source = make_vm(
        NVRAM={"EFI-variables": "AAAA"}, platform={"timeoffset": "7"}, VTPMs=[pool.add("VTPM", is_unique=False)]
    )
    target = make_vm(platform={"viridian": "true"}, VTPMs=["OpaqueRef:b"])
    state = await state_of(pool, source)
    await apply_volatile_state(pool, pool.get("VM", target)["uuid"], state)
    record = pool.get("VM", target)
    assert record["NVRAM"] == {"EFI-variables": "AAAA"}
    assert record["platform"] == {"viridian": "true", "timeoffset": "7"}
    assert filled == [("OpaqueRef:b", "Y29udGVudHM=")]


async def test_what_is_equal_is_not_written(pool: Any, make_vm: Callable[..., str]) -> None:
    """It is inside the downtime."""
    ref = make_vm(NVRAM={"EFI-variables": "AAAA"}, platform={"timeoffset": "7"})
    await apply_volatile_state(pool, pool.get("VM", ref)["uuid"], await state_of(pool, ref))
    assert pool.calls("VM.set_NVRAM", "VM.set_platform") == []


@pytest.mark.parametrize("firmware", ["bios", "uefi"])
async def test_a_release_without_nvram_takes_vms_that_boot_without(
    pool: Any, make_vm: Callable[..., str], firmware: str
) -> None:
    """One that was changed from UEFI to BIOS has some still, and must not fail of it in the downtime."""
    target = make_vm(HVM_boot_params={"firmware": firmware})
    del pool.get("VM", target)["NVRAM"]

    def unknown(*_: Any) -> None:
        raise pool.failure("MESSAGE_METHOD_UNKNOWN", "VM.set_NVRAM")

    pool.handlers["VM.set_NVRAM"] = unknown
    state = VolatileState(nvram={"EFI-variables": "AAAA"})
    applying = apply_volatile_state(pool, pool.get("VM", target)["uuid"], state)
    if firmware == "bios":
        await applying
        return
    with pytest.raises(PoolError, match="MESSAGE_METHOD_UNKNOWN"):
        await applying


async def test_contents_without_a_vtpm_are_refused(pool: Any, make_vm: Callable[..., str]) -> None:
    """A guest that seals its disk with them would not boot."""
    pool.handlers["VTPM.get_contents"] = lambda _: "Y29udGVudHM="
    state = await state_of(pool, make_vm(VTPMs=[pool.add("VTPM", is_unique=False)]))
    with pytest.raises(PoolError) as caught:
        await apply_volatile_state(pool, pool.get("VM", make_vm())["uuid"], state)
    assert caught.value.code == "NO_VTPM"


@pytest.mark.parametrize("root", [True, False])
async def test_contents_are_for_root_alone(pool: Any, root: bool) -> None:
    """Whatever role an account of a directory has, and told before anything is copied."""
    session = pool.add("session", is_local_superuser=root)
    assert bool(await against_vtpm_contents(pool, session)) is not root
    assert pool.calls("VTPM.get_contents") == []
