"""What a user changed on the source while it was copied, put on the target that was made of its record before.

Compared are the two records that a target would be made from (``vm_spec``), so that the same things travel. Handled elsewhere: VIFs
and CD drives (``engine.following``), disks (R14), HA and auto-power-on (``restore_ha``), what the VM changes itself (``volatile_state``).
Not handled is what XAPI lets nobody change on a VM that runs or that was made: firmware, kind of domain, BIOS strings, generation id,
vTPMs.
"""

from collections.abc import Mapping
from typing import Any

from xo_warmig.model.api_versions import ApiVersion
from xo_warmig.model.vm import Vm
from xo_warmig.xapi import objects
from xo_warmig.xapi.connection import Calls
from xo_warmig.xapi.vm_spec import other_config_for, platform_for, vm_data, vm_record

# Each with a setter of its own that has no condition on a halted VM.
_PLAIN = (
    "name_label",
    "name_description",
    "tags",
    "user_version",
    "VCPUs_params",
    "actions_after_shutdown",
    "actions_after_softreboot",
    "actions_after_reboot",
    "actions_after_crash",
    "HVM_boot_params",
    "HVM_shadow_multiplier",
    "PV_bootloader",
    "PV_kernel",
    "PV_ramdisk",
    "PV_args",
    "PV_bootloader_args",
    "PV_legacy_args",
    "recommendations",
    "start_delay",
    "shutdown_delay",
    "order",
)
_MEMORY = ("memory_static_min", "memory_static_max", "memory_dynamic_min", "memory_dynamic_max")
_VCPUS = ("VCPUs_max", "VCPUs_at_startup")
_ABSENT = {"HVM_shadow_multiplier": 1.0}


async def apply_changes(calls: Calls, vm: str, planned: Vm, now: Vm, *, api_version: ApiVersion) -> None:
    """What differs between the two and from the target is set; nothing is asked when nothing differs. Target halted.

    ``api_version`` is the target's. Raises NoSuchObject.
    """
    before, after = _record(planned, api_version), _record(now, api_version)
    if before == after:
        return
    ref, target = await objects.record_of(calls, "VM", vm)
    for field in _PLAIN:
        if before.get(field) != after.get(field) and field in target and target[field] != after.get(field):
            await calls.call(f"VM.set_{field}", ref, after.get(field, _ABSENT.get(field)))
    if any(before[field] != after[field] and target[field] != after[field] for field in _MEMORY):
        await calls.call("VM.set_memory_limits", ref, *(after[field] for field in _MEMORY))
    await _set_vcpus(calls, ref, before, after, target)
    for field in ("platform", "xenstore_data"):
        wanted = merged(target[field], before[field], after[field])
        if wanted != target[field]:
            await calls.call(f"VM.set_{field}", ref, wanted)
    await _set_other_config(calls, ref, target["other_config"], before["other_config"], after["other_config"])


def merged(target: Mapping[str, str], before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, str]:
    """The target's map with the changes from ``before`` to ``after``: all other keys of it are left as they are."""
    gone = before.keys() - after.keys()
    changed = {key: text for key, text in after.items() if before.get(key) != text}
    return {key: text for key, text in target.items() if key not in gone} | changed


def _record(vm: Vm, api_version: ApiVersion) -> dict[str, Any]:
    """What is compared of a VM, by the rules by which a target is made."""
    record = vm_record(vm, migration="", epoch=0, api_version=api_version)
    return {field: record[field] for field in (*_PLAIN, *_MEMORY, *_VCPUS) if field in record} | {
        "platform": platform_for(vm.metadata, api_version),
        "xenstore_data": vm_data(vm.metadata.get("xenstore_data", {})),
        "other_config": other_config_for(vm),
    }


async def _set_vcpus(
    calls: Calls, ref: str, before: Mapping[str, Any], after: Mapping[str, Any], target: Mapping[str, Any]
) -> None:
    """In the order in which there are never more at startup than at most."""
    growing = int(after["VCPUs_max"]) > int(target["VCPUs_max"])
    for field in _VCPUS if growing else reversed(_VCPUS):
        if before[field] != after[field] and target[field] != after[field]:
            await calls.call(f"VM.set_{field}", ref, after[field])


async def _set_other_config(
    calls: Calls, ref: str, target: Mapping[str, str], before: Mapping[str, str], after: Mapping[str, str]
) -> None:
    """Key by key, as our own keys stand in the same map."""
    wanted = merged(target, before, after)
    for key in sorted(target.keys() | wanted.keys()):
        if target.get(key) == wanted.get(key):
            continue
        if key in target:
            await calls.call("VM.remove_from_other_config", ref, key)
        if key in wanted:
            await calls.call("VM.add_to_other_config", ref, key, wanted[key])
