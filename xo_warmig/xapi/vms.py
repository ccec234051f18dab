"""What people do to single VMs through XO's API: start, stop, change. What a migration holds of a VM is not taken from it."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import UNSET

from xo_warmig.errors import ForbiddenOperation
from xo_warmig.model.vm import VmChanges
from xo_warmig.xapi import blocking, objects, tasks
from xo_warmig.xapi.connection import Calls
from xo_warmig.xapi.directory import Directory
from xo_warmig.xapi.door import DOOR
from xo_warmig.xapi.vm_spec import AUTO_POWERON, TARGET_ROLE

OUR_MARK: Final = "xo_warmig"  # replication.preflight: our reasons begin with it
_STARTS: Final = ("start", "start_on")


class Vms:
    """The VMs of all connected pools. All raise NoSuchObject, PoolUnreachable, and PoolError as the pool does."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def start(self, vm: str, *, host: str | None = None, force: bool = False) -> None:
        """Returns when it runs. ``force`` takes away what blocks it, if that is not a live migration's."""
        calls, ref, record = await self._found(vm)
        if force:
            blocked = [operation for operation in _STARTS if operation in record["blocked_operations"]]
            await _block(calls, ref, record, dict.fromkeys(blocked))
        if host is None:
            await tasks.run(calls, "VM.start", ref, False, False)
        else:
            await tasks.run(calls, "VM.start_on", ref, await objects.ref_of(calls, "host", host), False, False)

    async def stop(self, vm: str, *, force: bool = False) -> None:
        """Returns when it is halted: by asking the guest, or by cutting its power."""
        calls, ref, _ = await self._found(vm)
        await tasks.run(calls, "VM.hard_shutdown" if force else "VM.clean_shutdown", ref)

    async def change(self, vm: str, changes: VmChanges) -> None:
        """Set what is given and is not so already."""
        calls, ref, record = await self._found(vm)
        await _block(calls, ref, record, changes.blocked_operations)
        for field in ("name_label", "name_description", "tags"):
            wanted = getattr(changes, field)
            if wanted is not UNSET and wanted != record[field]:
                await calls.call(f"VM.set_{field}", ref, wanted)
        if changes.auto_poweron is not UNSET:
            await _set_key(calls, ref, record["other_config"], AUTO_POWERON, "true" if changes.auto_poweron else None)

    async def _found(self, vm: str) -> tuple[Calls, str, dict[str, Any]]:
        calls = (await self._directory.pool_of_vm(vm)).calls
        return calls, *await objects.record_of(calls, "VM", vm)


async def _block(calls: Calls, ref: str, record: Mapping[str, Any], wanted: Mapping[str, str | None]) -> None:
    """R1: what a live migration blocks on its source, or on a copy that is not whole, stays blocked."""
    now = record["blocked_operations"]
    after = {operation: text for operation, text in ({**now, **wanted}).items() if text is not None}
    ours = [each for each, text in now.items() if text.startswith(OUR_MARK) and after.get(each) != text]
    is_copy = objects.is_ours(record["other_config"], record["uuid"], role=TARGET_ROLE)
    if ours and (is_copy or DOOR in record["other_config"]):
        raise ForbiddenOperation(
            f"the VM {record['name_label']} is {'a copy that is not whole' if is_copy else 'being migrated'},"
            f" so {ours[0]} stays blocked",
            code="BEING_MIGRATED",
            evidence={"rule": "R1", "operation": ours[0], "reason": now[ours[0]], "objectId": record["uuid"]},
            remedy="cancel the migration, or roll it back",
        )
    await blocking.make_blocked(calls, ref, record, after)


async def _set_key(calls: Calls, ref: str, other_config: Mapping[str, str], key: str, wanted: str | None) -> None:
    if other_config.get(key) == wanted:
        return
    if key in other_config:
        await calls.call("VM.remove_from_other_config", ref, key)
    if wanted is not None:
        await calls.call("VM.add_to_other_config", ref, key, wanted)
