"""Reading the source's disks by blocks (NBD) and by what changed (CBT): whether that can be had, and what it costs where it cannot."""

from collections.abc import Iterator

from xo_warmig.errors import InvalidRequest
from xo_warmig.model.images import RAW
from xo_warmig.model.nbd import remedy_on_source
from xo_warmig.model.reports import Note
from xo_warmig.model.requests import Transport, WarmMigrationRequest
from xo_warmig.model.vm import Disk, PowerState, Vm
from xo_warmig.replication.choosing import by_blocks_only
from xo_warmig.replication.exports import exports_of_disk
from xo_warmig.replication.preflight.images import against_snapshots
from xo_warmig.replication.preflight.surroundings import Found, Surroundings


def of_tracking(request: WarmMigrationRequest, vm: Vm, around: Surroundings) -> Iterator[Found]:
    """Tracking only of disks that are read by blocks, and of VMs that write meanwhile."""
    yield from _without_nbd(request, vm, around)
    if request.transport is Transport.VHD or vm.power_state is not PowerState.RUNNING:
        return
    for disk in vm.disks:
        why = _against_tracking(disk, around)
        if not why or disk.tracked or around.against_blocks.get(disk.vdi, ""):
            continue
        if against_snapshots(disk, around.source_srs.get(disk.sr)):
            continue  # told as an error
        if by_blocks_only(request.transport, exports_of_disk(disk)):
            yield InvalidRequest(
                f"only changed block tracking can tell the changes of disk {disk.name_label!r}, and its pool does not allow that: {why}",
                code="TRACKING_NEEDED",
                evidence={"instancePath": "/vm", "disk": disk.vdi, "reason": why},
                remedy="have the pool allow changed block tracking (licence, kind of storage), or shut the VM down and migrate it halted",
            )
        else:
            yield Note(
                code="NO_TRACKING",
                message=f"changes of disk {disk.name_label!r} are not tracked ({why}): passes read whole blocks of 2 MiB from VHD exports",
                evidence={"disk": disk.vdi, "reason": why},
            )


def _without_nbd(request: WarmMigrationRequest, vm: Vm, around: Surroundings) -> Iterator[Note]:
    """Once for all disks of a reason; a disk that cannot be read otherwise is an error of its own."""
    if request.transport is not Transport.AUTO:
        return
    reasons: dict[str, list[str]] = {}
    for disk in vm.disks:
        why = around.against_blocks.get(disk.vdi, "")
        exports = exports_of_disk(disk)
        if why and not exports.whole and not (exports.delta and vm.power_state is PowerState.RUNNING):
            reasons.setdefault(why, []).append(disk.vdi)
    for why, disks in reasons.items():
        yield Note(
            code="NO_NBD",
            message=f"{len(disks)} of {len(vm.disks)} disks are read from VHD exports, in whole blocks of 2 MiB, and not over NBD: {why}",
            evidence={"reason": why, "disks": disks},
            remedy=remedy_on_source(why),
        )


def _against_tracking(disk: Disk, around: Surroundings) -> str:
    # XAPI asks for the key itself to say "false"; a pool that tells of no restrictions at all is not judged.
    restrictions = around.source_facts.restrictions
    if restrictions and restrictions.get("restrict_cbt", "true") != "false":
        return "the licence of its pool does not allow it"
    if disk.image_format == RAW:
        return "it is a raw image"
    sr = around.source_srs.get(disk.sr)
    if sr is not None and sr.tracks_changes is False:
        return f"storage of type {sr.type} cannot"
    return ""
