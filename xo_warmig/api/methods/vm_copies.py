"""``vm.snapshot`` and ``vm.delete``: what adds to a VM's disks or takes them away, which no migration may be in the middle of."""

import msgspec
from msgspec import UNSET, UnsetType

from xo_warmig.api.method import Call, Method, Permission
from xo_warmig.errors import ForbiddenOperation
from xo_warmig.model.phases import is_end
from xo_warmig.model.requests import NonEmpty


class SnapshotVm(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """``vm.snapshot``. ``name``: without one, the VM's and the time. ``save_memory``: of a VM that runs."""

    id: NonEmpty
    name: NonEmpty | UnsetType = UNSET
    description: str | UnsetType = UNSET
    save_memory: bool | UnsetType = UNSET


class DeleteVm(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """``vm.delete``. ``force`` stands for each of the two that follow it."""

    id: NonEmpty
    delete_disks: bool | UnsetType = UNSET
    force: bool | UnsetType = UNSET
    force_delete_default_template: bool | UnsetType = UNSET
    force_blocked_operation: bool | UnsetType = UNSET


async def snapshot(call: Call, params: SnapshotVm) -> str:
    _see_free(call, params.id, "snapshot")
    return await call.services.orders.vms.snapshot(
        params.id,
        name=None if params.name is UNSET else params.name,
        description=None if params.description is UNSET else params.description,
        memory=params.save_memory is True,
    )


async def delete(call: Call, params: DeleteVm) -> None:
    _see_free(call, params.id, "destroy")
    force = params.force is True
    forced = params.force_blocked_operation
    template = params.force_delete_default_template
    await call.services.orders.vms.delete(
        params.id,
        disks=params.delete_disks is not False,
        bypass_blocked=force if forced is UNSET else forced,
        even_default_template=force if template is UNSET else template,
    )


def _see_free(call: Call, vm: str, operation: str) -> None:
    """R1, R2: until a migration has ended, one of its two VMs may be all there is. What is written on the VMs does not say that of both."""
    for report in call.services.engine.reports():
        if vm in (report.vm, report.target_vm) and not is_end(report.phase):
            which = "source" if vm == report.vm else "target"
            raise ForbiddenOperation(
                f"{operation} of the VM {report.vm_name} is refused: it is the {which} of migration {report.id}",
                code="BEING_MIGRATED",
                evidence={
                    "rule": "R2",
                    "operation": operation,
                    "reason": f"it is the {which} of migration {report.id}, which is {report.phase}",
                    "objectId": vm,
                    "migration": report.id,
                },
                remedy="wait for the end of the migration, commit it, or cancel it",
            )


METHODS = (
    Method("vm.snapshot", snapshot, Permission.ADMIN, "take a snapshot of a VM; returns its uuid", SnapshotVm, str),
    Method("vm.delete", delete, Permission.ADMIN, "delete a VM with its snapshots and its own disks", DeleteVm),
)
