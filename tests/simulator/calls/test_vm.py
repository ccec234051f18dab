"""VM.create, VM.destroy and their neighbours."""

from typing import Any

import pytest

from xo_warmig.simulator.failure import XapiFailure

NULL = "OpaqueRef:NULL"


def test_a_new_vm_is_halted_and_has_a_seed(make: Any) -> None:
    """Whatever uuid and blocked operations the record had."""
    vm = make.vm(uuid="11111111-2222-3333-4444-555555555555", blocked_operations={"start": "no"})
    row = make.pool.db.row("VM", vm)
    assert row["uuid"] != "11111111-2222-3333-4444-555555555555"
    assert (row["power_state"], row["domid"], row["resident_on"]) == ("Halted", -1, NULL)
    assert row["blocked_operations"] == {}
    assert row["other_config"]["mac_seed"]


def test_the_kind_of_domain_follows_from_the_boot_policy(make: Any) -> None:
    """Without a policy a VM is paravirtual."""
    assert make.field("VM", make.vm(), "domain_type") == "hvm"
    assert make.field("VM", make.vm(HVM_boot_policy=""), "domain_type") == "pv"
    assert make.field("VM", make.vm(domain_type="pvh"), "domain_type") == "pvh"


def test_the_device_model_follows_from_the_firmware(make: Any) -> None:
    """One that is given stays."""
    uefi = make.vm(HVM_boot_params={"firmware": "uefi"})
    assert make.field("VM", make.vm(), "platform")["device-model"] == "qemu-upstream-compat"
    assert make.field("VM", uefi, "platform")["device-model"] == "qemu-upstream-uefi"
    kept = make.vm(platform={"device-model": "qemu-upstream"})
    assert make.field("VM", kept, "platform")["device-model"] == "qemu-upstream"


def test_a_suspended_vm_needs_its_image(make: Any) -> None:
    """Without it the power state cannot be."""
    with pytest.raises(XapiFailure, match="VM_BAD_POWER_STATE"):
        make.vm(power_state="Suspended")


def test_destroy_leaves_the_disks(client: Any, make: Any) -> None:
    """VBDs, VIFs and metrics go with the VM."""
    vdi = make.vdi()
    vm = make.vm(vdi)
    make.vif(vm)
    vbd, vif, metrics = (make.field("VM", vm, name) for name in ("VBDs", "VIFs", "metrics"))
    client("VM.destroy", vm)
    db = make.pool.db
    assert not any(
        (db.exists("VM", vm), db.exists("VBD", vbd[0]), db.exists("VIF", vif[0]), db.exists("VM_metrics", metrics))
    )
    assert make.field("VDI", vdi, "VBDs") == []
    assert "destroy" in make.field("VDI", vdi, "allowed_operations")


def test_destroying_a_snapshot_keeps_the_tree_together(client: Any, make: Any) -> None:
    """What hung on it hangs on what it hung on."""
    vm = make.vm()
    first, second = client("VM.snapshot", vm, "1"), client("VM.snapshot", vm, "2")
    client("VM.destroy", second)
    assert make.field("VM", vm, "parent") == first
    assert make.field("VM", first, "children") == [vm]


def test_default_templates_cannot_be_destroyed(client: Any, make: Any, refused: Any) -> None:
    """They belong to the installation."""
    vm = make.vm(is_a_template=True, other_config={"default_template": "true"})
    assert refused(client, "VM.destroy", vm) == ["VM_CANNOT_DELETE_DEFAULT_TEMPLATE"]


def test_free_devices_are_listed(client: Any, make: Any) -> None:
    """By number, as text."""
    vm = make.vm(make.vdi())
    make.vif(vm)
    assert client("VM.get_allowed_VBD_devices", vm)[:2] == ["1", "2"]
    assert client("VM.get_allowed_VIF_devices", vm) == [str(n) for n in range(1, 16)]
