"""What stands against a migration that is to read over NBD alone, said before it begins. Decisions only."""

from collections.abc import Iterator, Mapping

from xo_warmig.errors import InvalidRequest
from xo_warmig.model.nbd import remedy_on_source
from xo_warmig.model.requests import Transport, WarmMigrationRequest
from xo_warmig.model.vm import PowerState, Vm


def nbd_only_errors(
    request: WarmMigrationRequest, vm: Vm, against_blocks: Mapping[str, str]
) -> Iterator[InvalidRequest]:
    """Why it could not be read, or not be cut over.

    Args:
        against_blocks: by disk, why its pool does not serve it over NBD; "" where it does.
    """
    if request.transport is not Transport.NBD:
        return
    for disk in vm.disks:
        if why := against_blocks.get(disk.vdi, ""):
            yield InvalidRequest(
                f"disk {disk.name_label!r} ({disk.vdi}) cannot be read over NBD, which transport nbd asks for: {why}",
                code="NBD_NOT_SERVED",
                evidence={"instancePath": "/transport", "disk": disk.vdi, "reason": why},
                remedy=remedy_on_source(why, "leave transport at auto"),
            )
    if vm.power_state is PowerState.RUNNING and not vm.tools:
        yield InvalidRequest(
            "with transport nbd only changed block tracking tells the VM's last changes, which is believed after a clean shutdown "
            "alone, and the VM has no guest tools to be asked for one",
            code="NBD_NEEDS_TOOLS",
            evidence={"instancePath": "/transport", "vm": vm.uuid},
            remedy="leave transport at auto, install guest tools, or shut the VM down and migrate it halted",
        )
