"""What a target VM is created from."""

from typing import Any

import pytest

from xo_warmig.model.vm import PowerState, Vm
from xo_warmig.xapi.vm_spec import platform_for, vm_record

NEW, OLD = (2, 21), (2, 6)


def source(other_config: dict[str, str] | None = None, **metadata: Any) -> Vm:
    return Vm(
        uuid="vm-1",
        pool="p",
        pool_name="lab",
        name_label="web-1",
        power_state=PowerState.RUNNING,
        is_a_template=False,
        is_a_snapshot=False,
        is_control_domain=False,
        current_operations=[],
        blocked_operations={"start": "theirs"},
        tools=True,
        ha_restart_priority="restart",
        auto_poweron=True,
        memory_static_max_bytes=1,
        other_config=other_config or {},
        disks=[],
        cd_drives=[],
        vifs=[],
        networks={},
        snapshots=[],
        metadata={"xo_warmig:api_version": "2.21", **metadata},
    )


def record(vm: Vm) -> dict[str, Any]:
    return vm_record(vm, migration="m-1", epoch=1, api_version=NEW)


def test_the_target_is_born_unable_to_start_or_to_be_started() -> None:
    """A template (R1), with HA and auto-power-on off (R13)."""
    made = record(source({"auto_poweron": "true"}, ha_restart_priority="restart", ha_always_run=True))
    assert made["is_a_template"] is True
    assert (made["ha_restart_priority"], made["ha_always_run"]) == ("", False)
    assert "auto_poweron" not in made["other_config"]
    assert "blocked_operations" not in made


def test_metadata_travels_as_the_wire_wants_it() -> None:
    """Integers as text, whichever form the source's pool gave them in."""
    made = record(
        source(
            memory_static_max="4294967296",
            VCPUs_max="4",
            VCPUs_params={"weight": "512"},
            HVM_boot_params={"order": "cd", "firmware": "uefi"},
            NVRAM={"EFI-variables": "AAAA"},
            domain_type="hvm",
            tags=["prod"],
            order=3,
            generation_id="1:2",
            name_description="the web",
            HVM_shadow_multiplier=2.0,
            has_vendor_device=True,
        )
    )
    assert (made["memory_static_max"], made["VCPUs_max"], made["order"]) == ("4294967296", "4", "3")
    assert made["HVM_boot_params"] == {"order": "cd", "firmware": "uefi"}
    assert (made["NVRAM"], made["domain_type"], made["tags"]) == ({"EFI-variables": "AAAA"}, "hvm", ["prod"])
    assert (made["generation_id"], made["name_label"], made["name_description"]) == ("1:2", "web-1", "the web")
    assert (made["HVM_shadow_multiplier"], made["has_vendor_device"]) == (2.0, True)


def test_a_field_that_an_old_source_lacks_is_not_invented() -> None:
    """Save for the vendor device, whose default would change the guest's hardware."""
    made = record(source())
    assert "NVRAM" not in made
    assert "domain_type" not in made
    assert "HVM_shadow_multiplier" not in made
    assert made["has_vendor_device"] is False


def test_every_mandatory_member_is_there() -> None:
    """``VM.create`` refuses a record that lacks one."""
    mandatory = (
        "user_version is_a_template affinity memory_static_max memory_dynamic_max memory_dynamic_min memory_static_min "
        "VCPUs_params VCPUs_max VCPUs_at_startup actions_after_shutdown actions_after_reboot actions_after_crash PV_bootloader "
        "PV_kernel PV_ramdisk PV_args PV_bootloader_args PV_legacy_args HVM_boot_policy HVM_boot_params platform PCI_bus "
        "other_config recommendations"
    )
    assert set(mandatory.split()) <= set(record(source()))


def test_nothing_that_refers_to_the_source_s_pool_travels() -> None:
    """References mean nothing elsewhere."""
    made = record(
        source(affinity="OpaqueRef:h", appliance="OpaqueRef:a", suspend_SR="OpaqueRef:s", groups=["OpaqueRef:g"])
    )
    assert made["affinity"] == "OpaqueRef:NULL"
    assert not {"appliance", "suspend_SR", "groups"} & set(made)


def test_other_config_keeps_the_guest_s_and_drops_everybody_s_book_keeping() -> None:
    """MACs come from ``mac_seed``; our own tags are the target's, not the source's."""
    made = record(
        source(
            {
                "mac_seed": "seed",
                "base_template_name": "Debian",
                "xo:backup:job": "j",
                "xo:copy_of": "x",
                "xo:base_delta_vdi": "y",
                "xo:base_delta": "z",
                "xo:base_delta:7c5d5b1e": "z",
                "XenCenter.CustomFields.owner": "ops",
                "xo_warmig:door": "k",
                "pci": "0/0000:04:00.0",
            }
        )
    )
    assert made["other_config"] == {
        "mac_seed": "seed",
        "base_template_name": "Debian",
        "XenCenter.CustomFields.owner": "ops",
        "xo_warmig:migration": "m-1",
        "xo_warmig:role": "target",
        "xo_warmig:epoch": "1",
    }


def test_only_the_users_part_of_xenstore_data_travels() -> None:
    """The rest is written by the toolstack."""
    made = record(source(xenstore_data={"vm-data": "", "vm-data/key": "v", "vm-data-like": "x", "mmio": "y"}))
    assert made["xenstore_data"] == {"vm-data": "", "vm-data/key": "v"}


@pytest.mark.parametrize(
    ("model", "source_version", "target_version", "kept"),
    [
        ("qemu-upstream-compat", "2.21", NEW, True),
        ("qemu-upstream-compat", "2.21", OLD, False),
        ("qemu-upstream-compat", "2.6", NEW, True),
        ("qemu-trad", "2.6", NEW, False),
        ("qemu-trad", "2.6", OLD, True),
    ],
)
def test_a_device_model_stays_where_the_target_knows_it(
    model: str, source_version: str, target_version: tuple[int, int], kept: bool
) -> None:
    """The target's own choice else."""
    metadata = {
        "platform": {"device-model": model, "featureset": "f", "timeoffset": "3600", "viridian": "true"},
        "xo_warmig:api_version": source_version,
    }
    platform = platform_for(metadata, target_version)
    assert ("device-model" in platform) is kept
    assert platform["viridian"] == "true"
    assert not {"featureset", "timeoffset"} & set(platform)


@pytest.mark.parametrize(("firmware", "kept"), [("uefi", True), ("bios", False)])
def test_a_device_model_for_uefi_stays_with_a_vm_that_boots_by_it(firmware: str, kept: bool) -> None:
    """No release starts one that was changed to BIOS with it."""
    metadata = {
        "platform": {"device-model": "qemu-upstream-uefi"},
        "HVM_boot_params": {"firmware": firmware},
        "xo_warmig:api_version": "2.21",
    }
    assert ("device-model" in platform_for(metadata, NEW)) is kept


def test_processors_of_the_host_do_not_travel() -> None:
    """Weight and cap do."""
    made = record(source(VCPUs_params={"weight": "512", "cap": "50", "mask": "0,1"}))
    assert made["VCPUs_params"] == {"weight": "512", "cap": "50"}
