"""What people do to single VMs through XO's API: start, stop, change, snapshot, delete. What a migration holds of a VM is not taken from
it.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from msgspec import UNSET

from xo_warmig.model.vm import PowerState, VmChanges
from xo_warmig.xapi import blocking, objects, removal, tasks
from xo_warmig.xapi.connection import Calls
from xo_warmig.xapi.directory import Directory
from xo_warmig.xapi.holds import see_blocks_free, see_free, see_guest
from xo_warmig.xapi.vm_spec import AUTO_POWERON

_STARTS: Final = ("start", "start_on")
_STOPS: Final = ("clean_shutdown", "hard_shutdown", "shutdown")
_REBOOTS: Final = ("clean_reboot", "hard_reboot")


class Vms:
    """The VMs of all connected pools. All raise NoSuchObject, PoolUnreachable, and PoolError as the pool does; control domains are none."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def start(self, vm: str, *, host: str | None = None, force: bool = False) -> None:
        """Returns when it runs, on from where it was paused or suspended.

        ``force`` takes away what blocks it, if that is not a live migration's.
        """
        calls, ref, record = await self._found(vm)
        if force:
            blocked = [operation for operation in _STARTS if operation in record["blocked_operations"]]
            await _block(calls, ref, record, dict.fromkeys(blocked))
        if record["power_state"] == PowerState.PAUSED:
            await tasks.run(calls, "VM.unpause", ref)
        elif record["power_state"] == PowerState.SUSPENDED:
            await tasks.run(calls, "VM.resume", ref, False, False)
        elif host is None:
            await tasks.run(calls, "VM.start", ref, False, False)
        else:
            await tasks.run(calls, "VM.start_on", ref, await objects.ref_of(calls, "host", host), False, False)

    async def stop(
        self, vm: str, *, force: bool = False, force_after_seconds: float = 0.0, bypass_blocked: bool = False
    ) -> None:
        """Returns when it is halted: by asking the guest, or by cutting its power. ``force_after_seconds``: 0 for never."""
        calls, ref, record = await self._found(vm)
        async with _unblocked(calls, ref, record, _STOPS if bypass_blocked else ()):
            if force:
                await tasks.run(calls, "VM.hard_shutdown", ref)
            elif force_after_seconds <= 0:
                await tasks.run(calls, "VM.clean_shutdown", ref)
            else:
                await _stop_within(calls, ref, force_after_seconds)

    async def restart(self, vm: str, *, force: bool = False, bypass_blocked: bool = False) -> None:
        """Returns when it runs again."""
        calls, ref, record = await self._found(vm)
        async with _unblocked(calls, ref, record, _REBOOTS if bypass_blocked else ()):
            await tasks.run(calls, "VM.hard_reboot" if force else "VM.clean_reboot", ref)

    async def pause(self, vm: str) -> None:
        """Its processors stand still."""
        calls, ref, _ = await self._found(vm)
        await tasks.run(calls, "VM.pause", ref)

    async def unpause(self, vm: str) -> None:
        """They go on."""
        calls, ref, _ = await self._found(vm)
        await tasks.run(calls, "VM.unpause", ref)

    async def suspend(self, vm: str) -> None:
        """Its memory is written to a disk, and it runs on no host."""
        calls, ref, _ = await self._found(vm)
        await tasks.run(calls, "VM.suspend", ref)

    async def resume(self, vm: str) -> None:
        """Out of that."""
        calls, ref, _ = await self._found(vm)
        await tasks.run(calls, "VM.resume", ref, False, False)

    async def snapshot(
        self, vm: str, *, name: str | None = None, description: str | None = None, memory: bool = False
    ) -> str:
        """The snapshot's uuid; ``name``: as the VM and the time. With its ``memory`` where the VM runs.

        Raises ForbiddenOperation: a migration has the VM.
        """
        calls, ref, record = await self._found(vm)
        see_free(record, "snapshot")
        return await removal.take_snapshot(calls, ref, record, name=name, description=description, memory=memory)

    async def delete(
        self, vm: str, *, disks: bool = True, bypass_blocked: bool = False, even_default_template: bool = False
    ) -> None:
        """With its snapshots, after cutting its power; its ``disks`` but those that other VMs have too.

        Raises ForbiddenOperation: a migration has the VM, or it is blocked and that is not bypassed; IncorrectState: a default template.
        """
        calls, ref, record = await self._found(vm)
        await removal.delete_vm(
            calls, ref, record, disks=disks, bypass_blocked=bypass_blocked, even_default_template=even_default_template
        )

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
        ref, record = await objects.record_of(calls, "VM", vm)
        see_guest(record)
        return calls, ref, record


async def _stop_within(calls: Calls, ref: str, seconds: float) -> None:
    """The guest is asked, and not waited for any longer. What refuses that, as a block does, is no reason to cut its power."""
    task = await calls.call("Async.VM.clean_shutdown", ref)
    try:
        await asyncio.wait_for(tasks.result_of(calls, task, what="VM.clean_shutdown"), seconds)
    except TimeoutError:
        await tasks.cancel(calls, task)
        if await calls.call("VM.get_power_state", ref) != PowerState.HALTED:
            await tasks.run(calls, "VM.hard_shutdown", ref)


async def _block(calls: Calls, ref: str, record: Mapping[str, Any], wanted: Mapping[str, str | None]) -> None:
    """R1: what a live migration blocks on its source, or on a copy that is not whole, stays blocked."""
    after = {
        operation: text for operation, text in ({**record["blocked_operations"], **wanted}).items() if text is not None
    }
    see_blocks_free(record, after)
    await blocking.make_blocked(calls, ref, record, after)


@asynccontextmanager
async def _unblocked(
    calls: Calls, ref: str, record: Mapping[str, Any], operations: Sequence[str]
) -> AsyncIterator[None]:
    """What blocks these stands aside meanwhile, if it is not a migration's."""
    stood = {each: text for each, text in record["blocked_operations"].items() if each in operations}
    await _block(calls, ref, record, dict.fromkeys(stood))
    try:
        yield
    finally:
        for operation, text in stood.items():
            await blocking.add(calls, ref, operation, text)


async def _set_key(calls: Calls, ref: str, other_config: Mapping[str, str], key: str, wanted: str | None) -> None:
    if other_config.get(key) == wanted:
        return
    if key in other_config:
        await calls.call("VM.remove_from_other_config", ref, key)
    if wanted is not None:
        await calls.call("VM.add_to_other_config", ref, key, wanted)
