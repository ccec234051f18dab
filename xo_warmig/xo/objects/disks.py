"""Storage: SR, PBD, VDI and VBD."""

from typing import Final

from msgspec import UNSET, UnsetType

from xo_warmig.xo.numbers import number
from xo_warmig.xo.objects.records import PoolRecords, Record
from xo_warmig.xo.objects.subject import Subject, XoObject, link
from xo_warmig.xo.objects.times import seconds

_THIN: Final = frozenset({"ext", "file", "nfs", "shm", "smb", "zfs"})
_THICK: Final = frozenset(
    {
        *("hba", "iscsi", "rawhba", "rawiscsi", "udev"),
        *("lvhd", "lvhdofcoe", "lvhdohba", "lvhdoiscsi", "lvm", "lvmofcoe", "lvmohba", "lvmoiscsi"),
        *("ocfs", "ocfsohba", "ocfsoiscsi"),
    }
)
_SECRET: Final = ("token", "passphrase", "encryptionKey")


def sr(of: Subject) -> XoObject:
    """A storage repository. Sizes in bytes."""
    return {
        "type": "SR",
        "content_type": of.field("content_type"),
        "physical_usage": of.number("physical_utilisation"),
        "allocationStrategy": _allocation(of),
        "current_operations": of.map("current_operations"),
        "inMaintenanceMode": "xo:maintenanceState" in of.map("other_config"),
        "name_description": of.field("name_description"),
        "name_label": of.field("name_label"),
        "size": of.number("physical_size"),
        "shared": of.flag("shared"),
        "SR_type": of.field("type"),
        "tags": of.items("tags"),
        "usage": of.number("virtual_allocation"),
        "VDIs": of.links("VDIs", "VDI"),
        "other_config": of.map("other_config"),
        "sm_config": of.map("sm_config"),
        "$container": of.pool.id if of.flag("shared") else host_of_sr(of.pool, of.record, instead=of.pool.id),
        "$PBDs": of.links("PBDs", "PBD"),
    }


def host_of_sr(pool: PoolRecords, record: Record, *, instead: str | UnsetType) -> str | UnsetType:
    """The id of the host that has an SR, by its first PBD; ``instead`` when it has none."""
    pbd = _first_pbd(pool, record)
    return instead if pbd is None else link(pool, "host", pbd.get("host"))


def pbd(of: Subject) -> XoObject:
    """How a host reaches an SR; passwords are hidden."""
    return {
        "type": "PBD",
        "attached": of.flag("currently_attached"),
        "host": of.link("host", "host"),
        "SR": of.link("SR", "SR"),
        "device_config": {
            key: "* obfuscated *" if key in _SECRET or "password" in key.lower() else text
            for key, text in of.map("device_config").items()
        },
        "otherConfig": of.map("other_config"),
    }


def vdi(of: Subject) -> XoObject:
    """A disk image. Sizes in bytes."""
    sm_config = of.map("sm_config")
    return {
        "cbt_enabled": of.field("cbt_enabled"),
        "missing": of.field("missing"),
        "name_description": of.field("name_description"),
        "name_label": of.field("name_label"),
        "parent": sm_config.get("vhd-parent", UNSET),
        "image_format": sm_config.get("image-format", UNSET),
        "size": of.number("virtual_size"),
        "snapshots": of.links("snapshots", "VDI"),
        "tags": of.items("tags"),
        "usage": of.number("physical_utilisation"),
        "VDI_type": of.field("type"),
        "current_operations": of.map("current_operations"),
        "other_config": of.map("other_config"),
        "$SR": of.link("SR", "SR"),
        "$VBDs": of.links("VBDs", "VBD"),
        **_vdi_by_kind(of),
    }


def vbd(of: Subject) -> XoObject:
    """A disk or CD drive of a VM."""
    return {
        "type": "VBD",
        "attached": of.flag("currently_attached"),
        "bootable": of.flag("bootable"),
        "device": of.record.get("device") or None,
        "is_cd_drive": of.record.get("type") == "CD",
        "position": of.field("userdevice"),
        "read_only": of.record.get("mode") == "RO",
        "VDI": of.link("VDI", "VDI"),
        "VM": of.link("VM", "VM"),
    }


def _first_pbd(pool: PoolRecords, record: Record) -> Record | None:
    refs = record.get("PBDs") or [None]
    return pool.get("PBD", refs[0])


def _allocation(of: Subject) -> str | UnsetType:
    sr_type = of.record.get("type")
    if sr_type == "linstor":
        pbd = _first_pbd(of.pool, of.record) or {}
        return str(pbd.get("device_config", {}).get("provisioning", "unknown"))
    if sr_type in _THIN:
        return "thin"
    return "thick" if sr_type in _THICK else UNSET


def _vdi_by_kind(of: Subject) -> XoObject:
    snapshot_of = of.link("snapshot_of", "VDI")
    if of.flag("is_a_snapshot") or snapshot_of is not UNSET:
        return {
            "type": "VDI-snapshot",
            "snapshot_time": seconds(of.record.get("snapshot_time")),
            "$snapshot_of": snapshot_of,
        }
    if not of.flag("managed"):
        return {"type": "VDI-unmanaged"}
    return {"type": "VDI", "chainPhysicalUsage": _of_the_chain(of)}


def _of_the_chain(of: Subject) -> int | float:
    """The bytes that it and all images under it use."""
    total: int | float = 0
    record: Record | None = of.record
    seen = set()
    while record is not None and record["uuid"] not in seen:
        seen.add(record["uuid"])
        total += number(record.get("physical_utilisation")) or 0
        record = of.pool.vdi((record.get("sm_config") or {}).get("vhd-parent"))
    return total
