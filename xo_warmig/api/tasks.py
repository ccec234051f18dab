"""A migration as an XO object of type ``task``, so that XO's clients show its progress (packages/xo-server/src/xapi-object-to-xo.mjs)."""

import msgspec

from xo_warmig.api.state_file import to_json
from xo_warmig.model.phases import Phase, can_cancel, is_end
from xo_warmig.model.reports import MigrationReport

_XO_NAMES = {
    "allowed_operations": "allowedOperations",
    "xapi_ref": "xapiRef",
    "indexed_ref": "_xapiRef",
    "pool": "$pool",
    "pool_id": "$poolId",
}


class Task(msgspec.Struct, frozen=True, kw_only=True, rename=_XO_NAMES):
    """Times are seconds since the epoch; ``progress`` goes from 0 to 1. ``applies_to``: the uuid of the VM that moves."""

    id: str
    uuid: str
    type: str = "task"
    name_label: str
    name_description: str
    status: str  # pending, success, failure, cancelling, cancelled
    progress: float
    allowed_operations: list[str]
    current_operations: dict[str, str] = {}
    created: int
    finished: int | None
    result: str
    applies_to: str
    xapi_ref: str
    indexed_ref: str
    pool: str
    pool_id: str


def of_report(report: MigrationReport) -> Task:
    """The task of a migration as it is now."""
    reference = f"OpaqueRef:{report.id}"
    status = _status(report.phase)
    return Task(
        id=report.id,
        uuid=report.id,
        name_label=f"Warm migration of {report.vm_name}",
        name_description=f"{report.stage}: {report.phase}".replace("_", " "),
        status=status,
        progress=1.0 if status == "success" else report.progress,
        allowed_operations=["cancel"] if status == "pending" and can_cancel(report.phase) else [],
        created=int(report.created),
        finished=None if report.finished is None else int(report.finished),
        result=_result(report),
        applies_to=report.vm,
        xapi_ref=reference,
        indexed_ref=reference,
        pool=report.source_pool,
        pool_id=report.source_pool,
    )


def is_over(report: MigrationReport) -> bool:
    return is_end(report.phase)


def _status(phase: Phase) -> str:
    match phase:
        case Phase.DONE:
            return "success"
        case Phase.FAILED:
            return "failure"
        case Phase.CANCELLED:
            return "cancelled"
        case Phase.CANCELLING:
            return "cancelling"
        case _:
            return "pending"


def _result(report: MigrationReport) -> str:
    if report.error is not None:
        return to_json(report.error)
    return report.target_vm or "" if report.phase is Phase.DONE else ""
