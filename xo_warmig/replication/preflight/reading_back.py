"""Reading the copy back from the target: where that costs downtime, or is left out."""

from collections.abc import Iterator, Mapping
from typing import Final

from xo_warmig.model.nbd import remedy_on_target
from xo_warmig.model.reports import Warning_
from xo_warmig.model.requests import Verify, WarmMigrationRequest
from xo_warmig.model.units import format_bytes, format_seconds
from xo_warmig.model.vm import Disk, PowerState, Vm
from xo_warmig.replication.convergence import ASSUMED_BYTES_PER_SECOND
from xo_warmig.replication.exports import Exports, exports_of
from xo_warmig.replication.preflight.images import format_on
from xo_warmig.replication.preflight.surroundings import Found, Surroundings

NOT_READ_BACK: Final = "NOT_READ_BACK"


def of_reading_back(
    request: WarmMigrationRequest, vm: Vm, srs: Mapping[str, str], around: Surroundings
) -> Iterator[Found]:
    """Where its pool serves no NBD; nothing is said then where nothing is to be read back."""
    if not around.against_read_back or not vm.disks:
        return
    exports = {disk.vdi: _exports_of_copy(disk, srs, around) for disk in vm.disks}
    for disk in vm.disks:
        yield from _not_read_back(request, disk, exports[disk.vdi], around.against_read_back)
    refused = any(each.whole for each in exports.values())  # READ_BACK_NEEDS_NBD
    if request.verify is Verify.FULL and vm.power_state is PowerState.RUNNING and not refused:
        read_bytes = sum(_read_bytes(disk, exports[disk.vdi]) for disk in vm.disks)
        yield _in_downtime(request, read_bytes, around.against_read_back)


def _exports_of_copy(disk: Disk, srs: Mapping[str, str], around: Surroundings) -> Exports:
    size = disk.virtual_size_bytes
    return exports_of(size, format_on(around.srs.get(srs[disk.vdi]), size))


def _not_read_back(request: WarmMigrationRequest, disk: Disk, exports: Exports, against_nbd: str) -> Iterator[Warning_]:
    """No export can read the copy, or none that is worth a sample: it would read all of the disk."""
    why = exports.whole or (exports.table if request.verify is Verify.SAMPLE else "")
    if why:
        yield Warning_(
            code=NOT_READ_BACK,
            message=f"nothing of the copy of disk {disk.name_label!r} will be compared, as only NBD could read it back ({why}): "
            f"{against_nbd}",
            evidence={"disk": disk.vdi, "reason": against_nbd},
            remedy=remedy_on_target(against_nbd),
        )


def _read_bytes(disk: Disk, exports: Exports) -> int:
    """What an export reads on its pool: all of an image whose table does not tell what is stored."""
    return disk.virtual_size_bytes if exports.table else min(disk.virtual_size_bytes, disk.physical_bytes)


def _in_downtime(request: WarmMigrationRequest, read_bytes: int, against_nbd: str) -> Warning_:
    """From an export a disk can be read back only as a whole, and the last time of that is in the downtime.

    The disks are read side by side over one network. ``verify`` is no parameter of XO's, so whoever asks for it can give ``force`` as well.
    """
    seconds = read_bytes / ASSUMED_BYTES_PER_SECOND
    return Warning_(
        code="READ_BACK_IN_DOWNTIME",
        message=f"verify full reads all {format_bytes(read_bytes)} of the target back in the downtime, about {format_seconds(seconds)} at "
        f"{format_bytes(ASSUMED_BYTES_PER_SECOND)}/s: its pool does not serve single blocks over NBD ({against_nbd})",
        evidence={
            "bytes": read_bytes,
            "predicted_seconds": seconds,
            "assumed_bytes_per_second": ASSUMED_BYTES_PER_SECOND,
            "reason": against_nbd,
        },
        remedy=remedy_on_target(against_nbd, "choose verify sample"),
        needs_force=seconds > request.target_downtime,
    )
