"""Changed block tracking (CBT) of the source's disks: whether it can be had, and what it costs where it cannot."""

from collections.abc import Iterator

from xo_warmig.errors import InvalidRequest
from xo_warmig.model.reports import Note
from xo_warmig.model.requests import Transport, WarmMigrationRequest
from xo_warmig.model.vm import Disk, PowerState, Vm
from xo_warmig.replication.choosing import by_blocks_only
from xo_warmig.replication.preflight.surroundings import Found, Surroundings


def of_tracking(request: WarmMigrationRequest, vm: Vm, around: Surroundings) -> Iterator[Found]:
    """Only of disks that are read by blocks, and of VMs that write meanwhile."""
    if request.transport is Transport.VHD or vm.power_state is not PowerState.RUNNING:
        return
    for disk in vm.disks:
        why = _against_tracking(disk, around)
        if not why or disk.tracked or around.against_blocks.get(disk.vdi, ""):
            continue
        if by_blocks_only(request.transport, disk.virtual_size_bytes):
            yield InvalidRequest(
                f"disk {disk.name_label!r} can be read over NBD alone, so only changed block tracking can tell its changes, and its pool "
                f"does not allow that: {why}",
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


def _against_tracking(disk: Disk, around: Surroundings) -> str:
    # XAPI asks for the key itself to say "false"; a pool that tells of no restrictions at all is not judged.
    restrictions = around.source_facts.restrictions
    if restrictions and restrictions.get("restrict_cbt", "true") != "false":
        return "the licence of its pool does not allow it"
    sr = around.source_srs.get(disk.sr)
    if sr is not None and sr.tracks_changes is False:
        return f"storage of type {sr.type} cannot"
    return ""
