"""The disks of the source: which cannot go, and what of them stays."""

from collections.abc import Iterator

from xo_warmig.errors import InvalidRequest
from xo_warmig.model.reports import Note, Warning_
from xo_warmig.model.vm import Disk, PowerState, Vm
from xo_warmig.replication.preflight.marks import MOST_CHAIN_DEPTH
from xo_warmig.replication.preflight.surroundings import Found

# A pass makes one image to merge for each disk, as its older snapshot goes; storage may well merge a few passes later. Behind with more,
# the engine waits before each snapshot.
MOST_UNMERGED = 5
# Names that XO's backups leave a disk out by.
_LEFT_OUT_OF_BACKUPS = ("[NOBAK]", "[NOSNAP]")
# Ours and backup tools' own work on a disk, which crosses nothing.
_HARMLESS_OPERATIONS = frozenset({"snapshot", "clone", "enable_cbt", "disable_cbt", "scan", "update"})


def of_disks(vm: Vm) -> Iterator[Found]:
    """One after the other."""
    for disk in vm.disks:
        yield from _errors(vm, disk)
        yield from _warnings(vm, disk)
        yield from _notes(disk)


def _errors(vm: Vm, disk: Disk) -> Iterator[Found]:
    def refused(code: str, why: str, remedy: str, **evidence: object) -> InvalidRequest:
        return InvalidRequest(
            f"disk {disk.name_label!r} ({disk.vdi}) {why}",
            code=code,
            evidence={"instancePath": "/vm", "disk": disk.vdi, **evidence},
            remedy=remedy,
        )

    if disk.missing:
        yield refused(
            "DISK_MISSING", "was not found by its storage at the last scan", "repair the storage and scan it again"
        )
    if disk.sharable:
        yield refused("DISK_SHARABLE", "may be used by several VMs at once", "detach it first")
    if disk.other_vms:
        yield refused(
            "DISK_SHARED", "belongs to another VM too", "detach it from one of them", other_vms=sorted(disk.other_vms)
        )
    if disk.on_boot == "reset":
        yield refused("DISK_RESET_ON_BOOT", "is reset at each boot", "set its on_boot to persist first")
    if vm.power_state is PowerState.RUNNING and disk.chain_depth > MOST_CHAIN_DEPTH:
        yield refused(
            "CHAIN_TOO_LONG",
            f"has a snapshot chain of {disk.chain_depth}",
            "delete snapshots and wait until the storage has coalesced them",
            actual=disk.chain_depth,
            most=MOST_CHAIN_DEPTH,
        )


def _warnings(vm: Vm, disk: Disk) -> Iterator[Warning_]:
    if vm.power_state is PowerState.RUNNING and disk.unmerged > MOST_UNMERGED:
        # The engine waits for it, and warns where that was in vain.
        yield Note(
            code="CHAIN_NOT_COALESCED",
            message=f"{disk.unmerged} images of disk {disk.name_label!r} wait to be coalesced: each snapshot waits for that, up to 10 min",
            evidence={"disk": disk.vdi, "actual": disk.unmerged, "most": MOST_UNMERGED},
            remedy="look whether the storage has space to coalesce, and whether its garbage collector is switched off",
        )
    busy = sorted(set(disk.current_operations) - _HARMLESS_OPERATIONS)
    if busy:
        yield Warning_(
            code="DISK_BUSY",
            message=f"disk {disk.name_label!r} has {busy[0]} in progress, which may keep it from being read",
            evidence={"disk": disk.vdi, "operations": busy},
            remedy="wait until it has ended",
        )


def _notes(disk: Disk) -> Iterator[Note]:
    if disk.mode == "RO" or disk.read_only:
        yield Note(
            code="DISK_READ_ONLY",
            message=f"the VM may only read disk {disk.name_label!r}: it is copied all the same, and so attached to the target; the copy "
            "itself is writable",
            evidence={"disk": disk.vdi, "read_only": disk.read_only, "mode": disk.mode},
        )
    if disk.name_label.startswith(_LEFT_OUT_OF_BACKUPS):
        yield Note(
            code="DISK_MARKED_FOR_BACKUPS",
            message=f"the name of disk {disk.name_label!r} keeps it out of backups or snapshots; it travels all the same",
            evidence={"disk": disk.vdi},
        )
