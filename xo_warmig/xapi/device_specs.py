"""The records that a target's disks, VBDs, CD drives and VIFs are created from. Pure."""

from typing import Any

from xo_warmig.model.vm import CdDrive, Disk, Vif
from xo_warmig.xapi.objects import NULL, tags, without_book_keeping, without_ours

_CONTENT = "content_id"  # XAPI's own: two disks with the same one have the same content
_COPIED_TYPES = frozenset({"user", "system"})
_FREE_LOCKING = "network_default"


def disk_role(source: Disk) -> str:
    """The role under which the target of a source disk is found again."""
    return f"disk:{source.vdi}"


def clone_role(source: Disk, origin: str) -> str:
    """The role under which the clone of a source disk's target is found again; ``origin``: uuid of that target."""
    return f"{disk_role(source)}/{origin}"


def disk_other_config(source: Disk) -> dict[str, str]:
    """What the target of a disk takes over of its ``other_config``."""
    return {key: text for key, text in without_book_keeping(source.vdi_other_config).items() if key != _CONTENT}


def vdi_record(source: Disk, *, sr_ref: str, migration: str, epoch: int) -> dict[str, Any]:
    """The argument of ``VDI.create``: writable whatever the source is, as it is filled by an import.

    ``sm_config`` never travels: it describes the image on the source's storage.
    """
    return {
        "SR": sr_ref,
        "virtual_size": str(source.virtual_size_bytes),
        "type": source.vdi_type if source.vdi_type in _COPIED_TYPES else "user",
        "sharable": source.sharable,
        "read_only": False,
        "other_config": disk_other_config(source) | tags(migration=migration, role=disk_role(source), epoch=epoch),
        "name_label": source.name_label,
        "name_description": source.name_description,
        "xenstore_data": {},
        "sm_config": {},
        "tags": list(source.tags),
    }


def vbd_record(source: Disk, *, vm_ref: str, vdi_ref: str) -> dict[str, Any]:
    """The argument of ``VBD.create`` for a disk; a disk that the VM may only read stays so by its mode."""
    return {
        "VM": vm_ref,
        "VDI": vdi_ref,
        "userdevice": source.device,
        "bootable": source.bootable,
        "mode": source.mode,
        "type": "Disk",
        "unpluggable": source.unpluggable,
        "empty": False,
        "other_config": without_ours(source.vbd_other_config),
        "qos_algorithm_type": source.qos_algorithm_type,
        "qos_algorithm_params": source.qos_algorithm_params,
    }


def cd_record(source: CdDrive, *, vm_ref: str) -> dict[str, Any]:
    """The argument of ``VBD.create`` for a CD drive, empty."""
    return {
        "VM": vm_ref,
        "VDI": NULL,
        "userdevice": source.device,
        "bootable": source.bootable,
        "mode": "RO",
        "type": "CD",
        "unpluggable": True,
        "empty": True,
        "other_config": {},
        "qos_algorithm_type": "",
        "qos_algorithm_params": {},
    }


def vif_record(source: Vif, *, vm_ref: str, network_ref: str) -> dict[str, Any]:
    """The argument of ``VIF.create``; locking is named only where the source has it, as old editions ask a licence for it.

    It takes no address for the guest: see ``guest_addresses``.
    """
    record: dict[str, Any] = {
        "device": source.device,
        "network": network_ref,
        "VM": vm_ref,
        "MAC": source.mac,
        "MTU": str(source.mtu),
        "other_config": without_ours(source.other_config),
        "qos_algorithm_type": source.qos_algorithm_type,
        "qos_algorithm_params": source.qos_algorithm_params,
    }
    if source.locking_mode != _FREE_LOCKING:
        record["locking_mode"] = source.locking_mode
    if source.ipv4_allowed:
        record["ipv4_allowed"] = source.ipv4_allowed
    if source.ipv6_allowed:
        record["ipv6_allowed"] = source.ipv6_allowed
    return record
