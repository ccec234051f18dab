"""Reading a storage repository: its room, its kind, and whether a live host can reach it."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from xo_warmig.errors import PoolError
from xo_warmig.formats import qcow2, vhd
from xo_warmig.model.images import QCOW2, VHD
from xo_warmig.model.vm import StorageRepository
from xo_warmig.xapi import image_formats, objects
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
_NOT_WRITABLE = frozenset({"iso", "udev"})


async def read_sr(calls: Calls, sr: str) -> StorageRepository:
    """Raises NoSuchObject."""
    ref = await objects.ref_of(calls, "SR", sr)
    record, drivers, pbds = await asyncio.gather(
        calls.call("SR.get_record", ref), calls.call("SM.get_all_records"), _pbds(calls, ref)
    )
    plugged = bool(await _hosts(calls, pbds))
    driver = next((driver for driver in drivers.values() if driver["type"] == record["type"]), None)
    return sr_from(record, plugged=plugged, driver=driver, pbds=pbds)


def sr_from(
    record: Mapping[str, Any],
    *,
    plugged: bool,
    driver: Mapping[str, Any] | None,
    pbds: Sequence[Mapping[str, Any]] = (),
) -> StorageRepository:
    """``driver``: its SM record, None when the pool has none."""
    kind = record["type"]
    features = None if driver is None else driver["features"]
    formats = image_formats.preferred(pbds, (driver or {}).get("supported_image_formats", []))
    bare = image_formats.is_bare(record)
    return StorageRepository(
        uuid=record["uuid"],
        name_label=record["name_label"],
        type=kind,
        content_type=record["content_type"],
        physical_size_bytes=int(record["physical_size"]),
        free_bytes=max(0, int(record["physical_size"]) - int(record["physical_utilisation"])),
        plugged=plugged,
        shared=record["shared"],
        thin=kind in _THIN or record["sm_config"].get("allocation") in ("thin", "xlvhd"),
        reads_as_zero=not bare,
        allows_create=record["content_type"] != "iso"
        and kind not in _NOT_WRITABLE
        and (not features or "VDI_CREATE" in features),
        most_disk_bytes=_most_disk_bytes(formats),
        tracks_changes="VDI_CONFIG_CBT" in features if features else None,
        takes_snapshots=_takes_snapshots(kind, bare, features),
        image_formats=formats,
        allocated_bytes=int(record["virtual_allocation"]) if "virtual_allocation" in record else None,
        current_operations=sorted(record.get("current_operations", {}).values()),
        allowed_operations=sorted(record.get("allowed_operations", [])),
    )


def _most_disk_bytes(formats: Sequence[str]) -> int | None:
    """Larger disks than a VHD are made as qcow2, never as raw by themselves."""
    if QCOW2 in formats:
        return qcow2.MOST_SIZE_BYTES
    return vhd.MOST_SIZE_BYTES if VHD in formats else None


def _takes_snapshots(kind: str, bare: bool, features: Mapping[str, Any] | None) -> bool | None:
    """Volume groups that were never upgraded to VHD have a driver that can, and take none all the same."""
    if features and "VDI_SNAPSHOT" not in features:
        return False
    if bare and kind in image_formats.LVM:
        return False
    return True if features else None


async def hosts_of(calls: Calls, sr_ref: str) -> list[dict[str, Any]]:
    """The records of the live hosts that have the SR attached."""
    return await _hosts(calls, await _pbds(calls, sr_ref))


async def _pbds(calls: Calls, sr_ref: str) -> list[dict[str, Any]]:
    refs = await calls.call("SR.get_PBDs", sr_ref)
    return list(await asyncio.gather(*(calls.call("PBD.get_record", ref) for ref in refs)))


async def _hosts(calls: Calls, pbds: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
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
