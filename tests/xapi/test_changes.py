"""What a user changed on the source between the plan and its halt."""

from collections.abc import Callable
from typing import Any

import pytest

from xo_warmig.model.vm import Vm
from xo_warmig.xapi.changes import apply_changes, merged
from xo_warmig.xapi.reading import read_vm
from xo_warmig.xapi.records import Origin

GIB = 1 << 30
VERSION = (2, 21)


@pytest.fixture
def ref(make_vm: Callable[..., str]) -> str:
    """The source."""
    return make_vm(
        tags=["a"],
        HVM_boot_params={"order": "dc"},
        VCPUs_params={},
        actions_after_reboot="restart",
        recommendations="",
        order="0",
        platform={"viridian": "true", "gone": "x", "timeoffset": "1", "featureset": "f"},
        xenstore_data={"vm-data": "", "vm-data/x": "1", "toolstack": "t"},
        other_config={"kept": "k", "gone": "x", "changed": "1", "xo_warmig:door": "d", "last_shutdown_time": "1"},
        HVM_shadow_multiplier=1.0,
    )


@pytest.fixture
def target(make_vm: Callable[..., str]) -> str:
    """As it was made of the source, on a pool that does not know every field."""
    return make_vm(
        power_state="Halted",
        tags=["a"],
        HVM_boot_params={"order": "dc"},
        VCPUs_params={},
        actions_after_reboot="restart",
        recommendations="",
        platform={"viridian": "true", "gone": "x", "timeoffset": "7"},
        xenstore_data={"vm-data": "", "vm-data/x": "1", "ours": "o"},
        other_config={"kept": "k", "gone": "x", "changed": "1", "xo_warmig:self": "s"},
        HVM_shadow_multiplier=1.0,
    )


async def read(pool: Any, ref: str) -> Vm:
    for cls in ("network", "PIF", "SR", "VIF", "VBD", "VDI"):
        pool.records.setdefault(cls, {})
    return await read_vm(pool, Origin("p", "lab", VERSION), pool.get("VM", ref)["uuid"])


@pytest.fixture
def change(pool: Any, ref: str, target: str) -> Callable[..., Any]:
    """Change fields of the source, and put the changes on the target; the calls that wrote to it."""

    def limits(vm: str, *values: str) -> None:
        names = ("static_min", "static_max", "dynamic_min", "dynamic_max")
        pool.get("VM", vm).update({f"memory_{name}": value for name, value in zip(names, values, strict=True)})

    async def apply(**fields: Any) -> list[str]:
        planned = await read(pool, ref)
        pool.get("VM", ref).update(fields)
        pool.handlers["VM.set_memory_limits"] = limits
        pool.log.clear()
        now = await read(pool, ref)
        pool.log.clear()
        await apply_changes(pool, pool.get("VM", target)["uuid"], planned, now, api_version=VERSION)
        return [method.removeprefix("VM.") for method in pool.log if not method.split(".")[1].startswith("get_")]

    return apply


async def test_nothing_changed_asks_nothing(pool: Any, change: Callable[..., Any]) -> None:
    """It is inside the downtime. What the VM changes of itself is no change."""
    platform = {"viridian": "true", "gone": "x", "timeoffset": "999", "featureset": "g"}
    assert await change(platform=platform, NVRAM={"EFI-variables": "QUFB"}, power_state="Halted") == []
    assert pool.log == []


async def test_names_tags_and_boot_order_travel(pool: Any, target: str, change: Callable[..., Any]) -> None:
    """Each by a call of its own, and only those that differ; twice is as good as once."""
    fields = {
        "name_label": "web-2",
        "name_description": "new",
        "tags": ["a", "b"],
        "HVM_boot_params": {"order": "c"},
        "actions_after_reboot": "destroy",
        "recommendations": "<r/>",
        "VCPUs_params": {"weight": "512"},
        "HVM_shadow_multiplier": 4.0,
    }
    assert sorted(await change(**fields)) == sorted(f"set_{field}" for field in fields)
    record = pool.get("VM", target)
    assert {field: record[field] for field in fields} == fields


async def test_a_field_that_the_target_s_pool_does_not_know_stays(change: Callable[..., Any]) -> None:
    """It is too old for it."""
    assert await change(order="3") == []


async def test_what_the_target_has_already_is_not_written(pool: Any, target: str, change: Callable[..., Any]) -> None:
    """A second try."""
    pool.get("VM", target).update(name_label="web-2", VCPUs_at_startup="1")
    assert await change(name_label="web-2", VCPUs_at_startup="1") == []


async def test_memory_is_set_by_one_call(pool: Any, target: str, change: Callable[..., Any]) -> None:
    """Each alone would break the order of the four."""
    fields = {f"memory_{name}": str(4 * GIB) for name in ("static_max", "dynamic_min", "dynamic_max")}
    assert await change(**fields) == ["set_memory_limits"]
    record = pool.get("VM", target)
    assert {field: record[field] for field in fields} == fields
    assert record["memory_static_min"] == "536870912"


@pytest.mark.parametrize(
    ("most", "at_startup", "calls"),
    [
        ("4", "4", ["set_VCPUs_max", "set_VCPUs_at_startup"]),
        ("1", "1", ["set_VCPUs_at_startup", "set_VCPUs_max"]),
        ("2", "1", ["set_VCPUs_at_startup"]),
    ],
)
async def test_cpus_are_never_more_than_at_most(
    change: Callable[..., Any], most: str, at_startup: str, calls: list[str]
) -> None:
    """In either direction."""
    assert await change(VCPUs_max=most, VCPUs_at_startup=at_startup) == calls


async def test_maps_change_by_key(pool: Any, target: str, change: Callable[..., Any]) -> None:
    """What is the target's own stays: the offset of its clock, our tags."""
    await change(
        platform={"viridian": "false", "nested-virt": "true", "timeoffset": "5"},
        xenstore_data={"vm-data": "", "vm-data/y": "2", "toolstack": "u"},
        other_config={"kept": "k", "changed": "2", "new": "n", "xo_warmig:door": "e", "xo:backup:job": "j"},
    )
    record = pool.get("VM", target)
    assert record["platform"] == {"viridian": "false", "nested-virt": "true", "timeoffset": "7"}
    assert record["xenstore_data"] == {"vm-data": "", "vm-data/y": "2", "ours": "o"}
    assert record["other_config"] == {"kept": "k", "changed": "2", "new": "n", "xo_warmig:self": "s"}
    assert "VM.set_other_config" not in pool.log


def test_a_key_that_nobody_changed_is_the_target_s() -> None:
    """Whatever it is there."""
    assert merged({"a": "t", "b": "t"}, {"a": "1", "b": "1"}, {"a": "1", "b": "2"}) == {"a": "t", "b": "2"}
