"""What is plugged into the VM: what stays behind, and what the target's release has no position for."""

from collections.abc import Iterator

from xo_warmig.errors import InvalidRequest
from xo_warmig.model.api_versions import OF_7_0, OF_8_3
from xo_warmig.model.pools import PoolFacts
from xo_warmig.model.reports import Note, Warning_
from xo_warmig.model.vm import Vm
from xo_warmig.replication.preflight.surroundings import Found

# Of the API: 7.0 takes disks up to position 254; the interfaces come to 7 with 7.0 and to 16 with 8.3 (XAPI's
# VM.get_allowed_VBD_devices and get_allowed_VIF_devices).
_LAST_DISK_BEFORE_7_0, _LAST_DISK = 15, 254


def of_devices(vm: Vm, target: PoolFacts) -> Iterator[Found]:
    """Positions first: they stop it."""
    yield from _position_errors(vm, target.api_version)
    yield from _passed_through(vm)
    yield from _of_the_pool(vm)
    for drive in vm.cd_drives:
        if drive.inserted_vdi is not None:
            yield Warning_(
                code="CD_STAYS",
                message=f"what is inserted in CD drive {drive.device} does not travel",
                evidence={"device": drive.device, "vdi": drive.inserted_vdi},
            )


def _position_errors(vm: Vm, release: tuple[int, int] | None) -> Iterator[InvalidRequest]:
    if release is None:
        return
    last_disk = _LAST_DISK if release >= OF_7_0 else _LAST_DISK_BEFORE_7_0
    last_vif = 15 if release >= OF_8_3 else 6 if release >= OF_7_0 else 3
    beyond = [(disk.device, "DISK_POSITION", {"disk": disk.vdi}, last_disk) for disk in vm.disks]
    beyond += [(drive.device, "DISK_POSITION", {}, last_disk) for drive in vm.cd_drives]
    beyond += [(vif.device, "VIF_POSITION", {"vif": vif.uuid}, last_vif) for vif in vm.vifs]
    for device, code, evidence, last in beyond:
        if device.isdecimal() and int(device) > last:
            what = "disk or drive" if code == "DISK_POSITION" else "interface"
            yield InvalidRequest(
                f"{what} {device} has a position that the target's release does not have: the last one is {last}",
                code=code,
                evidence={"instancePath": "/vm", "actual": int(device), "most": last, **evidence},
                remedy="detach it, or move it to a lower position",
            )


def _passed_through(vm: Vm) -> Iterator[Warning_]:
    """Devices of the host."""
    remedy = "give the target one of its own host before it is started"
    if vm.ties.pci:
        yield Warning_(
            code="PCI_STAYS",
            message=f"{len(vm.ties.pci)} PCI devices of the host are passed through to the VM: the target starts without them; what "
            "they store stays there with the source's host",
            evidence={"pci": list(vm.ties.pci)},
            remedy=remedy,
        )
    if vm.ties.vgpus:
        yield Warning_(
            code="VGPU_STAYS",
            message="the VM has a virtual GPU, which does not travel: the target starts without",
            evidence={"count": vm.ties.vgpus},
            remedy=remedy,
        )
    if vm.ties.vusbs:
        yield Warning_(
            code="VUSB_STAYS",
            message="a USB device of the host is passed through to the VM: the target starts without it; what it stores stays with the "
            "source's host",
            evidence={"count": vm.ties.vusbs},
            remedy=remedy,
        )


def _of_the_pool(vm: Vm) -> Iterator[Note]:
    """What refers to other objects of the source's pool."""
    ties = vm.ties
    for code, is_there, what, consequence in (
        ("AFFINITY_STAYS", ties.affinity, "a home host", "the target's pool chooses where it runs"),
        (
            "CPU_MASK_STAYS",
            bool(ties.cpu_mask),
            f"a mask of the host's processors ({ties.cpu_mask})",
            "the target runs on any of its host's until it is given one",
        ),
        ("APPLIANCE_STAYS", ties.appliance, "a vApp", "the target is in none, and is not started in its order"),
        (
            "GROUP_STAYS",
            bool(ties.groups),
            "a VM group",
            "the target is in none, and may run on the host of another member",
        ),
        (
            "SCHEDULE_STAYS",
            ties.snapshot_schedule,
            "a snapshot schedule",
            "no snapshots are taken of the target until it has one",
        ),
    ):
        if is_there:
            yield Note(code=code, message=f"the VM has {what} in its pool, which does not travel: {consequence}")
