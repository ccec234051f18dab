"""The plan as people see it, out of what was read and what the preflight says of it. Pure; nothing was changed."""

from xo_warmig.engine.adoption import why_not_reusable
from xo_warmig.engine.state import MigrationState
from xo_warmig.engine.survey import Survey
from xo_warmig.errors import WarmigError
from xo_warmig.model.findings import Finding, PlannedDisk, PlannedLimit, PlannedVif, PlanReport, Severity
from xo_warmig.model.passes import Way
from xo_warmig.model.plans import KeptDisk
from xo_warmig.model.reports import Warning_
from xo_warmig.model.requests import Verify, WarmMigrationRequest
from xo_warmig.model.units import format_bytes
from xo_warmig.model.vm import Disk, Vif
from xo_warmig.replication.choosing import Offer, choose_way
from xo_warmig.replication.measured import NOTHING_MEASURED, Rates
from xo_warmig.replication.networks import choose_networks
from xo_warmig.replication.reading_back import HEAD_BYTES


def plan_report(
    request: WarmMigrationRequest,
    seen: Survey,
    earlier: list[MigrationState],
    limits: list[PlannedLimit],
    rates: Rates = NOTHING_MEASURED,
) -> PlanReport:
    """Everything about the way of one VM: where each disk and interface goes, how, how fast it may, and what was found.

    Args:
        earlier: migrations of the VM that left something.
        rates: what each way of reading made between these pools.
    """
    vm, around, flight = seen.vm, seen.around, seen.preflight
    disks = [_disk(disk, request, seen, earlier, rates) for disk in vm.disks]
    chosen, _ = choose_networks(vm, around.networks, request.map_vifs_networks)
    findings = [
        *(_of_error(error, vm.uuid) for error in flight.errors),
        *(_of_warning(warning, vm.uuid, Severity.WARNING) for warning in flight.warnings),
        *(_of_warning(note, vm.uuid, Severity.INFO) for note in flight.notes),
        *_reuse_findings(disks, earlier),
        *_sample_findings(request, seen),
    ]
    sizes = [disk.first_pass_bytes for disk in disks]
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
        vifs=[_vif(vif, request, seen, chosen.get(vif.uuid)) for vif in vm.vifs],
        findings=findings,
        first_pass_bytes=None if None in sizes else sum(size or 0 for size in sizes),
        limits=limits,
    )


def _disk(
    disk: Disk, request: WarmMigrationRequest, seen: Survey, earlier: list[MigrationState], rates: Rates
) -> PlannedDisk:
    sr = request.map_vdis_srs.get(disk.vdi, request.sr)
    target = seen.around.srs.get(sr)
    kept = _kept(disk, request, seen, earlier)
    against = "there is no earlier copy" if kept is None else why_not_reusable(kept, disk, sr)
    believed = kept is not None and kept.life is not None
    nbd = seen.around.against_blocks.get(disk.vdi, "")
    offer = Offer(nbd=nbd, cbt="" if believed else "not since the earlier copy's base")
    size = disk.virtual_size_bytes
    full = against is not None
    first = choose_way(full=full, transport=request.transport, offer=offer, size_bytes=size, rates=rates)
    if against is None and first.way is Way.NBD:
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
        first_pass_bytes=None if reused else _first_pass_bytes(disk, seen),
        reason="an earlier attempt's copy is gone on with" if reused else f"copied whole: {against}",
    )


def _first_pass_bytes(disk: Disk, seen: Survey) -> int:
    """What is read: what is allocated, or all where nothing tells what that is."""
    whole = bool(seen.around.against_listing.get(disk.vdi))
    return disk.virtual_size_bytes if whole else min(disk.virtual_size_bytes, disk.physical_bytes)


def _way(way: Way, reused: bool) -> str:
    return "vhdDelta" if way is Way.VHD and reused else str(way)


def _kept(disk: Disk, request: WarmMigrationRequest, seen: Survey, earlier: list[MigrationState]) -> KeptDisk | None:
    """The newest copy of the disk that an earlier attempt kept for this way."""
    for state in earlier:
        if state.plan.target_pool == seen.around.target_pool and state.request.sr == request.sr:
            for each in state.kept:
                if each.disk == disk.vdi:
                    return each
    return None


def _vif(vif: Vif, request: WarmMigrationRequest, seen: Survey, network: str | None) -> PlannedVif:
    name = next((each.name_label for each in seen.around.networks if each.uuid == network), "")
    if network is None:
        reason = "no network of the target pool matches"
    elif vif.uuid in request.map_vifs_networks:
        reason = "as asked"
    else:
        reason = "the same network" if network == vif.network else "the network of the same name and VLAN"
    return PlannedVif(vif=vif.uuid, device=vif.device, mac=vif.mac, network=network, network_name=name, reason=reason)


def _of_error(error: WarmigError, vm: str) -> Finding:
    return Finding(
        code=error.code,
        severity=Severity.ERROR,
        object=_object(error.evidence, vm),
        message=error.message,
        remedy=error.remedy,
        evidence=error.evidence,
    )


def _of_warning(warning: Warning_, vm: str, severity: Severity) -> Finding:
    return Finding(
        code=warning.code,
        severity=severity,
        object=_object(dict(warning.evidence), vm),
        message=warning.message,
        remedy=warning.remedy,
        evidence=dict(warning.evidence),
        needs_force=warning.needs_force,
    )


def _object(evidence: dict[str, object], vm: str) -> str:
    """What a finding is about: the most special object that its evidence names, else the VM."""
    for key in ("disk", "vif", "sr", "vdi", "objectId", "id"):
        found = evidence.get(key)
        if isinstance(found, str):
            return found
    return vm


def _sample_findings(request: WarmMigrationRequest, seen: Survey) -> list[Finding]:
    """Of what a sample is taken where the target's pool does not serve blocks."""
    against = seen.around.against_read_back
    if request.verify is not Verify.SAMPLE or not against or not seen.vm.disks:
        return []
    return [
        Finding(
            code="SAMPLE_OF_EXPORT_HEAD",
            severity=Severity.INFO,
            object=seen.around.target_pool,
            message=f"verify sample compares what lies within the first {format_bytes(HEAD_BYTES)} of each target disk's export, not "
            f"blocks from all of it: {against}",
            remedy="give a network of the target's pool the purpose nbd or insecure_nbd, or choose verify full",
            evidence={"reason": against},
        )
    ]


def _reuse_findings(disks: list[PlannedDisk], earlier: list[MigrationState]) -> list[Finding]:
    """What becomes of the data that earlier attempts copied."""
    kept = {each.disk: state.id for state in earlier for each in state.kept}
    return [
        Finding(
            code="COPY_REUSED" if disk.reused else "COPY_NOT_REUSED",
            severity=Severity.INFO,
            object=disk.disk,
            message=f"disk {disk.name_label!r}: {disk.reason}",
            evidence={"earlier": kept[disk.disk]},
        )
        for disk in disks
        if disk.disk in kept
    ]
