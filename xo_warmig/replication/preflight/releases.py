"""What the target's release can build of the VM, and what is lost on an older one. Sources: reference of XAPI's datamodel, by release."""

from collections.abc import Iterator, Mapping

from xo_warmig.errors import InvalidRequest
from xo_warmig.formats.vhd import MOST_SIZE_BYTES
from xo_warmig.model.api_versions import OF_7_0, OF_8_0, OF_8_3
from xo_warmig.model.pools import PoolFacts
from xo_warmig.model.reports import Warning_
from xo_warmig.model.units import format_bytes
from xo_warmig.model.vm import Vm
from xo_warmig.replication.preflight.surroundings import Found, Surroundings

# The toolstack's version that brought disks that are kept as qcow2.
_FIRST_QCOW2 = (25, 27)
# Drivers that keep disks as VHD files or in LVM.
_VHD_DRIVERS = frozenset({"ext", "nfs", "smb", "cifs", "file", "lvm", "lvmoiscsi", "lvmohba", "lvmofcoe"})


def of_releases(vm: Vm, srs: Mapping[str, str], around: Surroundings) -> Iterator[Found]:
    """What cannot be built there, then what changes."""
    source, target = around.source_facts, around.target_facts
    yield from _firmware_errors(vm, target)
    yield from _size_errors(vm, srs, around)
    if source.api_version and target.api_version and target.api_version < source.api_version:
        lost = _lost(vm, target.api_version)
        yield Warning_(
            code="OLDER_RELEASE",
            message=f"the target's release ({target.product}) is older than the source's ({source.product}); lost: {', '.join(lost)}",
            evidence={"source": list(source.api_version), "target": list(target.api_version), "lost": lost},
            remedy="have somebody who knows the guest look at it after its first start",
        )


def _lost(vm: Vm, target: tuple[int, int]) -> list[str]:
    """What the VM has and the release cannot keep."""
    has = {
        "the device for drivers from Windows Update": vm.build.vendor_device and target < OF_7_0,
        "the device model, so that devices may be numbered anew": True,
        "VM groups": bool(vm.ties.groups) and target < OF_8_3,
    }
    return [what for what, is_lost in has.items() if is_lost]


def _firmware_errors(vm: Vm, target: PoolFacts) -> Iterator[InvalidRequest]:
    if vm.build.firmware == "uefi" and target.api_version is not None and target.api_version < OF_8_0:
        yield InvalidRequest(
            f"the VM boots by UEFI, which {target.product or 'the target'} does not have: 8.0 is the first release with it",
            code="UEFI_NOT_SUPPORTED",
            evidence={"instancePath": "/sr", "actual": target.product, "api": list(target.api_version)},
            remedy="choose an SR of a newer pool",
        )


def _size_errors(vm: Vm, srs: Mapping[str, str], around: Surroundings) -> Iterator[InvalidRequest]:
    """Toolstacks that keep all disks as VHD do not say so; those that may not do (``StorageRepository.most_disk_bytes``)."""
    version = around.target_facts.xapi_version
    if version is None or version >= _FIRST_QCOW2:
        return
    for disk in vm.disks:
        sr = around.srs.get(srs[disk.vdi])
        if sr is None or sr.type not in _VHD_DRIVERS or sr.most_disk_bytes is not None:
            continue
        if disk.virtual_size_bytes > MOST_SIZE_BYTES:
            yield InvalidRequest(
                f"{around.target_facts.product} keeps disks as VHD, of at most {format_bytes(MOST_SIZE_BYTES)}; disk {disk.name_label!r} "
                f"({disk.vdi}) has {format_bytes(disk.virtual_size_bytes)}",
                code="DISK_TOO_LARGE_FOR_RELEASE",
                evidence={
                    "instancePath": "/sr",
                    "sr": sr.uuid,
                    "disk": disk.vdi,
                    "actual": disk.virtual_size_bytes,
                    "most": MOST_SIZE_BYTES,
                },
                remedy="choose an SR of a pool whose storage keeps disks as qcow2",
            )
