"""Reading the copy back from the target, where that costs downtime."""

from collections.abc import Iterator

from xo_warmig.model.reports import Warning_
from xo_warmig.model.requests import Verify, WarmMigrationRequest
from xo_warmig.model.units import format_bytes, format_seconds
from xo_warmig.model.vm import PowerState, Vm
from xo_warmig.replication.choosing import needs_nbd
from xo_warmig.replication.convergence import ASSUMED_BYTES_PER_SECOND
from xo_warmig.replication.preflight.surroundings import Found, Surroundings


def of_reading_back(request: WarmMigrationRequest, vm: Vm, around: Surroundings) -> Iterator[Found]:
    """From an export a disk can be read back only as a whole, and the last time of that is in the downtime.

    ``verify`` is no parameter of XO's, so whoever asks for it can give ``force`` as well.
    """
    if request.verify is not Verify.FULL or not around.against_read_back or not vm.disks:
        return
    if vm.power_state is not PowerState.RUNNING:
        return
    if any(needs_nbd(disk.virtual_size_bytes) for disk in vm.disks):
        return  # READ_BACK_NEEDS_NBD refuses it
    # The disks are read side by side over one network.
    read_bytes = sum(min(disk.virtual_size_bytes, disk.physical_bytes) for disk in vm.disks)
    seconds = read_bytes / ASSUMED_BYTES_PER_SECOND
    yield Warning_(
        code="READ_BACK_IN_DOWNTIME",
        message=f"verify full reads all {format_bytes(read_bytes)} of the target back in the downtime, about {format_seconds(seconds)} at "
        f"{format_bytes(ASSUMED_BYTES_PER_SECOND)}/s: its pool does not serve single blocks over NBD ({around.against_read_back})",
        evidence={
            "bytes": read_bytes,
            "predicted_seconds": seconds,
            "assumed_bytes_per_second": ASSUMED_BYTES_PER_SECOND,
            "reason": around.against_read_back,
        },
        remedy="give a network of the target's pool the purpose nbd or insecure_nbd, or choose verify sample",
        needs_force=seconds > request.target_downtime,
    )
