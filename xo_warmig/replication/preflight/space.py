"""Room on storage repositories: for copies, for snapshots, and what stays free (R19)."""

from collections.abc import Iterator, Mapping, Sequence

from xo_warmig.errors import NotEnoughSpace
from xo_warmig.model.reports import Note
from xo_warmig.model.units import GIB, format_bytes
from xo_warmig.model.vm import Disk, PowerState, StorageRepository, Vm
from xo_warmig.replication.preflight.surroundings import Found, Surroundings


def of_space(vm: Vm, srs: Mapping[str, str], around: Surroundings) -> Iterator[Found]:
    """For the copies, beside what running migrations were promised; for a running VM's snapshots."""
    running = vm.power_state is PowerState.RUNNING
    for sr in around.srs.values():
        disks = [disk for disk in vm.disks if srs[disk.vdi] == sr.uuid and disk.vdi not in around.there_already]
        # Within one pool an SR may be both ends.
        frozen = [disk for disk in vm.disks if disk.sr == sr.uuid] if running else []
        needed_bytes = sum(copy_bytes(sr, disk) for disk in disks) + snapshot_bytes(sr, frozen)
        error = lack_of_space(sr, needed_bytes, around.promised.get(sr.uuid, 0)) if disks or frozen else None
        if error is not None:
            yield error
        else:
            yield from _promised_too_much(sr, disks)
    if not running:
        return
    for sr in around.source_srs.values():
        if sr.uuid in around.srs:
            continue
        error = lack_of_space(sr, snapshot_bytes(sr, [disk for disk in vm.disks if disk.sr == sr.uuid]))
        if error is not None:
            yield error


def reserve_bytes(sr: StorageRepository) -> int:
    """What stays free: running VMs on the SR must never stall because of us (R19)."""
    return min(max(0, sr.physical_size_bytes) // 100, 4 * GIB)


def snapshot_bytes(sr: StorageRepository, disks: Sequence[Disk]) -> int:
    """What snapshots of these disks take at once: a thick SR makes a new leaf of full size for each."""
    return 0 if sr.thin else sum(disk.virtual_size_bytes for disk in disks)


def lack_of_space(sr: StorageRepository, needed_bytes: int, promised_bytes: int = 0) -> NotEnoughSpace | None:
    """The error, when ``needed_bytes``, what others were promised and the reserve do not fit. An SR that tells no size is not judged."""
    if sr.physical_size_bytes <= 0:
        return None
    reserve = reserve_bytes(sr)
    if needed_bytes + promised_bytes + reserve <= sr.free_bytes:
        return None
    others = f", {format_bytes(promised_bytes)} are promised to running migrations" if promised_bytes else ""
    return NotEnoughSpace(
        f"SR {sr.name_label!r} has {format_bytes(sr.free_bytes)} free; {format_bytes(needed_bytes)} are needed"
        f"{others} and {format_bytes(reserve)} stay in reserve",
        evidence={
            "sr": sr.uuid,
            "needed": needed_bytes,
            "reserve": reserve,
            "free": sr.free_bytes,
            "promised": promised_bytes,
        },
        remedy="free space on it or choose another SR",
    )


def copy_bytes(sr: StorageRepository, disk: Disk) -> int:
    """What a copy of the disk takes there."""
    return min(disk.virtual_size_bytes, disk.physical_bytes) if sr.thin else disk.virtual_size_bytes


def _promised_too_much(sr: StorageRepository, disks: Sequence[Disk]) -> Iterator[Note]:
    """A thin SR takes disks that it could not hold when they were full."""
    if not sr.thin or sr.allocated_bytes is None or sr.physical_size_bytes <= 0:
        return
    whole = sr.allocated_bytes + sum(disk.virtual_size_bytes for disk in disks)
    if disks and whole > sr.physical_size_bytes:
        yield Note(
            code="SR_OVERCOMMITTED",
            message=f"the disks on SR {sr.name_label!r} would come to {format_bytes(whole)} if they were full, and it has "
            f"{format_bytes(sr.physical_size_bytes)}",
            evidence={"sr": sr.uuid, "whole": whole, "size": sr.physical_size_bytes},
        )
