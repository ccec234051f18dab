"""How storage keeps the disks, and what follows from it: whether they can be frozen, and how their changes can be read.

A disk that no VHD can hold has a subject of its own, as no export of it will do at all.
"""

from collections.abc import Iterator, Mapping

from xo_warmig.errors import InvalidRequest
from xo_warmig.model.images import QCOW2, RAW
from xo_warmig.model.nbd import remedy_on_source
from xo_warmig.model.reports import Note, Warning_
from xo_warmig.model.requests import Transport, WarmMigrationRequest
from xo_warmig.model.units import format_bytes
from xo_warmig.model.vm import Disk, PowerState, StorageRepository, Vm
from xo_warmig.replication.exports import against_listing, exports_of, exports_of_disk
from xo_warmig.replication.preflight.surroundings import Found, Surroundings

# Drivers that keep disks as files; they take no snapshot of a raw one (SM's drivers/FileSR.py).
_FILE_DRIVERS = frozenset(
    {"ext", "nfs", "smb", "cifs", "file", "largeblock", "xfs", "cephfs", "moosefs", "glusterfs", "zfs"}
)


def of_images(request: WarmMigrationRequest, vm: Vm, srs: Mapping[str, str], around: Surroundings) -> Iterator[Found]:
    """Errors concern running VMs: a halted one is copied in one pass, which needs neither snapshots nor changes."""
    for disk in vm.disks:
        if vm.power_state is PowerState.RUNNING:
            yield from _errors(request, vm, disk, around)
        yield from _read_whole(request, disk, around)
        yield from _kept_otherwise(disk, around.srs.get(srs[disk.vdi]))


def against_snapshots(disk: Disk, sr: StorageRepository | None) -> str:
    """Why the storage takes no snapshot of a disk, in words; "" when it may."""
    if sr is None:
        return ""
    if sr.takes_snapshots is False:
        return (
            f"storage of type {sr.type} takes none"
            if sr.reads_as_zero
            else "its volume group was never upgraded to VHD"
        )
    return "it is a raw image" if disk.image_format == RAW and sr.type in _FILE_DRIVERS else ""


def format_on(sr: StorageRepository | None, size_bytes: int) -> str:
    """In which format an SR makes a disk of that size, "" where its pool does not say."""
    if sr is None or not sr.image_formats:
        return ""
    return QCOW2 if exports_of(size_bytes, "").whole else sr.image_formats[0]


def _errors(request: WarmMigrationRequest, vm: Vm, disk: Disk, around: Surroundings) -> Iterator[InvalidRequest]:
    if why := against_snapshots(disk, around.source_srs.get(disk.sr)):
        yield _refused(
            disk,
            "SNAPSHOT_NOT_SUPPORTED",
            f"cannot be snapshotted ({why}), and a running VM's disks are copied from snapshots",
            "shut the VM down and migrate it halted, or move the disk to storage that takes snapshots first",
            reason=why,
        )
        return
    exports = exports_of_disk(disk)
    if exports.whole or not exports.delta:
        return
    against_nbd = around.against_blocks.get(disk.vdi, "")
    if request.transport is Transport.VHD:
        yield _refused(
            disk,
            "IMAGE_NEEDS_NBD",
            f"has changes that only NBD can read ({exports.delta}), and transport vhd forbids that",
            "leave transport at auto, and have the pool serve NBD, or shut the VM down and migrate it halted",
            "/transport",
        )
    elif against_nbd and request.transport is Transport.AUTO:
        yield _refused(
            disk,
            "IMAGE_NEEDS_NBD",
            f"has changes that only NBD can read ({exports.delta}), which its pool does not serve: {against_nbd}",
            remedy_on_source(against_nbd, "shut the VM down and migrate it halted, in one pass"),
            reason=against_nbd,
        )
    if not vm.tools and request.transport is not Transport.NBD:
        yield _refused(
            disk,
            "IMAGE_NEEDS_TOOLS",
            f"has last changes that only changed block tracking can tell ({exports.delta}); that is believed after a clean shutdown alone, "
            "and the VM has no guest tools to be asked for one",
            "install guest tools, or shut the VM down and migrate it halted, in one pass",
        )


def _refused(disk: Disk, code: str, why: str, remedy: str, path: str = "/vm", **evidence: object) -> InvalidRequest:
    return InvalidRequest(
        f"disk {disk.name_label!r} ({disk.vdi}) {why}",
        code=code,
        evidence={"instancePath": path, "disk": disk.vdi, "image_format": disk.image_format, **evidence},
        remedy=remedy,
    )


def _read_whole(request: WarmMigrationRequest, disk: Disk, around: Surroundings) -> Iterator[Warning_]:
    """What takes long, and no downtime: the first pass, or the only one of a VM that is halted anyway."""
    by_export = request.transport is Transport.VHD or bool(around.against_blocks.get(disk.vdi, ""))
    exports = exports_of_disk(disk)
    if by_export:
        why = (
            ""
            if exports.whole or not exports.table
            else f"{exports.table}, and sends nothing of it before it has read all"
        )
    else:
        why = against_listing(disk.virtual_size_bytes, disk.image_format)
    if why:
        yield Warning_(
            code="WHOLE_DISK_READ",
            message=f"all {format_bytes(disk.virtual_size_bytes)} of disk {disk.name_label!r} will be read to find what is "
            f"not zero: {why}",
            evidence={"disk": disk.vdi, "bytes": disk.virtual_size_bytes},
        )


def _kept_otherwise(disk: Disk, sr: StorageRepository | None) -> Iterator[Note]:
    made_as = format_on(sr, disk.virtual_size_bytes)
    if sr is not None and made_as and disk.image_format and made_as != disk.image_format:
        yield Note(
            code="IMAGE_FORMAT_CHANGES",
            message=f"disk {disk.name_label!r} is kept as {disk.image_format}, and SR {sr.name_label!r} will keep its copy as {made_as}: "
            "its bytes are the same, but what reads exports of it, as backups do, may have to begin anew",
            evidence={"disk": disk.vdi, "sr": sr.uuid, "source": disk.image_format, "target": made_as},
        )
