"""The source VM itself: what it is, what it does, who holds it, and whether it can be shut down."""

from collections.abc import Iterator

from xo_warmig.errors import ForbiddenOperation, IncorrectState, InvalidRequest
from xo_warmig.model.reports import Note, Warning_
from xo_warmig.model.requests import ForceShutdown, WarmMigrationRequest
from xo_warmig.model.vm import PowerState, Vm
from xo_warmig.replication.choosing import needs_clean_shutdown
from xo_warmig.replication.preflight.marks import DOOR, OUR_MARK
from xo_warmig.replication.preflight.surroundings import Found

# Operations in progress that a migration would cross.
_CROSSING = frozenset(
    {
        "checkpoint", "clean_reboot", "clean_shutdown", "clone", "copy", "create_template", "create_vtpm", "csvm", "destroy", "export",
        "hard_reboot", "hard_shutdown", "import", "make_into_template", "migrate_send", "pause", "pool_migrate", "power_state_reset",
        "provision", "resume", "resume_on", "revert", "reverting", "shutdown", "start", "start_on", "suspend", "sysprep", "unpause",
    }
)  # fmt: skip
# Those that set something of it; what they set is put on the target later.
_SETTING = ("changing_", "awaiting_memory_live")


def of_vm(request: WarmMigrationRequest, vm: Vm, ours: frozenset[str]) -> Iterator[Found]:
    """What stands against it. ``ours``: see ``Surroundings``."""
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
    yield from _door_errors(vm, ours)


def _door_errors(vm: Vm, ours: frozenset[str]) -> Iterator[Found]:
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


def _operation_errors(vm: Vm) -> Iterator[Found]:
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


def _block_errors(request: WarmMigrationRequest, vm: Vm) -> Iterator[Found]:
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


def _forced_in_vain(request: WarmMigrationRequest, vm: Vm) -> bool:
    return request.shutdown.force is ForceShutdown.ALWAYS and needs_clean_shutdown(request.transport, vm.disks)


def told_of_vm(request: WarmMigrationRequest, vm: Vm) -> Iterator[Found]:
    """What it means for the VM."""
    for operation in sorted({"migrate_send", "pool_migrate", "snapshot"}.intersection(vm.blocked_operations)):
        yield Warning_(
            code="OPERATION_BLOCKED_BY_USER",
            message=f"the VM's operation {operation} is blocked; the migration does not need it and goes on",
            evidence={"operation": operation, "reason": vm.blocked_operations[operation]},
        )
    setting = sorted(name for name in vm.current_operations if name.startswith(_SETTING))
    if setting:
        yield Note(
            code="VM_CHANGING",
            message=f"the VM has {setting[0]} in progress; what that changes is put on the target too, before it is started",
            evidence={"operations": setting},
        )
    forced = not vm.tools and request.shutdown.force is not ForceShutdown.NEVER
    if vm.power_state is PowerState.RUNNING and forced:
        yield Warning_(
            code="NO_GUEST_TOOLS",
            message="the VM has no guest tools: it cannot be asked to shut down and will be powered off; what the guest has not written to "
            "its disks by then is lost",
            evidence={"force": str(request.shutdown.force)},
            remedy="install guest tools, or shut it down yourself and migrate it halted",
        )
    if vm.power_state is PowerState.RUNNING and not vm.tools and not forced:
        yield Warning_(
            code="SHUTDOWN_BY_HAND",
            message="the VM has no guest tools and may not be powered off: the cutover asks in vain, and everything is rolled back",
            evidence={"force": str(request.shutdown.force)},
            remedy="install guest tools, shut the VM down and migrate it halted, or set shutdown.force to ifNoTools",
        )
    if vm.power_state is PowerState.RUNNING and vm.tools and _forced_in_vain(request, vm):
        yield Warning_(
            code="POWER_NOT_CUT",
            message="the VM is not powered off although shutdown.force is always: only changed block tracking tells the last changes of a "
            "disk, and that is believed after a clean shutdown alone. If it does not shut down when it is asked, the source runs on",
            evidence={"force": str(request.shutdown.force)},
            remedy="see that the guest shuts down when it is asked, or shut it down yourself and migrate it halted",
        )
    if vm.power_state is PowerState.HALTED:
        yield Note(
            code="ONE_PASS",
            message="the VM is halted: its disks are copied in one pass, and it stays halted until the target is started",
        )
    yield from _told_of_snapshots(request, vm)


def _told_of_snapshots(request: WarmMigrationRequest, vm: Vm) -> Iterator[Found]:
    if not vm.snapshots:
        return
    held = f", {len(vm.checkpoints)} of them with memory" if vm.checkpoints else ""
    evidence: dict[str, object] = {"snapshots": list(vm.snapshots), "checkpoints": list(vm.checkpoints)}
    if request.delete_source_vm:
        yield Warning_(
            code="SOURCE_WILL_BE_KEPT",
            message="the source has snapshots, which do not travel; it will be kept although its deletion was asked for",
            evidence=evidence,
            remedy="delete the snapshots beforehand if they are not wanted",
        )
    else:
        yield Note(
            code="SNAPSHOTS_STAY",
            message=f"the VM's {len(vm.snapshots)} snapshots{held} do not travel; they stay with the source",
            evidence=evidence,
        )
