"""All findings of a plan: what the preflight says, what becomes of earlier copies, and what the figures say. Pure."""

from xo_warmig.engine.state import MigrationState
from xo_warmig.engine.survey import Survey
from xo_warmig.errors import WarmigError
from xo_warmig.model.estimates import Estimate
from xo_warmig.model.findings import Finding, PlannedDisk, Severity
from xo_warmig.model.nbd import remedy_on_target
from xo_warmig.model.reports import Warning_
from xo_warmig.model.requests import Verify, WarmMigrationRequest
from xo_warmig.model.units import format_bytes, format_seconds
from xo_warmig.replication.preflight.reading_back import NOT_READ_BACK
from xo_warmig.replication.reading_back import HEAD_BYTES


def all_findings(
    request: WarmMigrationRequest,
    seen: Survey,
    disks: list[PlannedDisk],
    earlier: list[MigrationState],
    expected: Estimate,
    strange: list[Finding],
) -> list[Finding]:
    """Errors first. ``earlier``: migrations of the VM that left something. ``strange``: warnings of something else than this VM."""
    vm, flight = seen.vm.uuid, seen.preflight
    return [
        *(_of_error(error, vm) for error in flight.errors),
        *(_of_warning(warning, vm, Severity.WARNING) for warning in flight.warnings),
        *(_of_warning(warning, vm, Severity.WARNING) for warning in figure_warnings(request, expected)),
        *strange,
        *(_of_warning(note, vm, Severity.INFO) for note in flight.notes),
        *_reuse_findings(disks, earlier),
        *_sample_findings(request, seen),
    ]


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


def _sample_findings(request: WarmMigrationRequest, seen: Survey) -> list[Finding]:
    """Of what a sample is taken where the target's pool does not serve blocks."""
    against = seen.around.against_read_back
    left_out = {each.evidence["disk"] for each in seen.preflight.warnings if each.code == NOT_READ_BACK}
    if request.verify is not Verify.SAMPLE or not against or len(left_out) == len(seen.vm.disks):
        return []
    return [
        Finding(
            code="SAMPLE_OF_EXPORT_HEAD",
            severity=Severity.INFO,
            object=seen.around.target_pool,
            message=f"verify sample compares what lies within the first {format_bytes(HEAD_BYTES)} of each target disk's export, not "
            f"blocks from all of it: {against}",
            remedy=remedy_on_target(against, "choose verify full"),
            evidence={"reason": against},
        )
    ]


def figure_warnings(request: WarmMigrationRequest, expected: Estimate) -> list[Warning_]:
    """What the figures say, for the plan and for every start alike.

    Where passes cannot bring the downtime into the budget, the cutover comes all the same when they gain no more.
    """
    seconds = expected.downtime_seconds.value
    if seconds <= request.target_downtime:
        return []
    return [
        Warning_(
            code="DOWNTIME_OVER_BUDGET",
            message=f"about {format_seconds(seconds)} of downtime are expected, where {format_seconds(request.target_downtime)} were asked "
            f"for ({expected.downtime_seconds.source}); it is predicted anew after each pass",
            remedy="cut over while the guest writes less, raise limits, or use cutover hold and decide by the prediction",
            evidence={"predicted_seconds": seconds, "budget_seconds": request.target_downtime},
        )
    ]
