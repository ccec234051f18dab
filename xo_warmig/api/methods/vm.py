"""``vm.*``: Xen Orchestra's own call for a warm migration, and what else its clients do to a VM (packages/xo-server/src/api/vm.mjs)."""

from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from xo_warmig.api.method import Call, Method, Permission
from xo_warmig.errors import InvalidRequest, PoolError
from xo_warmig.model.requests import NonEmpty, WarmMigrationRequest
from xo_warmig.model.vm import VmChanges

# XAPI has not even asked the guest.
_NO_TOOLS = frozenset({"VM_MISSING_PV_DRIVERS", "VM_LACKS_FEATURE", "VM_LACKS_FEATURE_SHUTDOWN"})


_HA_VALUES: Final = ("best-effort", "restart", "")  # of XAPI's VM.ha_restart_priority


class StartVm(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """``vm.start``. ``bypass_mac_addresses_check``: taken for XO's clients; XAPI itself makes no such check, and neither do we."""

    id: NonEmpty
    force: bool | UnsetType = UNSET
    host: NonEmpty | UnsetType = UNSET
    bypass_mac_addresses_check: bool | UnsetType = UNSET


class StopVm(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """``vm.stop``. ``force``: cut its power, and whatever blocks that; ``force_shutdown_delay``: after so many ms without an end."""

    id: NonEmpty
    force: bool | UnsetType = UNSET
    force_shutdown_delay: float = 0
    bypass_blocked_operation: bool | UnsetType = UNSET


class RestartVm(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """``vm.restart``. ``force``: cut its power, and whatever blocks that."""

    id: NonEmpty
    force: bool | UnsetType = UNSET
    bypass_blocked_operation: bool | UnsetType = UNSET


class VmId(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A VM by its id."""

    id: NonEmpty


class SetVm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``vm.set``. ``blocked_operations``: a reason, or true, by operation; null or false allows it."""

    id: NonEmpty
    name_label: str | UnsetType = UNSET
    name_description: str | UnsetType = UNSET
    tags: list[str] | UnsetType = UNSET
    auto_poweron: bool | UnsetType = UNSET
    blocked_operations: dict[str, str | bool | None] | UnsetType = msgspec.field(
        default=UNSET, name="blockedOperations"
    )


async def warm_migration(call: Call, request: WarmMigrationRequest) -> str:
    """One long request. Whatever becomes of it, the migration goes on."""
    engine = call.services.engine
    started = await engine.start(request, user=call.caller.email)
    return await engine.outcome(started.id)


async def start(call: Call, params: StartVm) -> None:
    host = None if params.host is UNSET else params.host
    await call.services.orders.vms.start(params.id, host=host, force=params.force is True)


async def stop(call: Call, params: StopVm) -> None:
    force = params.force is True
    try:
        await call.services.orders.vms.stop(
            params.id,
            force=force,
            force_after_seconds=params.force_shutdown_delay / 1000,
            bypass_blocked=force if params.bypass_blocked_operation is UNSET else params.bypass_blocked_operation,
        )
    except PoolError as error:
        if error.code in _NO_TOOLS and not force:
            raise _needs_tools("shutdown", error) from error
        raise


async def restart(call: Call, params: RestartVm) -> None:
    force = params.force is True
    bypass = force if params.bypass_blocked_operation is UNSET else params.bypass_blocked_operation
    await call.services.orders.vms.restart(params.id, force=force, bypass_blocked=bypass)


async def pause(call: Call, params: VmId) -> None:
    await call.services.orders.vms.pause(params.id)


async def unpause(call: Call, params: VmId) -> None:
    await call.services.orders.vms.unpause(params.id)


async def suspend(call: Call, params: VmId) -> None:
    await call.services.orders.vms.suspend(params.id)


async def resume(call: Call, params: VmId) -> None:
    await call.services.orders.vms.resume(params.id)


async def set_(call: Call, params: SetVm) -> None:
    blocked = {} if params.blocked_operations is UNSET else params.blocked_operations
    await call.services.orders.vms.change(
        params.id,
        VmChanges(
            name_label=params.name_label,
            name_description=params.name_description,
            tags=params.tags,
            auto_poweron=params.auto_poweron,
            blocked_operations={operation: _reason(value) for operation, value in blocked.items()},
        ),
    )


async def get_ha_values(call: Call, params: None) -> list[str]:
    return list(_HA_VALUES)


def _needs_tools(what: str, error: PoolError) -> InvalidRequest:
    return InvalidRequest(
        f"clean {what} requires PV drivers",
        code=error.code,
        evidence={**error.evidence, "instancePath": "/force"},
    )


def _reason(value: str | bool | None) -> str | None:
    """As XO writes it."""
    if value is None or value is False:
        return None
    return "true" if value is True else value


METHODS = (
    Method(
        "vm.warmMigration",
        warm_migration,
        Permission.ADMIN,
        "move a VM to a storage repository of any pool with a short downtime; returns the new VM's uuid when it has booted",
        WarmMigrationRequest,
        str,
    ),
    Method("vm.start", start, Permission.ADMIN, "start a VM; returns when it runs", StartVm),
    Method("vm.stop", stop, Permission.ADMIN, "shut a VM down, or cut its power; returns when it is halted", StopVm),
    Method("vm.restart", restart, Permission.ADMIN, "restart a VM; returns when it runs again", RestartVm),
    Method("vm.pause", pause, Permission.ADMIN, "let a VM stand still", VmId),
    Method("vm.unpause", unpause, Permission.ADMIN, "let a paused VM go on", VmId),
    Method(
        "vm.getHaValues", get_ha_values, Permission.USER, "return what a VM's high availability can be", None, list[str]
    ),
    Method("vm.suspend", suspend, Permission.ADMIN, "write a VM's memory to a disk and let go of its host", VmId),
    Method("vm.resume", resume, Permission.ADMIN, "let a suspended VM go on", VmId),
    Method(
        "vm.set", set_, Permission.ADMIN, "change a VM's names, tags, blocked operations, or start with its host", SetVm
    ),
)
