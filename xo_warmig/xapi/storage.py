"""Reading a storage repository: its room, its kind, and whether a live host can reach it."""

import asyncio
from collections.abc import Mapping
from typing import Any

from xo_warmig.errors import PoolError
from xo_warmig.formats import qcow2, vhd
from xo_warmig.model.vm import StorageRepository
from xo_warmig.xapi import objects
from xo_warmig.xapi.connection import Calls

# Drivers that allocate as data is written.
_THIN = frozenset(
    {
        "ext",
        "nfs",
        "smb",
        "cifs",
        "file",
        "gfs2",
        "linstor",
        "largeblock",
        "xfs",
        "cephfs",
        "moosefs",
        "glusterfs",
        "zfs",
    }
)
# Drivers on LVM: their disks are VHD when the SR says so, else bare volumes that hold what the last owner left in them.
_LVM = frozenset({"lvm", "lvmoiscsi", "lvmohba", "lvmofcoe"})
_BARE = frozenset({"iscsi", "hba", "rawhba", "equal", "netapp", "cslg", "zfs-vol"})
_NOT_WRITABLE = frozenset({"iso", "udev"})


async def read_sr(calls: Calls, sr: str) -> StorageRepository:
    """Raises NoSuchObject."""
    ref = await objects.ref_of(calls, "SR", sr)
    record, drivers = await asyncio.gather(calls.call("SR.get_record", ref), calls.call("SM.get_all_records"))
    plugged = bool(await hosts_of(calls, ref))
    driver = next((driver for driver in drivers.values() if driver["type"] == record["type"]), None)
    return sr_from(record, plugged=plugged, driver=driver)


def sr_from(record: Mapping[str, Any], *, plugged: bool, driver: Mapping[str, Any] | None) -> StorageRepository:
    """``driver``: its SM record, None when the pool has none."""
    kind = record["type"]
    features = None if driver is None else driver["features"]
    sm_config = record["sm_config"]
    return StorageRepository(
        uuid=record["uuid"],
        name_label=record["name_label"],
        type=kind,
        content_type=record["content_type"],
        physical_size_bytes=int(record["physical_size"]),
        free_bytes=max(0, int(record["physical_size"]) - int(record["physical_utilisation"])),
        plugged=plugged,
        shared=record["shared"],
        thin=kind in _THIN or sm_config.get("allocation") in ("thin", "xlvhd"),
        reads_as_zero=kind not in _BARE and (kind not in _LVM or sm_config.get("use_vhd") == "true"),
        allows_create=record["content_type"] != "iso"
        and kind not in _NOT_WRITABLE
        and (not features or "VDI_CREATE" in features),
        most_disk_bytes=_most_disk_bytes(driver or {}),
        tracks_changes="VDI_CONFIG_CBT" in features if features else None,
        allocated_bytes=int(record["virtual_allocation"]) if "virtual_allocation" in record else None,
        current_operations=sorted(record.get("current_operations", {}).values()),
        allowed_operations=sorted(record.get("allowed_operations", [])),
    )


def _most_disk_bytes(driver: Mapping[str, Any]) -> int | None:
    """By the formats that a driver says it has, since xapi 26.15: larger disks than a VHD are made as qcow2, never as raw by themselves."""
    formats = driver.get("supported_image_formats", [])
    if "qcow2" in formats:
        return qcow2.MOST_SIZE_BYTES
    return vhd.MOST_SIZE_BYTES if "vhd" in formats else None


async def hosts_of(calls: Calls, sr_ref: str) -> list[dict[str, Any]]:
    """The records of the live hosts that have the SR attached."""
    pbds = await asyncio.gather(*(calls.call("PBD.get_record", ref) for ref in await calls.call("SR.get_PBDs", sr_ref)))
    hosts = await asyncio.gather(*(_live_host(calls, pbd["host"]) for pbd in pbds if pbd["currently_attached"]))
    return [host for host in hosts if host is not None]


async def _live_host(calls: Calls, host: str) -> dict[str, Any] | None:
    try:
        record: dict[str, Any] = await calls.call("host.get_record", host)
        live = await calls.call("host_metrics.get_live", record["metrics"])
    except PoolError as error:
        if error.code == "HANDLE_INVALID":
            return None
        raise
    return {**record, "ref": host} if live else None
