"""VMs of a pool that have the MAC addresses of another pool's VM: XAPI checks for them neither on creation nor on start."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from xo_warmig.model.pools import Twin
from xo_warmig.model.vm import PowerState, Vm
from xo_warmig.xapi import objects
from xo_warmig.xapi.connection import Calls
from xo_warmig.xapi.filters import records_with
from xo_warmig.xapi.vm_spec import TARGET_ROLE

_SEED: Final = "mac_seed"


async def read_twins(calls: Calls, vm: Vm) -> list[Twin]:
    """Two calls. Copies that this project made and that are halted give way to a migration: they do not count."""
    # XAPI keeps an address as it was given, and compares none.
    macs = sorted({mac for vif in vm.vifs if vif.mac for mac in (vif.mac, vif.mac.lower(), vif.mac.upper())})
    vms, vifs = await asyncio.gather(calls.call("VM.get_all_records"), records_with(calls, "VIF", MAC=macs))
    return twins_from(vm, vms, vifs)


def twins_from(vm: Vm, vms: Mapping[str, Mapping[str, Any]], vifs: Mapping[str, Mapping[str, Any]]) -> list[Twin]:
    """By address first. ``vifs``: those with an address of ``vm``."""
    others = {ref: record for ref, record in vms.items() if _counts(record, vm.uuid)}
    same = [(vif["VM"], vif["MAC"]) for vif in vifs.values() if vif["VM"] in others]
    twins = [_twin(others[ref], mac) for ref, mac in sorted(same, key=lambda each: each[1])]
    seed = vm.other_config.get(_SEED)
    known = {ref for ref, _ in same}
    return twins + [
        _twin(record, None)
        for ref, record in others.items()
        if seed and ref not in known and record["other_config"].get(_SEED) == seed
    ]


def _counts(record: Mapping[str, Any], uuid: str) -> bool:
    if record["uuid"] == uuid or record["is_a_snapshot"] or record["is_a_template"] or record["is_control_domain"]:
        return False
    ours = objects.is_ours(record["other_config"], record["uuid"], role=TARGET_ROLE)
    return not (ours and record["power_state"] == PowerState.HALTED)


def _twin(record: Mapping[str, Any], mac: str | None) -> Twin:
    running = record["power_state"] != PowerState.HALTED
    return Twin(vm=record["uuid"], name_label=record["name_label"], running=running, mac=mac)
