"""VM.clone, VM.copy and VM.provision: new VMs from others and from templates."""

from typing import TYPE_CHECKING
from xml.etree import ElementTree

from xo_warmig.simulator.calls import disks
from xo_warmig.simulator.calls.operations import Hold, doing, refresh_around
from xo_warmig.simulator.calls.vdi_copy import copy as copy_disk
from xo_warmig.simulator.calls.vm_copies import copy_vm
from xo_warmig.simulator.failure import XapiFailure

if TYPE_CHECKING:
    from xo_warmig.simulator.dispatch import Call


def clone(call: "Call", vm: str, new_name: str) -> str:
    """A VM whose disks share blocks with this one's."""
    with doing(call, Hold("VM", vm, "clone")):
        return copy_vm(call, vm, new_name, lambda vdi: disks.clone(call, vdi), snapshot=False)


def copy(call: "Call", vm: str, new_name: str, sr: str) -> str:
    """A VM with full copies of this one's disks, each in its own SR when no SR is given."""
    db = call.pool.db
    if db.exists("SR", sr) and db.row("SR", sr)["content_type"] == "iso":
        raise XapiFailure("OPERATION_NOT_ALLOWED", "Cannot copy a VM's disks to an ISO SR")

    def full_copy(vdi: str) -> str:
        return copy_disk(call, vdi, sr if db.exists("SR", sr) else db.row("VDI", vdi)["SR"])

    with doing(call, Hold("VM", vm, "copy")):
        return copy_vm(call, vm, new_name, full_copy, snapshot=False)


def provision(call: "Call", vm: str) -> None:
    """Make a VM of a template: the disks that ``other_config["disks"]`` asks for are created, and it is a template no more."""
    db = call.pool.db
    with doing(call, Hold("VM", vm, "provision")):
        for number, (device, size_bytes, sr, bootable) in enumerate(_wanted_disks(call, vm)):
            name = f"{db.row('VM', vm)['name_label']} {number}"
            vdi = disks.create(
                call, sr, size_bytes, name_label=name, name_description="Created by template provisioner", type="system"
            )
            fields = {
                "userdevice": device,
                "bootable": bootable,
                "mode": "RW",
                "type": "Disk",
                "other_config": {"owner": ""},
            }
            db.create("VBD", VM=vm, VDI=vdi, **fields)
        with db.lock:
            db.update_map("VM", vm, "other_config", disks=None)
            db.set("VM", vm, is_a_template=False)
    refresh_around(db, "VM", vm)


def _wanted_disks(call: "Call", vm: str) -> list[tuple[str, int, str, bool]]:
    """Device, size, SR and whether it is bootable, from ``<provision><disk device="0" size="..." sr="uuid" bootable="true"/>``."""
    db = call.pool.db
    text = db.row("VM", vm)["other_config"].get("disks", "")
    if not text:
        return []
    try:
        root = ElementTree.fromstring(text)
        default = db.row("pool", call.pool.pool_ref)["default_SR"]
        wanted = []
        for disk in root.iter("disk"):
            sr = db.by_uuid("SR", disk.get("sr", "")) if disk.get("sr") else default
            wanted.append((disk.get("device", "0"), int(disk.get("size", "0")), sr, disk.get("bootable") == "true"))
        return wanted
    except (ElementTree.ParseError, ValueError) as error:
        raise XapiFailure("INTERNAL_ERROR", f"provision: {error}") from error


CALLS = {"VM.clone": clone, "VM.copy": copy, "VM.provision": provision}
