"""Disks that no VHD can hold: what has to be given so that they can be read, and their changes told. Decisions only.

A VHD export is the way out wherever NBD or changed block tracking fail for other disks. These have none, so it is said beforehand.
"""

from collections.abc import Iterator, Mapping, Sequence

from xo_warmig.errors import InvalidRequest
from xo_warmig.formats.vhd import MOST_SIZE_BYTES
from xo_warmig.model.nbd import remedy_on_source, remedy_on_target
from xo_warmig.model.requests import Transport, Verify, WarmMigrationRequest
from xo_warmig.model.units import format_bytes
from xo_warmig.model.vm import Disk, PowerState, StorageRepository, Vm
from xo_warmig.replication.exports import exports_of_disk


def large_disk_errors(
    request: WarmMigrationRequest, vm: Vm, against_blocks: Mapping[str, str], against_read_back: str = ""
) -> Iterator[InvalidRequest]:
    """Why each of them cannot be read, cut over, or read back.

    Args:
        against_blocks: by disk, why its pool does not serve it over NBD; "" where it does.
        against_read_back: why the target's pool does not; "" where it does, or nothing is read back.
    """
    for disk in vm.disks:
        if exports_of_disk(disk).whole:
            yield from _errors(request, vm, disk, against_blocks.get(disk.vdi, ""))
            if against_read_back and request.verify is Verify.FULL:
                yield _refused(
                    disk,
                    "READ_BACK_NEEDS_NBD",
                    f"so only NBD can read its copy back, which the target's pool does not serve: {against_read_back}",
                    remedy_on_target(against_read_back, "choose verify none"),
                    "/verify",
                    reason=against_read_back,
                )


def _errors(request: WarmMigrationRequest, vm: Vm, disk: Disk, against_nbd: str) -> Iterator[InvalidRequest]:
    if request.transport is Transport.VHD:
        yield _refused(
            disk,
            "DISK_TOO_LARGE",
            "so it cannot be read by VHD exports, which is what transport vhd asks for",
            "leave transport at auto, and have the pool serve NBD",
            "/transport",
        )
    elif against_nbd:
        yield _refused(
            disk,
            "DISK_TOO_LARGE",
            f"so only NBD can read it, which its pool does not serve: {against_nbd}",
            remedy_on_source(against_nbd),
            reason=against_nbd,
        )
    if vm.power_state is PowerState.RUNNING and not vm.tools:
        yield _refused(
            disk,
            "LARGE_DISK_NEEDS_TOOLS",
            "so only changed block tracking can tell its last changes, which is believed after a clean shutdown alone, and the VM has no "
            "guest tools to be asked for one",
            "install guest tools, or shut the VM down and migrate it halted",
        )


def _refused(disk: Disk, code: str, why: str, remedy: str, path: str = "/vm", **evidence: object) -> InvalidRequest:
    return InvalidRequest(
        f"disk {disk.name_label!r} ({disk.vdi}) is larger than a VHD can be ({format_bytes(MOST_SIZE_BYTES)}), {why}",
        code=code,
        evidence={
            "instancePath": path,
            "disk": disk.vdi,
            "actual": disk.virtual_size_bytes,
            "most": MOST_SIZE_BYTES,
            **evidence,
        },
        remedy=remedy,
    )


def too_large_for(
    sr: StorageRepository, disks: Sequence[Disk], evidence: Mapping[str, object]
) -> Iterator[InvalidRequest]:
    """Disks that the target's storage cannot make, as far as its pool says what it can."""
    most = sr.most_disk_bytes
    for disk in disks:
        if most is not None and disk.virtual_size_bytes > most:
            yield InvalidRequest(
                f"SR {sr.name_label!r} makes disks of at most {format_bytes(most)}; "
                f"disk {disk.name_label!r} ({disk.vdi}) has {format_bytes(disk.virtual_size_bytes)}",
                code="DISK_TOO_LARGE_FOR_SR",
                evidence={**evidence, "disk": disk.vdi, "actual": disk.virtual_size_bytes, "most": most},
                remedy="choose an SR whose storage keeps disks as qcow2",
            )
