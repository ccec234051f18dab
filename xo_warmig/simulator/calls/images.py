"""In which format an SR makes a disk, how large that may be, and what SM writes of it into ``sm_config``.

After drivers/FileSR.py, LVMSR.py and SR.py of XCP-ng's SM since it has qcow2, and their ancestors before.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from xo_warmig.simulator.failure import XapiFailure
from xo_warmig.simulator.site import LARGEST_QCOW2_BYTES, LARGEST_VHD_BYTES
from xo_warmig.simulator.storage.index import QCOW2, RAW, VHD

if TYPE_CHECKING:
    from xo_warmig.simulator.pool import SimPool

PREFERRED: Final = "preferred-image-formats"

_KEY: Final = "image-format"
_ON_LVM: Final = {VHD: "vhd", QCOW2: "qcow2", RAW: "aio"}  # SM's own names of the formats


def has_qcow2(pool: "SimPool") -> bool:
    """Whether SM is of the generation that has it."""
    return QCOW2 in (*pool.config.image_formats, *pool.config.second_image_formats)


def formats_of(pool: "SimPool", sr: str) -> list[str]:
    """In which formats the SR makes disks by itself, the preferred one first."""
    if not has_qcow2(pool):
        return [VHD]
    for pbd in pool.db.row("SR", sr)["PBDs"]:
        if named := pool.db.row("PBD", pbd)["device_config"].get(PREFERRED, ""):
            return [each.strip() for each in named.split(",")]
    return [VHD, QCOW2]


def is_bare(pool: "SimPool", sr: str) -> bool:
    """Whether disks of the SR are raw volumes."""
    return pool.space.is_thick(sr) and pool.db.field("SR", sr, "sm_config").get("use_vhd") != "true"


def format_for(pool: "SimPool", sr: str, size_bytes: int, sm_config: Mapping[str, str]) -> str:
    """Of a new disk: the one that is asked for, or the preferred one, or qcow2 where no VHD can hold it."""
    if is_bare(pool, sr):
        return RAW
    formats = formats_of(pool, sr)
    asked = (sm_config.get(_KEY) if has_qcow2(pool) else None) or sm_config.get("type")
    if asked and asked not in (VHD, QCOW2, RAW):
        raise XapiFailure("SR_BACKEND_FAILURE_66", "", f"Invalid VDI type [opterr=Invalid VDI type {asked}]", "")
    if asked:
        return asked
    return QCOW2 if size_bytes > LARGEST_VHD_BYTES and QCOW2 in formats else formats[0]


def rounded(size_bytes: int, image_format: str, block_bytes: int) -> int:
    """The size that SM gives a disk. SR_BACKEND_FAILURE_79 when it cannot have it."""
    largest = LARGEST_VHD_BYTES if image_format == VHD else LARGEST_QCOW2_BYTES
    if not 0 <= size_bytes <= largest:
        raise invalid_size(f"VDI size must be between 1 MB and {largest >> 20} MB")
    return max(1, -(-size_bytes // block_bytes)) * block_bytes


def invalid_size(why: str) -> XapiFailure:
    return XapiFailure("SR_BACKEND_FAILURE_79", "", f"VDI Invalid size [opterr={why}]", "")


def told(pool: "SimPool", sr: str, image_format: str) -> dict[str, str]:
    """The keys by which a disk's ``sm_config`` says its format. On file SRs nothing did before there was a choice, but of raw files."""
    if pool.space.is_thick(sr):
        keys = {"vdi_type": _ON_LVM[image_format]}
    else:
        keys = {"type": RAW} if image_format == RAW and not has_qcow2(pool) else {}
    return keys | ({_KEY: image_format} if has_qcow2(pool) else {})


def told_of_snapshot(pool: "SimPool", sr: str, image_format: str) -> dict[str, str]:
    """The same of a snapshot or a clone, which lacks the newer key until the next scan: a known mistake of SM."""
    return {key: text for key, text in told(pool, sr, image_format).items() if key != _KEY}


def rescan(pool: "SimPool", sr: str) -> None:
    """A scan writes the format of every image that has none."""
    if not has_qcow2(pool):
        return
    with pool.db.lock:
        for vdi in pool.db.row("SR", sr)["VDIs"]:
            row = pool.db.row("VDI", vdi)
            if _KEY not in row["sm_config"] and pool.storage.exists(row["uuid"]):
                pool.db.update_map("VDI", vdi, "sm_config", **{_KEY: pool.storage.image(row["uuid"]).image_format})


def assert_snapshots(pool: "SimPool", sr: str, image_format: str) -> None:
    """Raw files take none, nor do volume groups that were never upgraded."""
    if is_bare(pool, sr):
        raise XapiFailure("SR_OPERATION_NOT_SUPPORTED", sr)
    if image_format == RAW and not pool.space.is_thick(sr):
        raise XapiFailure("SR_BACKEND_FAILURE_38", "", "Unimplemented method", "")
