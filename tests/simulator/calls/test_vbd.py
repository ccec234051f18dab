"""Calls on VBDs, and the names of devices."""

from typing import Any

import pytest

from xo_warmig.simulator.calls.devices import disk_number, linux_device

NULL = "OpaqueRef:NULL"


@pytest.mark.parametrize(
    ("device", "number"),
    [
        ("0", 0),
        ("254", 254),
        ("xvda", 0),
        ("hdd", 3),
        ("sdb", 1),
        ("xvdaa", 26),
        ("300", None),
        ("silly", None),
        ("", None),
        ("-1", None),
    ],
)
def test_positions_of_devices(device: str, number: int | None) -> None:
    """Numbers and Linux names mean positions."""
    assert disk_number(device) == number


def test_names_of_positions() -> None:
    """One letter, then two."""
    assert [linux_device(n) for n in ("0", "25", "26", "xvdb")] == ["xvda", "xvdz", "xvdaa", "xvdb"]


def test_autodetect_takes_the_first_free_position(make: Any) -> None:
    """For a CD drive the fourth, as long as it is free."""
    vm = make.vm(make.vdi())
    assert make.field("VBD", make.vbd(vm, make.vdi()), "userdevice") == "1"
    assert make.field("VBD", make.drive(vm), "userdevice") == "3"
    assert make.field("VBD", make.drive(vm), "userdevice") == "2"


@pytest.mark.parametrize(
    ("fields", "details"),
    [
        ({"userdevice": "0"}, ["DEVICE_ALREADY_EXISTS", "0"]),
        ({"userdevice": "xvda"}, ["DEVICE_ALREADY_EXISTS", "xvda"]),
        ({"userdevice": "silly"}, ["INVALID_DEVICE", "silly"]),
        ({"type": "CD"}, ["VBD_CDS_MUST_BE_READONLY"]),
        ({"empty": True, "VDI": NULL, "mode": "RO"}, ["VBD_NOT_REMOVABLE_MEDIA", "in constructor"]),
    ],
)
def test_vbds_that_cannot_be(make: Any, client: Any, refused: Any, fields: dict[str, Any], details: list[str]) -> None:
    """Refused when they are made."""
    record = {
        "VM": make.vm(make.vdi()),
        "VDI": make.vdi(),
        "userdevice": "1",
        "bootable": False,
        "mode": "RW",
        "type": "Disk",
    }
    rest = {"empty": False, "other_config": {}, "qos_algorithm_type": "", "qos_algorithm_params": {}}
    assert refused(client, "VBD.create", record | rest | fields) == details


def test_a_read_only_disk_is_not_for_writing(make: Any, client: Any, refused: Any) -> None:
    """Neither at creation nor when its VBD is changed."""
    vdi = make.vdi(read_only=True)
    vbd = make.vbd(make.vm(), vdi, mode="RO")
    assert refused(client, "VBD.set_mode", vbd, "RW") == ["VDI_READONLY", vdi]


def test_plugging_into_a_running_vm(make: Any, client: Any, refused: Any) -> None:
    """Once, and out again; then the VBD can go."""
    vdi = make.vdi()
    vbd = make.vbd(make.running(), vdi)
    assert refused(client, "VBD.unplug", vbd) == ["DEVICE_ALREADY_DETACHED", vbd]
    client("VBD.plug", vbd)
    assert f"host_{make.pool.master}" in make.field("VDI", vdi, "sm_config")
    assert refused(client, "VBD.plug", vbd) == ["DEVICE_ALREADY_ATTACHED", vbd]
    assert refused(client, "VBD.destroy", vbd)[0] == "OPERATION_NOT_ALLOWED"
    client("VBD.unplug", vbd)
    client("VBD.destroy", vbd)
    assert make.field("VDI", vdi, "VBDs") == []
    assert "destroy" in make.field("VDI", vdi, "allowed_operations")


def test_plugging_needs_a_running_vm_with_drivers(make: Any, client: Any, refused: Any) -> None:
    """VM_BAD_POWER_STATE, then VM_MISSING_PV_DRIVERS."""
    vm = make.vm()
    vbd = make.vbd(vm, make.vdi())
    assert refused(client, "VBD.plug", vbd) == ["VM_BAD_POWER_STATE", vm, "running", "halted"]
    running = make.running(tools=False)
    assert refused(client, "VBD.plug", make.vbd(running, make.vdi())) == ["VM_MISSING_PV_DRIVERS", running]


def test_a_disk_of_a_running_vm_is_not_plugged_elsewhere(make: Any, client: Any, refused: Any) -> None:
    """Unless it may be shared."""
    vdi, shared = make.vdi(), make.vdi(sharable=True)
    make.running(vdi, shared)
    vm = make.running()
    assert refused(client, "VBD.plug", make.vbd(vm, vdi)) == ["VDI_IN_USE", vdi]
    client("VBD.plug", make.vbd(vm, shared))


def test_a_vbd_that_stays(make: Any, client: Any, refused: Any) -> None:
    """Not unpluggable means just that."""
    vm = make.running()
    vbd = make.vbd(vm, make.vdi(), unpluggable=False)
    client("VBD.plug", vbd)
    assert refused(client, "VBD.unplug", vbd) == ["VBD_NOT_UNPLUGGABLE", vbd]


def test_cds_go_in_and_out(make: Any, client: Any, refused: Any) -> None:
    """Of drives only, one at a time."""
    vm, disc = make.running(make.vdi()), make.vdi(read_only=True)
    drive = make.drive(vm)
    assert refused(client, "VBD.eject", drive) == ["VBD_IS_EMPTY", drive]
    client("VBD.insert", drive, disc)
    assert (make.field("VBD", drive, "VDI"), make.field("VBD", drive, "empty")) == (disc, False)
    assert refused(client, "VBD.insert", drive, disc) == ["VBD_NOT_EMPTY", drive]
    client("VBD.eject", drive)
    assert (make.field("VDI", disc, "VBDs"), make.field("VDI", disc, "sm_config")) == ([], {})
    disk = make.field("VM", vm, "VBDs")[0]
    assert refused(client, "VBD.eject", disk) == ["VBD_NOT_REMOVABLE_MEDIA", disk]


def test_another_device(make: Any, client: Any, refused: Any) -> None:
    """Any that is free, while nothing is attached."""
    vm = make.vm(make.vdi(), make.vdi())
    vbd = make.field("VM", vm, "VBDs")[0]
    assert refused(client, "VBD.set_userdevice", vbd, "1") == ["DEVICE_ALREADY_EXISTS", "1"]
    client("VBD.set_userdevice", vbd, "5")
    assert make.field("VBD", vbd, "userdevice") == "5"
