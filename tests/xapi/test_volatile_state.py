"""What a VM changes of itself while it runs."""

from collections.abc import Callable
from typing import Any

import pytest

from xo_warmig.errors import PoolError
from xo_warmig.xapi.volatile_state import apply_volatile_state, read_volatile_state


async def test_it_travels_from_one_vm_to_another(pool: Any, make_vm: Callable[..., str]) -> None:
    """NVRAM, the clock's offset and what is in the vTPM."""
    pool.handlers["VTPM.get_contents"] = lambda _: "Y29udGVudHM="
    filled: list[tuple[str, ...]] = []
    pool.handlers["VTPM.set_contents"] = lambda *arguments: filled.append(arguments)
    source = make_vm(NVRAM={"EFI-variables": "AAAA"}, platform={"timeoffset": "7"}, VTPMs=["OpaqueRef:a"])
    target = make_vm(platform={"viridian": "true"}, VTPMs=["OpaqueRef:b"])
    state = await read_volatile_state(pool, pool.get("VM", source)["uuid"])
    await apply_volatile_state(pool, pool.get("VM", target)["uuid"], state)
    record = pool.get("VM", target)
    assert record["NVRAM"] == {"EFI-variables": "AAAA"}
    assert record["platform"] == {"viridian": "true", "timeoffset": "7"}
    assert filled == [("OpaqueRef:b", "Y29udGVudHM=")]


async def test_what_is_equal_is_not_written(pool: Any, make_vm: Callable[..., str]) -> None:
    """It is inside the downtime."""
    vm = pool.get("VM", make_vm(NVRAM={"EFI-variables": "AAAA"}, platform={"timeoffset": "7"}))["uuid"]
    await apply_volatile_state(pool, vm, await read_volatile_state(pool, vm))
    assert pool.calls("VM.set_NVRAM", "VM.set_platform") == []


async def test_contents_without_a_vtpm_are_refused(pool: Any, make_vm: Callable[..., str]) -> None:
    """A guest that seals its disk with them would not boot."""
    pool.handlers["VTPM.get_contents"] = lambda _: "Y29udGVudHM="
    state = await read_volatile_state(pool, pool.get("VM", make_vm(VTPMs=["OpaqueRef:a"]))["uuid"])
    with pytest.raises(PoolError) as caught:
        await apply_volatile_state(pool, pool.get("VM", make_vm())["uuid"], state)
    assert caught.value.code == "NO_VTPM"
