"""What a VM has beside its disks, on the wire: it arrives, or it is told beforehand that it cannot."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.pools import XapiSession
from tests.scenarios.conftest import small_vm
from tests.scenarios.waiting import until_phase
from xo_warmig.client import CallFailed
from xo_warmig.model.units import MIB
from xo_warmig.simulator.site import DiskConfig, GuestConfig, VifConfig, VmConfig

World = Any
Worlds = Callable[..., Any]
VENDOR = {"restrict_pci_device_for_auto_update": "true"}


def equipped_vm() -> VmConfig:
    """With all that is set only when the target runs, or nothing fills its disks any more."""
    return small_vm(
        disks=[DiskConfig(size_bytes=64 * MIB, allocated_bytes=8 * MIB, allow_caching=True)],
        firmware="uefi",
        vtpm=True,
        vtpm_is_unique=True,
        bios_strings={"system-serial-number": "ds=nocloud"},
        interfaces=[VifConfig(ipv4_address="192.0.2.8/24", ipv4_gateway="192.0.2.1")],
        other_config={"auto_poweron": "true"},
        fields={"ha_restart_priority": "best-effort"},
        guest=GuestConfig(kind="blocks", rate=MIB, span=8 * MIB, sets_addresses=True),
    )


def look(world: World, vm: str) -> dict[str, Any]:
    """What the target's pool has of it."""
    session = XapiSession(world.target)
    record = session.call("VM.get_record", session.call("VM.get_by_uuid", vm))
    (vif,) = (session.call("VIF.get_record", ref) for ref in record["VIFs"])
    (vtpm,) = (session.call("VTPM.get_record", ref) for ref in record["VTPMs"])
    vbds = [session.call("VBD.get_record", ref) for ref in record["VBDs"]]
    (disk,) = (session.call("VDI.get_record", vbd["VDI"]) for vbd in vbds if vbd["type"] == "Disk")
    return {"vm": record, "vif": vif, "vtpm": vtpm, "disk": disk}


async def test_what_needs_a_started_target_arrives(worlds: Worlds) -> None:
    """HA, auto-power-on, addresses, caching; and the vTPM stays unique, the serial number the guest's."""
    async with worlds(vms=[equipped_vm()]) as world:
        target = await world.migrate()
        report = await until_phase(world, "done")
        seen = await asyncio.to_thread(look, world, target)
        codes = {warning["code"] for warning in report["warnings"]}
    assert (seen["vm"]["ha_restart_priority"], seen["vm"]["other_config"]["auto_poweron"]) == ("best-effort", "true")
    assert (seen["vif"]["ipv4_configuration_mode"], seen["vif"]["ipv4_gateway"]) == ("Static", "192.0.2.1")
    assert seen["vif"]["ipv4_addresses"] == ["192.0.2.8/24"]
    assert seen["disk"]["allow_caching"]
    assert seen["vtpm"]["is_unique"]
    assert seen["vm"]["bios_strings"]["system-serial-number"] == "ds=nocloud"
    assert not codes & {"ADDRESSES_NOT_SET", "CACHING_LEFT_OFF", "HA_NOT_RESTORED"}


@pytest.mark.parametrize(
    ("code", "vm", "source", "target"),
    [
        ("VCPU_TOPOLOGY", {"vcpus": 3, "platform": {"cores-per-socket": "2"}}, {"release": "6.5"}, {}),
        ("VTPM_NEEDS_ROOT", {"vtpm": True}, {"superuser": False}, {}),
        ("VTPM_NEEDS_ROOT", {"vtpm": True}, {}, {"superuser": False}),
        (
            "VENDOR_DEVICE_RESTRICTED",
            {"fields": {"has_vendor_device": True}},
            {"release": "8.2"},
            {"release": "8.2", "restrictions": VENDOR},
        ),
    ],
)
async def test_what_would_fail_late_is_refused_first(
    worlds: Worlds, code: str, vm: dict[str, Any], source: dict[str, Any], target: dict[str, Any]
) -> None:
    """By plan and call alike, and neither pool was changed."""
    async with worlds(vms=[small_vm(**vm)], source=source, target=target) as world:
        report = await world.plan()
        assert {each["code"] for each in report["findings"] if each["severity"] == "error"} == {code}
        with pytest.raises(CallFailed) as refused:
            await world.start()
        assert refused.value.code == code
        assert [await world.changes(pool) for pool in (world.source, world.target)] == [[], []]
