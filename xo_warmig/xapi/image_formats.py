"""In which format storage keeps a disk, or would make one.

``sm_config["image-format"]`` says it since SM has qcow2; before, ``vdi_type`` on LVM and ``type`` of raw files. Sources: SM's
drivers/FileSR.py and LVMSR.py, and their ancestors of the VHD time.
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from xo_warmig.model.images import KNOWN, QCOW2, RAW, VHD
from xo_warmig.xapi import objects
from xo_warmig.xapi.connection import Calls

Record = Mapping[str, Any]
Storages: TypeAlias = dict[str, Record]
"""By reference: the records of SRs that were read, of which only what never changes is looked at here."""

_PREFERRED = "preferred-image-formats"  # in a PBD's device_config, with commas between
# Drivers on LVM: their disks are VHD when the SR says so, else bare volumes that hold what the last owner left in them.
LVM = frozenset({"lvm", "lvmoiscsi", "lvmohba", "lvmofcoe"})
_BARE = frozenset({"iscsi", "hba", "rawhba", "equal", "netapp", "cslg", "zfs-vol"})
# Drivers that keep all disks in one format and do not say so.
_ALWAYS = {"gfs2": QCOW2}


async def read_image_format(calls: Calls, vdi: str, storages: Storages) -> str:
    """See ``image_format``. Raises NoSuchObject."""
    _, record = await objects.record_of(calls, "VDI", vdi)
    return await image_format_of(calls, record, storages)


async def image_format_of(calls: Calls, record: Record, storages: Storages) -> str:
    """The same by the disk's record; more is asked only where that does not tell, and of each SR once."""
    if told := _told(record):
        return told
    snapshot_of, sr = await asyncio.gather(
        _settings_of(calls, record["snapshot_of"]), _storage(calls, record["SR"], storages)
    )
    return image_format(record, snapshot_of, sr)


async def _settings_of(calls: Calls, vdi_ref: str) -> Record:
    return {"sm_config": await calls.call("VDI.get_sm_config", vdi_ref)} if objects.exists(vdi_ref) else {}


async def _storage(calls: Calls, sr_ref: str, storages: Storages) -> Record:
    if sr_ref not in storages:
        storages[sr_ref] = await calls.call("SR.get_record", sr_ref)
    return storages[sr_ref]


def image_format(vdi: Record, snapshot_of: Record, sr: Record) -> str:
    """Of a disk, "" when nothing tells. ``snapshot_of``: the disk that this one is a snapshot of, empty when there is none.

    SM does not write the format on every snapshot before the next scan, and all images of a chain are of one format.
    """
    return _told(vdi) or (_told(snapshot_of) if snapshot_of else "") or _of_storage(sr)


def preferred(pbds: Iterable[Record], supported: Iterable[str]) -> list[str]:
    """In which formats an SR makes disks, the preferred one first; none where it is not told.

    Args:
        pbds: of the SR.
        supported: by its driver, in no order (``SM.supported_image_formats``, since xapi 26.15).
    """
    for pbd in pbds:
        named = [entry.strip() for entry in pbd.get("device_config", {}).get(_PREFERRED, "").split(",")]
        if known := [each for each in named if each in KNOWN]:
            return known
    able = set(supported)
    # SM's own order, where nobody chose another: VHD as long as it can hold the disk. Raw is made for those alone who name it.
    return [each for each in (VHD, QCOW2) if each in able]


def is_bare(sr: Record) -> bool:
    """Whether disks of an SR are raw volumes."""
    kind = sr["type"]
    return kind in _BARE or (kind in LVM and sr["sm_config"].get("use_vhd") != "true")


def _told(vdi: Record) -> str:
    settings = vdi["sm_config"]
    text = str(settings.get("image-format") or settings.get("vdi_type") or settings.get("type") or "")
    return RAW if text == "aio" else text


def _of_storage(sr: Record) -> str:
    if not sr:
        return ""
    return RAW if is_bare(sr) else _ALWAYS.get(sr["type"], "")
