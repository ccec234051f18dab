"""What one pass will do, decided before it does it."""

from collections.abc import Mapping, Sequence

import msgspec

from xo_warmig.model.passes import DiskPassPlan, PassKind, PassPlan
from xo_warmig.model.plans import TargetDisk
from xo_warmig.model.vm import Disk
from xo_warmig.replication.choosing import MOST_CONNECTIONS, Chosen, connections_for


def plan_pass(
    *,
    number: int,
    kind: PassKind,
    disks: Sequence[Disk],
    read: Mapping[str, str],
    targets: Mapping[str, TargetDisk],
    zeroed_srs: Sequence[str],
    chosen: Mapping[str, Chosen],
) -> PassPlan:
    """The plan of pass ``number``.

    Args:
        read: what is exported for each source disk: its new snapshot, or in a final pass the disk itself.
        targets: where each goes, and the base that the target holds.
        zeroed_srs: the SRs whose new disks read as zeros.
        chosen: how each source disk is read.
    """
    return PassPlan(
        number=number,
        kind=kind,
        disks=[
            msgspec.structs.replace(
                _plan_disk(disk, read[disk.vdi], targets[disk.vdi], zeroed_srs),
                way=chosen[disk.vdi].way,
                reason=chosen[disk.vdi].reason,
                connections=connections_for(len(disks)),
                most_connections=MOST_CONNECTIONS,
                no_other_way=chosen[disk.vdi].no_other,
            )
            for disk in disks
        ],
    )


def _plan_disk(disk: Disk, read_vdi: str, target: TargetDisk, zeroed_srs: Sequence[str]) -> DiskPassPlan:
    # R20: zeros may be left out only where nothing but zeros was ever: a full pass onto a disk that no pass wrote to. Any other full
    # pass writes all of the disk, what the source does not store included.
    full = target.base is None
    reads_as_zero = not target.written and target.sr in zeroed_srs
    return DiskPassPlan(
        disk=disk.vdi,
        read_vdi=read_vdi,
        base=target.base,
        target_vdi=target.vdi,
        virtual_size_bytes=disk.virtual_size_bytes,
        skip_zeros=full and reads_as_zero,
        zero_unallocated=full and not reads_as_zero,
        image_format=disk.image_format,
    )


def kind_of(targets: Mapping[str, TargetDisk]) -> PassKind:
    """What a pass over running disks is: a delta when every disk has a base."""
    return PassKind.DELTA if all(target.base is not None for target in targets.values()) else PassKind.FULL
