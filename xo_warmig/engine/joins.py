"""When a call means a migration that there is already (design: the same call again joins, another one is refused)."""

from collections.abc import Mapping

from xo_warmig.engine.blocks import SOURCE_OPERATIONS, source_blocks
from xo_warmig.engine.state import MigrationState
from xo_warmig.errors import IncorrectState, NoSuchObject
from xo_warmig.model.phases import Phase
from xo_warmig.model.requests import WarmMigrationRequest
from xo_warmig.model.vm import PowerState
from xo_warmig.replication.ports import Pools


def flags_of(request: WarmMigrationRequest) -> Mapping[str, object]:
    """What makes two calls the same: where to, and what becomes of both sides. How fast and how often does not."""
    return {
        "sr": request.sr,
        "startDestinationVm": request.start_destination_vm,
        "deleteSourceVm": request.delete_source_vm,
        "mapVdisSrs": request.map_vdis_srs,
        "mapVifsNetworks": request.map_vifs_networks,
        "macAddresses": request.mac_addresses,
    }


def demand_same(request: WarmMigrationRequest, state: MigrationState) -> None:
    """Raises IncorrectState when the VM's running migration was asked for with another SR or other flags."""
    asked, running = flags_of(request), flags_of(state.request)
    for name, value in asked.items():
        if value != running[name]:
            raise IncorrectState(
                f"the VM is already migrating with another {name}",
                code="ALREADY_MIGRATING",
                evidence={
                    "object": request.vm,
                    "property": name,
                    "actual": running[name],
                    "expected": value,
                    "migration": state.id,
                },
                remedy="wait for that migration or cancel it",
            )


async def answers_again(request: WarmMigrationRequest, state: MigrationState, pools: Pools) -> bool:
    """Whether a repeat is answered by a migration that is done: same flags, and the source is as it left it.

    Raises:
        IncorrectState: the source is as it was left, but the call asks for something else.
    """
    if state.phase is not Phase.DONE or not await _as_left(state, pools):
        return False
    if flags_of(request) != flags_of(state.request):
        raise IncorrectState(
            "the VM was migrated already, with another SR or other flags",
            code="ALREADY_MIGRATED",
            evidence={
                "object": request.vm,
                "property": "migration",
                "actual": dict(flags_of(state.request)),
                "expected": dict(flags_of(request)),
                "migration": state.id,
                "target": state.target_vm,
            },
            remedy="to take the source back, remove its blocked operations",
        )
    return True


async def _as_left(state: MigrationState, pools: Pools) -> bool:
    """Deleted, or halted with our blocks on it."""
    vm = state.plan.vm.uuid
    try:
        pool = await pools.pool_of_vm(vm)
        if await pool.power_state(vm) is not PowerState.HALTED:
            return False
        found = await pool.blocked_operations(vm)
    except NoSuchObject:
        return state.source_deleted
    ours = source_blocks(state)
    return all(found.get(operation) == ours[operation] for operation in SOURCE_OPERATIONS)
