"""Whether a migration is possible, decided from what was read: nothing is called and nothing is touched here.

Errors are the exceptions that refuse the request, in the order in which they should be told; warnings stop nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from xo_warmig.errors import ForbiddenOperation, IncorrectState, InvalidRequest, NotEnoughSpace, WarmigError
from xo_warmig.model.plans import MigrationPlan
from xo_warmig.model.reports import Warning_
from xo_warmig.model.requests import ForceShutdown, Verify, WarmMigrationRequest
from xo_warmig.model.units import GIB, format_bytes, format_seconds
from xo_warmig.model.vm import Disk, Network, PowerState, StorageRepository, Vm
from xo_warmig.replication.convergence import ASSUMED_BYTES_PER_SECOND
from xo_warmig.replication.holding import parse_wish
from xo_warmig.replication.large_disks import large_disk_errors, large_disk_warnings, too_large_for
from xo_warmig.replication.nbd_only import nbd_only_errors
from xo_warmig.replication.networks import choose_networks

# SM refuses a snapshot at 30; each pass adds one until the coalescer has caught up.
MOST_CHAIN_DEPTH = 25
# The texts that this project blocks operations with begin so.
OUR_MARK = "xo_warmig"
# The key of a source VM's other_config that says which server has it (R16).
DOOR = "xo_warmig:door"

# Operations in progress that a migration would cross.
_CROSSING = frozenset(
    {
        "clean_reboot", "clean_shutdown", "destroy", "export", "hard_reboot", "hard_shutdown", "import", "make_into_template",
        "pool_migrate", "migrate_send", "reverting", "revert", "shutdown", "start", "start_on", "suspend", "resume", "resume_on",
    }
)  # fmt: skip


class Surroundings(NamedTuple):
    """What was read of the world beside the VM.

    ``srs`` are those of the target pool that the request names, ``source_srs`` those of the VM's disks, both by uuid. ``there_already``:
    source disks that an earlier attempt left a copy of, for which no space is needed. ``ours``: ended migrations of this server, whose
    door key is no obstacle. ``now``: seconds since the epoch. By source disk: ``against_blocks``, why its pool does not serve it over NBD,
    and ``against_listing``, why nothing tells what a disk stores that no VHD can hold; "" where nothing stands against it.
    ``against_read_back``: why the target's disks cannot be read back over NBD, "" where they can, or where that does not matter.
    """

    target_pool: str
    target_pool_name: str
    srs: Mapping[str, StorageRepository]
    source_srs: Mapping[str, StorageRepository]
    networks: Sequence[Network]
    there_already: frozenset[str] = frozenset()
    ours: frozenset[str] = frozenset()
    now: float = 0.0
    against_blocks: Mapping[str, str] = {}
    against_listing: Mapping[str, str] = {}
    against_read_back: str = ""


class Preflight(NamedTuple):
    """``plan`` is None when there are errors."""

    errors: list[WarmigError]
    warnings: list[Warning_]
    plan: MigrationPlan | None


def preflight(request: WarmMigrationRequest, vm: Vm, around: Surroundings) -> Preflight:
    """Look at everything; the plan when nothing stands against it."""
    srs = {disk.vdi: request.map_vdis_srs.get(disk.vdi, request.sr) for disk in vm.disks}
    networks, network_errors = choose_networks(vm, around.networks, request.map_vifs_networks)
    errors: list[WarmigError] = [
        *_request_errors(request, around.now),
        *_vm_errors(request, vm),
        *_door_errors(vm, around.ours),
        *_map_errors(request, vm, around),
        *_sr_errors(request, vm, srs, around),
        *(error for disk in vm.disks for error in _disk_errors(vm, disk)),
        *nbd_only_errors(request, vm, around.against_blocks),
        *large_disk_errors(request, vm, around.against_blocks, around.against_read_back),
        *_space_errors(vm, srs, around),
        *network_errors,
    ]
    warnings = [
        *_warnings(request, vm),
        *large_disk_warnings(vm, around.against_listing, around.against_read_back),
        *_read_back_warnings(request, vm, around),
    ]
    if errors:
        return Preflight(errors, warnings, None)
    plan = MigrationPlan(
        vm=vm,
        source_pool=vm.pool,
        source_pool_name=vm.pool_name,
        target_pool=around.target_pool,
        target_pool_name=around.target_pool_name,
        srs=srs,
        networks=networks,
        zeroed_srs=sorted(sr.uuid for sr in around.srs.values() if sr.reads_as_zero),
        warnings=warnings,
    )
    return Preflight([], warnings, plan)


def _request_errors(request: WarmMigrationRequest, now: float) -> Iterator[WarmigError]:
    try:
        wish = parse_wish(request.cutover)
    except InvalidRequest as error:
        yield error
    else:
        if wish.time is not None and wish.time < now:
            yield InvalidRequest(
                f"the time of the cutover, {request.cutover}, is over",
                code="CUTOVER_IN_THE_PAST",
                evidence={"instancePath": "/cutover", "actual": request.cutover},
                remedy='give a later time, or "auto"',
            )
    if request.delete_source_vm and not request.start_destination_vm:
        yield InvalidRequest(
            "the source can be deleted only after the target was seen to boot, and the target is not to be started",
            code="DELETE_WITHOUT_START",
            evidence={"instancePath": "/deleteSourceVm"},
            remedy="set startDestinationVm to true or deleteSourceVm to false",
        )


def _vm_errors(request: WarmMigrationRequest, vm: Vm) -> Iterator[WarmigError]:
    kinds = {"template": vm.is_a_template, "snapshot": vm.is_a_snapshot, "control domain": vm.is_control_domain}
    for kind, is_one in kinds.items():
        if is_one:
            yield InvalidRequest(
                f"{vm.uuid} is a {kind}, not a VM",
                code="NOT_A_VM",
                evidence={"instancePath": "/vm", "id": vm.uuid, "actual": kind},
            )
    yield from _operation_errors(vm)
    if vm.power_state not in (PowerState.RUNNING, PowerState.HALTED):
        yield InvalidRequest(
            f"the VM is {vm.power_state}; it must be running or halted",
            code="VM_BAD_POWER_STATE",
            evidence={
                "objectId": vm.uuid,
                "expected": [str(PowerState.RUNNING), str(PowerState.HALTED)],
                "actual": str(vm.power_state),
            },
            remedy="resume it or shut it down first",
        )
    yield from _block_errors(request, vm)


def _door_errors(vm: Vm, ours: frozenset[str]) -> Iterator[WarmigError]:
    """R16: another server has the VM, or an earlier migration of another one left its key."""
    key = vm.other_config.get(DOOR)
    parts = [] if key is None else key.split("/")
    copied = len(parts) > 3 and parts[3] != vm.uuid  # along with the VM that this one was cloned from
    if parts and parts[0] not in ours and not copied:
        yield ForbiddenOperation(
            "another migration holds the VM",
            code="SOURCE_CLAIMED",
            evidence={"operation": "warm migration", "reason": f"{DOOR} is {key}", "objectId": vm.uuid, "key": key},
            remedy=f"find the server that runs it; if there is none any more, remove {DOOR} from the VM's other_config",
        )


def _operation_errors(vm: Vm) -> Iterator[WarmigError]:
    """XAPI's own migration is told first: it has an error code of its own for clients."""
    crossing = sorted(
        _CROSSING.intersection(vm.current_operations), key=lambda name: (not name.endswith("migrate"), name)
    )
    if crossing:
        yield ForbiddenOperation(
            f"the VM has {crossing[0]} in progress",
            code="OTHER_OPERATION_IN_PROGRESS",
            evidence={"operation": crossing[0], "reason": f"{crossing[0]} is in progress", "objectId": vm.uuid},
            remedy="wait until it has ended",
        )


def _block_errors(request: WarmMigrationRequest, vm: Vm) -> Iterator[WarmigError]:
    """Blocked operations that the migration needs: whoever set them decides, not we."""
    start_text = vm.blocked_operations.get("start", "")
    if vm.power_state is PowerState.HALTED and start_text.startswith(OUR_MARK):
        yield IncorrectState(
            "the VM was migrated already",
            code="ALREADY_MIGRATED",
            evidence={
                "object": vm.uuid,
                "property": "blocked_operations",
                "actual": start_text,
                "expected": "no block of a migration",
            },
            remedy="to take it back, remove its blocked operations",
        )
    for operation in sorted(_needed_operations(request, vm).intersection(vm.blocked_operations)):
        yield ForbiddenOperation(
            f"the VM's operation {operation} is blocked, and the migration needs it",
            code="OPERATION_BLOCKED",
            evidence={"operation": operation, "reason": vm.blocked_operations[operation], "objectId": vm.uuid},
            remedy=f"remove the block of {operation}",
        )


def _needed_operations(request: WarmMigrationRequest, vm: Vm) -> set[str]:
    needed = set()
    if vm.power_state is PowerState.RUNNING:
        force = request.shutdown.force
        forced_only = force is ForceShutdown.IF_NO_TOOLS and not vm.tools
        if not forced_only:
            needed.add("clean_shutdown")
        if forced_only or force is ForceShutdown.ALWAYS:
            needed.add("hard_shutdown")
    if request.delete_source_vm:
        needed.add("destroy")
    return needed


def _map_errors(request: WarmMigrationRequest, vm: Vm, around: Surroundings) -> Iterator[WarmigError]:
    known = {disk.vdi for disk in vm.disks}
    for vdi, sr in request.map_vdis_srs.items():
        if vdi not in known:
            yield InvalidRequest(
                f"{vdi} is no disk of the VM",
                code="UNKNOWN_DISK",
                evidence={"instancePath": f"/mapVdisSrs/{vdi}", "choices": sorted(known)},
            )
        if sr not in around.srs:
            yield InvalidRequest(
                f"SR {sr} is not on pool {around.target_pool_name}",
                code="SR_IN_OTHER_POOL",
                evidence={"instancePath": f"/mapVdisSrs/{vdi}"},
                remedy="all disks of a VM go to one pool",
            )


def _sr_errors(
    request: WarmMigrationRequest, vm: Vm, srs: Mapping[str, str], around: Surroundings
) -> Iterator[WarmigError]:
    """Only SRs that get a disk are looked at; a VM without disks gets none and goes by its ``sr`` all the same."""
    for sr in around.srs.values():
        disks = [disk for disk in vm.disks if srs[disk.vdi] == sr.uuid]
        path = {"instancePath": _sr_path(request, disks, sr.uuid), "sr": sr.uuid}
        reason = _not_writable(sr)
        if reason is not None:
            yield InvalidRequest(
                f"disks cannot be made on SR {sr.name_label!r}: {reason}",
                code="SR_NOT_WRITABLE",
                evidence=path | {"reason": reason},
                remedy="choose another SR",
            )
        yield from too_large_for(sr, disks, path)
        if any(disk.sr == sr.uuid for disk in disks):
            yield InvalidRequest(
                f"SR {sr.name_label!r} holds the VM's disks already",
                code="SAME_SR",
                evidence=path,
                remedy="choose another SR",
            )


def _sr_path(request: WarmMigrationRequest, disks: Sequence[Disk], sr: str) -> str:
    """Where in the request the SR stands."""
    mapped = [disk.vdi for disk in disks if disk.vdi in request.map_vdis_srs]
    return f"/mapVdisSrs/{mapped[0]}" if mapped and sr != request.sr else "/sr"


def _not_writable(sr: StorageRepository) -> str | None:
    if sr.content_type == "iso" or sr.type == "iso":
        return "it holds ISO images"
    if not sr.allows_create:
        return f"its type ({sr.type}) takes no new disks"
    if not sr.plugged:
        return "it is not plugged into any live host"
    return None


def _disk_errors(vm: Vm, disk: Disk) -> Iterator[WarmigError]:
    def refused(code: str, why: str, remedy: str, **evidence: object) -> InvalidRequest:
        return InvalidRequest(
            f"disk {disk.name_label!r} ({disk.vdi}) {why}",
            code=code,
            evidence={"instancePath": "/vm", "disk": disk.vdi, **evidence},
            remedy=remedy,
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


def reserve_bytes(sr: StorageRepository) -> int:
    """What stays free: running VMs on the SR must never stall because of us (R19)."""
    return min(max(0, sr.physical_size_bytes) // 100, 4 * GIB)


def snapshot_bytes(sr: StorageRepository, disks: Sequence[Disk]) -> int:
    """What snapshots of these disks take at once: a thick SR makes a new leaf of full size for each."""
    return 0 if sr.thin else sum(disk.virtual_size_bytes for disk in disks)


def lack_of_space(sr: StorageRepository, needed_bytes: int) -> NotEnoughSpace | None:
    """The error, when ``needed_bytes`` and the reserve do not fit. An SR that tells no size is not judged."""
    if sr.physical_size_bytes <= 0:
        return None
    reserve = reserve_bytes(sr)
    if needed_bytes + reserve <= sr.free_bytes:
        return None
    return NotEnoughSpace(
        f"SR {sr.name_label!r} has {format_bytes(sr.free_bytes)} free; {format_bytes(needed_bytes)} are needed and"
        f" {format_bytes(reserve)} stay in reserve",
        evidence={"sr": sr.uuid, "needed": needed_bytes, "reserve": reserve, "free": sr.free_bytes},
        remedy="free space on it or choose another SR",
    )


def _space_errors(vm: Vm, srs: Mapping[str, str], around: Surroundings) -> Iterator[WarmigError]:
    for sr in around.srs.values():
        disks = [disk for disk in vm.disks if srs[disk.vdi] == sr.uuid and disk.vdi not in around.there_already]
        error = lack_of_space(sr, sum(_copy_bytes(sr, disk) for disk in disks)) if disks else None
        if error is not None:
            yield error
    if vm.power_state is not PowerState.RUNNING:
        return
    for sr in around.source_srs.values():
        error = lack_of_space(sr, snapshot_bytes(sr, [disk for disk in vm.disks if disk.sr == sr.uuid]))
        if error is not None:
            yield error


def _copy_bytes(sr: StorageRepository, disk: Disk) -> int:
    return min(disk.virtual_size_bytes, disk.physical_bytes) if sr.thin else disk.virtual_size_bytes


def _read_back_warnings(request: WarmMigrationRequest, vm: Vm, around: Surroundings) -> Iterator[Warning_]:
    """From an export a disk can be read back only as a whole, and the last time of that is in the downtime."""
    if request.verify is not Verify.FULL or not around.against_read_back or not vm.disks:
        return
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
    )


def _warnings(request: WarmMigrationRequest, vm: Vm) -> Iterator[Warning_]:
    for operation in sorted({"migrate_send", "pool_migrate", "snapshot"}.intersection(vm.blocked_operations)):
        yield Warning_(
            code="OPERATION_BLOCKED_BY_USER",
            message=f"the VM's operation {operation} is blocked; the migration does not need it and goes on",
            evidence={"operation": operation, "reason": vm.blocked_operations[operation]},
        )
    if request.delete_source_vm and vm.snapshots:
        yield Warning_(
            code="SOURCE_WILL_BE_KEPT",
            message="the source has snapshots, which do not travel; it will be kept although its deletion was asked for",
            evidence={"snapshots": list(vm.snapshots)},
            remedy="delete the snapshots beforehand if they are not wanted",
        )
    forced = not vm.tools and request.shutdown.force is not ForceShutdown.NEVER
    if vm.power_state is PowerState.RUNNING and forced:
        yield Warning_(
            code="NO_GUEST_TOOLS",
            message="the VM has no guest tools: it cannot be asked to shut down and will be powered off",
            evidence={"force": str(request.shutdown.force)},
            remedy="install guest tools, or set shutdown.force to never and shut it down yourself",
        )
    for drive in vm.cd_drives:
        if drive.inserted_vdi is not None:
            yield Warning_(
                code="CD_STAYS",
                message=f"what is inserted in CD drive {drive.device} does not travel",
                evidence={"device": drive.device, "vdi": drive.inserted_vdi},
            )
