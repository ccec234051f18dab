"""Setters of VMs, and their memory."""

from typing import Any

import pytest

MIB, GIB = 1 << 20, 1 << 30


def test_memory_limits_have_an_order(make: Any, client: Any, refused: Any) -> None:
    """static min, dynamic min, dynamic max, static max."""
    vm = make.vm()
    client("VM.set_memory_limits", vm, str(GIB), str(4 * GIB), str(2 * GIB), str(3 * GIB))
    names = ("memory_static_min", "memory_dynamic_min", "memory_dynamic_max", "memory_static_max")
    assert [make.field("VM", vm, name) // GIB for name in names] == [1, 2, 3, 4]
    limits = (str(GIB), str(4 * GIB), str(3 * GIB), str(2 * GIB))
    assert refused(client, "VM.set_memory_limits", vm, *limits) == ["MEMORY_CONSTRAINT_VIOLATION_ORDER"]


def test_a_running_vm_keeps_its_static_memory(make: Any, client: Any, refused: Any) -> None:
    """Only the dynamic range can change."""
    vm = make.running()
    assert refused(client, "VM.set_memory_limits", vm, "0", "1", "0", "1")[0] == "VM_BAD_POWER_STATE"
    client("VM.set_memory_static_min", make.vm(), str(512 * MIB))
    client("VM.set_memory_dynamic_range", vm, str(GIB), str(GIB))


@pytest.mark.parametrize(
    ("method", "args"),
    [
        ("VM.set_VCPUs_max", ("2",)),
        ("VM.set_VCPUs_at_startup", ("1",)),
        ("VM.set_NVRAM", ({"EFI-variables": "eA=="},)),
        ("VM.set_domain_type", ("pv",)),
        ("VM.set_HVM_shadow_multiplier", (2.0,)),
        ("VM.set_has_vendor_device", (True,)),
        ("VM.set_is_a_template", (True,)),
    ],
)
def test_what_only_a_halted_vm_lets_change(
    make: Any, client: Any, refused: Any, method: str, args: tuple[Any, ...]
) -> None:
    """A running one refuses, and halted it works."""
    vm = make.running()
    assert refused(client, method, vm, *args) == ["VM_BAD_POWER_STATE", vm, "halted", "running"]
    client("VM.hard_shutdown", vm)
    client(method, vm, *args)


def test_vcpus_must_be_possible(make: Any, client: Any, refused: Any) -> None:
    """One at least, no more at start-up than at most."""
    vm = make.vm()
    assert refused(client, "VM.set_VCPUs_at_startup", vm, "3")[0] == "INVALID_VALUE"
    assert refused(client, "VM.set_VCPUs_max", vm, "0")[0] == "INVALID_VALUE"


def test_nvram_entries(make: Any, client: Any, refused: Any) -> None:
    """An entry that is there must be removed first."""
    vm = make.vm()
    client("VM.add_to_NVRAM", vm, "EFI-variables", "eA==")
    assert refused(client, "VM.add_to_NVRAM", vm, "EFI-variables", "eQ==")[0] == "MAP_DUPLICATE_KEY"
    client("VM.remove_from_NVRAM", vm, "EFI-variables")
    assert make.field("VM", vm, "NVRAM") == {}


def test_bios_strings_are_set_once(make: Any, client: Any, refused: Any) -> None:
    """Known keys, printable and not empty; the rest is generic."""
    vm = make.vm()
    assert refused(client, "VM.set_bios_strings", vm, {"oem-1": "x"}) == ["INVALID_VALUE", "oem-1", "Unknown key"]
    assert refused(client, "VM.set_bios_strings", vm, {"bios-vendor": ""})[0] == "INVALID_VALUE"
    assert refused(client, "VM.set_bios_strings", vm, {"bios-vendor": "\u00fc"})[0] == "INVALID_VALUE"
    client("VM.set_bios_strings", vm, {"bios-vendor": "Acme"})
    strings = make.field("VM", vm, "bios_strings")
    assert (strings["bios-vendor"], strings["system-product-name"]) == ("Acme", "HVM domU")
    assert refused(client, "VM.set_bios_strings", vm, {"bios-vendor": "Other"}) == ["VM_BIOS_STRINGS_ALREADY_SET"]
    assert refused(client, "VM.copy_bios_strings", vm, make.pool.master) == ["VM_BIOS_STRINGS_ALREADY_SET"]


def test_blocking_changes_what_is_allowed(make: Any, client: Any, refused: Any) -> None:
    """At once, and back again."""
    vm = make.vm()
    client("VM.set_blocked_operations", vm, {"start": "moving"})
    assert "start" not in make.field("VM", vm, "allowed_operations")
    assert refused(client, "VM.add_to_blocked_operations", vm, "start", "again")[0] == "MAP_DUPLICATE_KEY"
    client("VM.remove_from_blocked_operations", vm, "start")
    assert "start" in make.field("VM", vm, "allowed_operations")


@pytest.mark.parametrize(
    ("method", "value", "code"),
    [
        ("VM.set_ha_restart_priority", "1", "INVALID_VALUE"),
        ("VM.set_actions_after_crash", "rename_restart", "VALUE_NOT_SUPPORTED"),
        ("VM.set_actions_after_crash", "coredump_and_restart", "VALUE_NOT_SUPPORTED"),
        ("VM.set_order", "-1", "INVALID_VALUE"),
        ("VM.set_groups", ["OpaqueRef:a", "OpaqueRef:b"], "TOO_MANY_GROUPS"),
        ("VM.set_appliance", "OpaqueRef:none", "HANDLE_INVALID"),
    ],
)
def test_values_that_are_none(make: Any, client: Any, refused: Any, method: str, value: Any, code: str) -> None:
    """Refused with the code that XAPI has for it."""
    assert refused(client, method, make.vm(), value)[0] == code
