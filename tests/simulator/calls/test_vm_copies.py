"""Snapshots, checkpoints, reverting, clones, copies and provisioning of VMs."""

from typing import Any

import pytest

from xo_warmig.simulator.calls.metadata_text import metadata_text
from xo_warmig.simulator.failure import XapiFailure

NULL = "OpaqueRef:NULL"
MIB = 1 << 20


def disk_of(make: Any, vm: str, position: int = 0) -> str:
    return str(make.field("VBD", make.field("VM", vm, "VBDs")[position], "VDI"))


def test_a_snapshot_is_a_template_that_knows_its_vm(make: Any, client: Any) -> None:
    """With its own disks, the same MACs, and its place in the tree."""
    vdi = make.vdi()
    vm = make.running(vdi)
    vif = make.vif(vm)
    snapshot = client("VM.snapshot", vm, "shot")
    row = make.pool.db.row("VM", snapshot)
    assert (row["is_a_snapshot"], row["is_a_template"], row["snapshot_of"], row["power_state"]) == (
        True,
        True,
        vm,
        "Halted",
    )
    assert row["snapshot_info"] == {"disk-snapshot-type": "crash_consistent", "power-state-at-snapshot": "Running"}
    assert (row["domid"], row["resident_on"], row["blocked_operations"]) == (-1, NULL, {})
    assert row["other_config"]["mac_seed"] == make.field("VM", vm, "other_config")["mac_seed"]
    assert make.field("VIF", row["VIFs"][0], "MAC") == make.field("VIF", vif, "MAC")
    assert make.field("VM", vm, "parent") == snapshot
    assert make.field("VDI", disk_of(make, snapshot), "snapshot_of") == vdi
    assert make.field("VBD", row["VBDs"][0], "other_config") == {"owner": ""}


def test_a_snapshot_keeps_what_was_there(make: Any, client: Any) -> None:
    """Whatever is written to the disk afterwards."""
    vdi = make.vdi()
    vm = make.vm(vdi)
    make.write(vdi, 0, b"before")
    snapshot = client("VM.snapshot", vm, "shot")
    make.write(vdi, 0, b"after!")
    assert make.read(disk_of(make, snapshot), 0, 6) == b"before"


def test_disks_can_be_left_out_of_a_snapshot(make: Any, client: Any) -> None:
    """``ignore_vdis`` names them."""
    left_out, kept = make.vdi(), make.vdi()
    snapshot = client("VM.snapshot", make.vm(left_out, kept), "s", [left_out])
    assert len(make.field("VM", snapshot, "VBDs")) == 1
    assert make.field("VDI", disk_of(make, snapshot), "snapshot_of") == kept


def test_cds_stay_the_same_in_a_snapshot(make: Any, client: Any) -> None:
    """And an empty drive stays empty."""
    vm, disc = make.vm(), make.vdi(read_only=True)
    make.drive(vm)
    make.vbd(vm, disc, type="CD", mode="RO")
    snapshot = client("VM.snapshot", vm, "s")
    assert [make.field("VBD", vbd, "VDI") for vbd in make.field("VM", snapshot, "VBDs")] == [NULL, disc]


def test_a_snapshot_that_fails_leaves_no_disks(make: Any, client: Any, refused: Any) -> None:
    """Those that were made already are destroyed."""
    first, second = make.vdi(), make.vdi(sharable=True)
    vm = make.vm(first, second)
    assert refused(client, "VM.snapshot", vm, "s") == ["VDI_IS_SHARABLE", second]
    assert make.field("VDI", first, "snapshots") == []
    assert (make.field("VM", vm, "snapshots"), make.field("VM", vm, "current_operations")) == ([], {})


def test_a_checkpoint_is_suspended(make: Any, client: Any) -> None:
    """It has an image of the memory, and the VM runs on."""
    vm = make.running(make.vdi())
    checkpoint = client("VM.checkpoint", vm, "c")
    row = make.pool.db.row("VM", checkpoint)
    assert row["power_state"] == "Suspended"
    assert make.field("VDI", row["suspend_VDI"], "type") == "suspend"
    assert make.field("VM", vm, "power_state") == "Running"


def test_reverting_brings_back_the_disk(make: Any, client: Any) -> None:
    """As a new one; the VM is halted, and the snapshot can be used again."""
    vdi = make.vdi()
    vm = make.running(vdi, name_label="named")
    make.write(vdi, 0, b"before")
    snapshot = client("VM.snapshot", vm, "shot")
    make.write(vdi, 0, b"after!")
    client("VM.revert", snapshot)
    disk = disk_of(make, vm)
    assert make.read(disk, 0, 6) == b"before"
    assert disk != vdi
    assert not make.pool.db.exists("VDI", vdi)
    assert make.field("VDI", disk_of(make, snapshot), "snapshot_of") == disk
    assert (make.field("VM", vm, "power_state"), make.field("VM", vm, "name_label")) == ("Halted", "named")
    client("VM.start", vm, False, False)


def test_a_clone_is_a_vm_of_its_own(make: Any, client: Any) -> None:
    """Other MACs, no snapshot, the same content until somebody writes."""
    vdi = make.vdi()
    vm = make.vm(vdi)
    vif = make.vif(vm)
    make.write(vdi, 0, b"same")
    clone = client("VM.clone", vm, "twin")
    row = make.pool.db.row("VM", clone)
    assert (row["is_a_snapshot"], row["snapshot_of"], row["parent"]) == (False, NULL, NULL)
    assert make.field("VIF", row["VIFs"][0], "MAC") != make.field("VIF", vif, "MAC")
    make.write(disk_of(make, clone), 0, b"else")
    assert make.read(vdi, 0, 4) == b"same"


def test_a_copy_shares_nothing(make: Any, client: Any) -> None:
    """Its disks can be on another SR."""
    vdi = make.vdi()
    make.write(vdi, 5 * MIB, b"data")
    other = next(
        ref for ref, row in make.pool.db.rows("SR").items() if row["content_type"] == "user" and ref != make.sr
    )
    copied = disk_of(make, client("VM.copy", make.vm(vdi), "copy", other))
    assert make.field("VDI", copied, "SR") == other
    assert make.read(copied, 5 * MIB, 4) == b"data"
    assert make.pool.storage.parent(make.field("VDI", copied, "uuid")) is None


def test_vtpms_are_copied_with_their_contents(make: Any, client: Any) -> None:
    """But for those that must stay unique."""
    vm = make.vm()
    vtpm = client("VTPM.create", vm, False)
    client("VTPM.set_contents", vtpm, "c3RhdGU=")
    snapshot = client("VM.snapshot", vm, "s")
    assert client("VTPM.get_contents", make.field("VM", snapshot, "VTPMs")[0]) == "c3RhdGU="


def test_provisioning_makes_the_disks_that_a_template_asks_for(make: Any, client: Any) -> None:
    """And it is a template no more."""
    wanted = '<provision><disk device="0" size="8388608" sr="" bootable="true" type="system"/></provision>'
    vm = make.vm(is_a_template=True, other_config={"disks": wanted})
    client("VM.provision", vm)
    assert not make.field("VM", vm, "is_a_template")
    assert make.field("VDI", disk_of(make, vm), "virtual_size") == 8 * MIB
    assert make.field("VBD", make.field("VM", vm, "VBDs")[0], "bootable")


def test_suspend_and_resume(make: Any, client: Any) -> None:
    """A suspended VM lets go of its disks, though not in name, and takes them up again."""
    vdi = make.vdi()
    vm = make.running(vdi)
    client("VM.suspend", vm)
    row = make.pool.db.row("VM", vm)
    image = row["suspend_VDI"]
    assert (row["power_state"], row["resident_on"]) == ("Suspended", NULL)
    assert make.field("VBD", row["VBDs"][0], "currently_attached")
    assert make.field("VDI", vdi, "sm_config") == {}
    client("VM.resume", vm, False, False)
    assert make.field("VM", vm, "power_state") == "Running"
    assert f"host_{make.pool.master}" in make.field("VDI", vdi, "sm_config")
    assert not make.pool.db.exists("VDI", image)


def test_resuming_fails_when_somebody_took_the_disk(make: Any, client: Any, refused: Any) -> None:
    """And the VM stays suspended, with its image."""
    vdi = make.vdi()
    vm, thief = make.running(vdi), make.vm(vdi)
    client("VM.suspend", vm)
    client("VM.start", thief, False, False)
    assert refused(client, "VM.resume", vm, False, False) == ["VDI_IN_USE", vdi]
    row = make.pool.db.row("VM", vm)
    assert (row["power_state"], make.pool.db.exists("VDI", row["suspend_VDI"])) == ("Suspended", True)
    assert make.field("VBD", row["VBDs"][0], "currently_attached")


def test_a_suspended_vm_is_shut_down_with_its_image(make: Any, client: Any) -> None:
    """What it had in memory is lost."""
    vm = make.running()
    client("VM.suspend", vm)
    image = make.field("VM", vm, "suspend_VDI")
    client("VM.hard_shutdown", vm)
    assert make.field("VM", vm, "power_state") == "Halted"
    assert not make.pool.db.exists("VDI", image)


def test_suspending_needs_a_place(make: Any, client: Any) -> None:
    """VM_NO_SUSPEND_SR, and the VM runs on."""
    vm = make.running()
    make.pool.db.set("pool", make.pool.pool_ref, suspend_image_SR=NULL)
    with pytest.raises(XapiFailure, match="VM_NO_SUSPEND_SR"):
        client("VM.suspend", vm)
    assert make.field("VM", vm, "power_state") == "Running"


def test_metadata_text() -> None:
    """Quotes and backslashes are escaped, maps and sets nest."""
    record = {"name": "it's \\ one", "flag": True, "tags": ["a"], "map": {"k": "v"}}
    assert metadata_text("R", record) == (
        r"(('ref' 'R') ('name' 'it\'s \\ one') ('flag' 'true') ('tags' '(\'a\')') ('map' '((\'k\' \'v\'))'))"
    )
