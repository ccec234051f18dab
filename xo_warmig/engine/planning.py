"""The plan as people see it, out of what was read and what the preflight says of it. Pure; nothing was changed."""

from typing import Final, NamedTuple

import msgspec

from xo_warmig.engine.adoption import why_not_reusable
from xo_warmig.engine.pacing import Limits
from xo_warmig.engine.plan_findings import all_findings, figure_warnings
from xo_warmig.engine.state import MigrationState
from xo_warmig.engine.survey import Survey
from xo_warmig.model.estimates import Estimate
from xo_warmig.model.findings import Finding, PlannedDisk, PlannedVif, PlanReport
from xo_warmig.model.passes import Way
from xo_warmig.model.plans import KeptDisk, MigrationPlan
from xo_warmig.model.requests import WarmMigrationRequest
from xo_warmig.model.vm import Disk, Vif
from xo_warmig.replication.addresses import choose_addresses
from xo_warmig.replication.choosing import Offer, choose_way
from xo_warmig.replication.estimate import estimate
from xo_warmig.replication.exports import against_listing, exports_of_disk
from xo_warmig.replication.known import Known
from xo_warmig.replication.measured import Rates
from xo_warmig.replication.networks import choose_networks

_VHD_DELTA: Final = "vhdDelta"


class _Figures(NamedTuple):
    """Of a plan: its disks, each with its way and what a first pass reads of it, that of all (None: nothing tells), and what it takes."""

    disks: list[PlannedDisk]
    first_pass_bytes: int | None
    expected: Estimate


def plan_report(
    request: WarmMigrationRequest,
    seen: Survey,
    earlier: list[MigrationState],
    limits: Limits,
    known: Known,
    strange: list[Finding],
) -> PlanReport:
    """Everything about the way of one VM: where each disk and interface goes, how, how fast it may, and what was found.

    Args:
        earlier: migrations of the VM that left something.
        known: what earlier migrations showed.
        strange: what was found beside this VM and its way.
    """
    vm, around, flight = seen.vm, seen.around, seen.preflight
    disks, first_pass_bytes, expected = _figures(request, seen, earlier, limits, known)
    chosen, _ = choose_networks(vm, around.networks, request.map_vifs_networks)
    addresses, _ = choose_addresses(vm, request.mac_addresses)
    return PlanReport(
        vm=vm.uuid,
        vm_name=vm.name_label,
        source_pool=vm.pool,
        source_pool_name=vm.pool_name,
        target_pool=around.target_pool,
        target_pool_name=around.target_pool_name,
        sr=request.sr,
        possible=not flight.errors,
        disks=disks,
        vifs=[_vif(vif, request, seen, chosen.get(vif.uuid), addresses[vif.uuid]) for vif in vm.vifs],
        findings=all_findings(request, seen, disks, earlier, expected, strange),
        first_pass_bytes=first_pass_bytes,
        limits=limits.holding,
        estimate=expected,
    )


def warned_plan(
    request: WarmMigrationRequest,
    seen: Survey,
    plan: MigrationPlan,
    earlier: list[MigrationState],
    limits: Limits,
    known: Known,
) -> MigrationPlan:
    """The preflight's plan with what the figures warn of, so that whoever starts without planning is told, too.

    That an earlier copy does not serve is told as the disks are taken over (``adoption``).
    """
    expected = _figures(request, seen, earlier, limits, known).expected
    return msgspec.structs.replace(plan, warnings=[*plan.warnings, *figure_warnings(request, expected)])


def _figures(
    request: WarmMigrationRequest,
    seen: Survey,
    earlier: list[MigrationState],
    limits: Limits,
    known: Known,
) -> _Figures:
    disks = [_disk(disk, request, seen, earlier, known.rates) for disk in seen.vm.disks]
    sizes = [disk.first_pass_bytes for disk in disks]
    first_pass_bytes = None if None in sizes else sum(size or 0 for size in sizes)
    return _Figures(disks, first_pass_bytes, _estimate(request, seen, known, disks, limits, first_pass_bytes))


def _estimate(
    request: WarmMigrationRequest,
    seen: Survey,
    known: Known,
    disks: list[PlannedDisk],
    limits: Limits,
    first_pass_bytes: int | None,
) -> Estimate:
    return estimate(
        request,
        seen.vm,
        known,
        ways=[Way.VHD if disk.way == _VHD_DELTA else Way(disk.way) for disk in disks],
        first_pass_bytes=first_pass_bytes,
        line=limits.line(in_downtime=False),
        final_line=limits.line(in_downtime=True),
        against_read_back=seen.around.against_read_back,
    )


def _disk(
    disk: Disk, request: WarmMigrationRequest, seen: Survey, earlier: list[MigrationState], rates: Rates
) -> PlannedDisk:
    sr = request.map_vdis_srs.get(disk.vdi, request.sr)
    target = seen.around.srs.get(sr)
    kept = _kept(disk, request, seen, earlier)
    against = _without_copy(disk, earlier) if kept is None else why_not_reusable(kept, disk, sr)
    believed = kept is not None and kept.life is not None
    nbd = seen.around.against_blocks.get(disk.vdi, "")
    offer = Offer(nbd=nbd, cbt="" if believed else "not since the earlier copy's base")
    full = against is not None
    exports = exports_of_disk(disk)
    first = choose_way(full=full, transport=request.transport, offer=offer, exports=exports, rates=rates)
    if first.whole:
        against = first.reason
    reused = against is None
    return PlannedDisk(
        disk=disk.vdi,
        device=disk.device,
        name_label=disk.name_label,
        virtual_size_bytes=disk.virtual_size_bytes,
        source_sr=disk.sr,
        target_sr=sr,
        target_sr_name="" if target is None else target.name_label,
        way=_way(first.way, reused),
        way_reason=first.reason,
        reused=reused,
        # What was written since an old base nobody can tell before the export's table is read.
        first_pass_bytes=None if reused else _first_pass_bytes(disk, first.way),
        reason="an earlier attempt's copy is gone on with" if reused else f"copied whole: {against}",
    )


def _first_pass_bytes(disk: Disk, way: Way) -> int:
    """What is read: what is allocated, or all where nothing tells what that is."""
    whole = way is Way.NBD and bool(against_listing(disk.virtual_size_bytes, disk.image_format))
    return disk.virtual_size_bytes if whole else min(disk.virtual_size_bytes, disk.physical_bytes)


def _way(way: Way, reused: bool) -> str:
    return _VHD_DELTA if way is Way.VHD and reused else str(way)


def _kept(disk: Disk, request: WarmMigrationRequest, seen: Survey, earlier: list[MigrationState]) -> KeptDisk | None:
    """The newest copy of the disk that an earlier attempt kept for this way."""
    for state in earlier:
        if state.plan.target_pool == seen.around.target_pool and state.request.sr == request.sr:
            for each in state.kept:
                if each.disk == disk.vdi:
                    return each
    return None


def _without_copy(disk: Disk, earlier: list[MigrationState]) -> str:
    """Where none was kept for this way."""
    elsewhere = any(each.disk == disk.vdi for state in earlier for each in state.kept)
    return "the earlier copy was made for another storage repository" if elsewhere else "there is no earlier copy"


def _vif(vif: Vif, request: WarmMigrationRequest, seen: Survey, network: str | None, address: str) -> PlannedVif:
    name = next((each.name_label for each in seen.around.networks if each.uuid == network), "")
    if network is None:
        reason = "no network of the target pool matches"
    elif vif.uuid in request.map_vifs_networks:
        reason = "as asked"
    else:
        reason = "the same network" if network == vif.network else "the network of the same name and VLAN"
    return PlannedVif(
        vif=vif.uuid,
        device=vif.device,
        mac=vif.mac,
        target_mac=address,
        network=network,
        network_name=name,
        reason=reason,
    )
