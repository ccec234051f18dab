"""Whether guests can start with secure boot."""

from typing import Any

UEFI = {"HVM_boot_params": {"firmware": "uefi"}, "platform": {"secureboot": "true"}}


def test_a_pool_is_ready_once_it_has_keys(make: Any, client: Any) -> None:
    """Without any it is not."""
    pool = make.pool.pool_ref
    assert client("pool.get_guest_secureboot_readiness", pool) == "not_ready"
    client("pool.set_custom_uefi_certificates", pool, "a2V5cw==")
    assert client("pool.get_guest_secureboot_readiness", pool) == "ready"


def test_a_vm_says_what_stands_in_its_way(make: Any, client: Any) -> None:
    """Its firmware, its setting, its first start, and the pool's keys, one after the other."""
    assert client("VM.get_secureboot_readiness", make.vm()) == "not_supported"
    assert client("VM.get_secureboot_readiness", make.vm(HVM_boot_params=UEFI["HVM_boot_params"])) == "disabled"
    vm = make.vm(**UEFI)
    assert client("VM.get_secureboot_readiness", vm) == "first_boot"
    client("VM.set_NVRAM", vm, {"EFI-variables": "dmFycw=="})
    assert client("VM.get_secureboot_readiness", vm) == "setup_mode"
    client("pool.set_custom_uefi_certificates", make.pool.pool_ref, "a2V5cw==")
    assert client("VM.get_secureboot_readiness", vm) == "ready"


def test_of_objects_that_exist_only(make: Any, client: Any, refused: Any) -> None:
    """As any call."""
    for method, kind in (("VM.get_secureboot_readiness", "VM"), ("pool.get_guest_secureboot_readiness", "pool")):
        assert refused(client, method, "OpaqueRef:no") == ["HANDLE_INVALID", kind, "OpaqueRef:no"]


def test_a_start_settles_what_goes_by_the_pool(new_pool: Any, make_on: Any) -> None:
    """Since 8.1; before, the word means nothing."""
    auto = UEFI | {"platform": {"secureboot": "auto"}}
    make = make_on(new_pool("new"))
    assert make.field("VM", make.running(**auto), "platform")["secureboot"] == "false"
    make.client("pool.set_custom_uefi_certificates", make.pool.pool_ref, "a2V5cw==")
    assert make.field("VM", make.running(**auto), "platform")["secureboot"] == "true"
    old = make_on(new_pool("old", release="8.0"))
    assert old.field("VM", old.running(**auto), "platform")["secureboot"] == "auto"
