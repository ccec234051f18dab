"""Reading all that the preflight looks at. Nothing is changed: a refused request leaves no trace on any pool."""

import asyncio
from collections.abc import Iterable
from typing import NamedTuple

from xo_warmig.engine.journal import Journal
from xo_warmig.engine.promises import promised
from xo_warmig.engine.state import MigrationState
from xo_warmig.errors import NoSuchObject
from xo_warmig.model.plans import MigrationPlan
from xo_warmig.model.requests import Transport, Verify, WarmMigrationRequest
from xo_warmig.model.vm import Network, StorageRepository, Vm
from xo_warmig.replication.addresses import choose_addresses, with_addresses
from xo_warmig.replication.ports import Pool, Pools, SourcePool, TargetPool
from xo_warmig.replication.preflight import Preflight, Surroundings, preflight


class Survey(NamedTuple):
    """What was read, and what the preflight says of it."""

    source: SourcePool
    target: Pool
    vm: Vm
    around: Surroundings
    preflight: Preflight


async def survey(
    request: WarmMigrationRequest,
    pools: Pools,
    earlier: list[MigrationState],
    *,
    ended: frozenset[str],
    now: float,
    journals: Iterable[Journal] = (),
) -> Survey:
    """Look at the VM first, then at the SR, then at the rest.

    Args:
        earlier: migrations of the VM that left something.
        ended: ids of all of this server's migrations that are at their end.
        now: seconds since the epoch.
        journals: migrations of other VMs: what the running ones were promised of the SRs is not there for this one.

    Raises:
        NoSuchObject: the VM or the SR is not known. PoolUnreachable: a pool does not answer.
    """
    source = await pools.pool_of_vm(request.vm)
    vm = await source.read_vm(request.vm)
    target = await pools.pool_of_sr(request.sr)
    networks: list[Network] = await target.networks() if vm.vifs else []
    srs = await _target_srs(request, target, pools)
    addresses, _ = choose_addresses(vm, request.mac_addresses)
    source_facts, target_facts, twins = await asyncio.gather(
        source.facts(), target.facts(), target.twins(with_addresses(vm, addresses))
    )
    around = Surroundings(
        target_pool=target.uuid,
        target_pool_name=target.name,
        srs=srs,
        source_srs=await _source_srs(source, vm),
        networks=networks,
        there_already=_there_already(request, earlier),
        ours=ended,
        now=now,
        against_blocks=await _against_blocks(request, source, vm),
        source_facts=source_facts,
        target_facts=target_facts,
        twins=twins,
        promised=promised(srs.values(), journals),
        against_read_back="" if request.verify is Verify.NONE else await target.against_nbd(),
        against_vtpm_contents=await _against_vtpm_contents(source, target) if vm.vtpms else "",
    )
    return Survey(source, target, vm, around, preflight(request, vm, around))


def possible_plan(seen: Survey) -> MigrationPlan:
    """Raises WarmigError: the first of what stands against it."""
    if seen.preflight.plan is None:
        raise seen.preflight.errors[0]
    return seen.preflight.plan


def judged_again(request: WarmMigrationRequest, seen: Survey, journals: Iterable[Journal]) -> Survey:
    """By what was promised meanwhile: reading takes its time, and others of the same SR may have been started since."""
    around = seen.around._replace(promised=promised(seen.around.srs.values(), journals))
    return seen._replace(around=around, preflight=preflight(request, seen.vm, around))


async def _against_vtpm_contents(source: Pool, target: Pool) -> str:
    """With the name of the pool."""
    for pool in (source, target):
        if why := await pool.against_vtpm_contents():
            return f"{pool.name}: {why}"
    return ""


async def _against_blocks(request: WarmMigrationRequest, source: SourcePool, vm: Vm) -> dict[str, str]:
    if request.transport is Transport.VHD:
        return {}
    return {disk.vdi: await source.against_blocks(disk.vdi) for disk in vm.disks}


async def _target_srs(request: WarmMigrationRequest, target: TargetPool, pools: Pools) -> dict[str, StorageRepository]:
    """Those of the target pool; one that is on another pool is left out, and refused for that; an unknown one raises."""
    found = {}
    for uuid in dict.fromkeys([request.sr, *request.map_vdis_srs.values()]):
        pool = target if uuid == request.sr else await pools.pool_of_sr(uuid)
        if pool.uuid == target.uuid:
            found[uuid] = await pool.read_sr(uuid)
    return found


async def _source_srs(source: Pool, vm: Vm) -> dict[str, StorageRepository]:
    found = {}
    for uuid in sorted({disk.sr for disk in vm.disks}):
        try:
            found[uuid] = await source.read_sr(uuid)
        except NoSuchObject:
            continue  # told by the disk's own reading, when it comes to that
    return found


def _there_already(request: WarmMigrationRequest, earlier: list[MigrationState]) -> frozenset[str]:
    """A copy on another SR than the disk is to go to now is removed, and does not save the room of a new one."""
    return frozenset(
        each.disk
        for state in earlier
        if state.request.sr == request.sr
        for each in state.kept
        if each.target.sr == request.map_vdis_srs.get(each.disk, request.sr)
    )
