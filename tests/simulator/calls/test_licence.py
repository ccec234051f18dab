"""What a pool's licence does not allow, and what an account may not do."""

from typing import Any

import pytest

VENDOR = {"restrict_pci_device_for_auto_update": "true"}


def restrict(make: Any, **restrictions: str) -> None:
    make.pool.db.update_map("pool", make.pool.pool_ref, "restrictions", **restrictions)


@pytest.mark.parametrize(("release", "refuses"), [("6.5", False), ("7.1", True), ("8.2", True), ("8.3", False)])
def test_the_vendor_device_needed_a_licence(
    new_pool: Any, make_on: Any, refused: Any, release: str, refuses: bool
) -> None:
    """While XAPI asked for one, also of who leaves the field out; 6.5 does not know the field."""
    make = make_on(new_pool("older", release=release, restrictions=VENDOR))
    make.vm(has_vendor_device=False)
    if refuses:
        details = ["LICENCE_RESTRICTION", "PCI_device_for_auto_update"]
        record = make.client("VM.get_record", make.vm()) | {"affinity": ""}
        assert refused(make.client, "VM.create", record | {"has_vendor_device": True}) == details
        assert refused(make.client, "VM.set_has_vendor_device", make.vm(), True) == details
    else:
        make.vm(has_vendor_device=True)


@pytest.mark.parametrize(
    "fields", [{"locking_mode": "locked"}, {"ipv4_allowed": ["192.0.2.1"]}, {"ipv6_allowed": ["2001:db8::1"]}]
)
def test_locking_needs_a_licence(make: Any, client: Any, refused: Any, fields: dict[str, Any]) -> None:
    """Being open to all, or to nothing, does not."""
    restrict(make, restrict_vif_locking="true")
    vm = make.vm()
    open_to_all = make.vif(vm, locking_mode="unlocked")
    make.vif(vm, "1", locking_mode="disabled")
    with pytest.raises(Exception, match="LICENCE_RESTRICTION"):
        make.vif(vm, "2", **fields)
    for name, value in fields.items():
        assert refused(client, f"VIF.set_{name}", open_to_all, value) == ["LICENCE_RESTRICTION", "VIF_locking"]


def test_nested_virtualisation_needs_a_licence_at_the_start(make: Any, client: Any, refused: Any) -> None:
    """Not before."""
    restrict(make, restrict_nested_virt="true")
    vm = make.vm(platform={"nested-virt": "true"})
    assert refused(client, "VM.start", vm, False, False) == ["LICENCE_RESTRICTION", "Nested_virt"]


def test_addresses_are_set_through_tools_that_can(make: Any, client: Any, refused: Any) -> None:
    """Of a guest that runs, where the licence allows it, and within what the interface is locked to."""
    halted = make.vm()
    vif = make.vif(halted)
    assert refused(client, "VIF.configure_ipv4", vif, "Static", "192.0.2.7/24", "") == ["VM_LACKS_FEATURE", halted]
    plain = make.vif(make.running())
    assert refused(client, "VIF.configure_ipv4", plain, "Static", "192.0.2.7/24", "")[0] == "VM_LACKS_FEATURE"
    vif = make.vif(make.running(other_config={"sim:guest": '{"tools": true, "sets_addresses": true}'}))
    client("VIF.configure_ipv4", vif, "Static", "192.0.2.7/24", "192.0.2.1")
    assert make.field("VIF", vif, "ipv4_addresses") == ["192.0.2.7/24"]
    client("VIF.set_locking_mode", vif, "locked")
    other = ("VIF.configure_ipv4", vif, "Static", "192.0.2.8/24", "")
    assert refused(client, *other) == ["ADDRESS_VIOLATES_LOCKING_CONSTRAINT", "192.0.2.8/24"]
    restrict(make, restrict_guest_ip_setting="true")
    assert refused(client, *other) == ["LICENCE_RESTRICTION", "Guest_ip_setting"]


def test_contents_of_a_vtpm_are_for_root_alone(new_pool: Any, make_on: Any, refused: Any) -> None:
    """An account of a directory may make a vTPM, and neither read nor fill it."""
    make = make_on(new_pool("directory", superuser=False))
    vtpm = make.client("VTPM.create", make.vm(), False)
    assert refused(make.client, "VTPM.get_contents", vtpm)[:2] == ["RBAC_PERMISSION_DENIED", "vtpm.get_contents"]
    assert refused(make.client, "VTPM.set_contents", vtpm, "")[:2] == ["RBAC_PERMISSION_DENIED", "vtpm.set_contents"]
