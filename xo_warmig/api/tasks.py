"""A migration as an XO object of type ``task``, so that XO's clients show its progress (packages/xo-server/src/xapi-object-to-xo.mjs)."""

from datetime import UTC

import msgspec
from msgspec import UNSET, UnsetType

from xo_warmig.api.state_file import to_json
from xo_warmig.model.phases import Phase, WaitingFor, can_cancel, is_end
from xo_warmig.model.pool_tasks import label_of
from xo_warmig.model.reports import MigrationReport
from xo_warmig.model.standing import AWAITED, standing
from xo_warmig.model.units import format_seconds, format_time

_XO_NAMES = {
    "allowed_operations": "allowedOperations",
    "xapi_ref": "xapiRef",
    "indexed_ref": "_xapiRef",
    "pool": "$pool",
    "pool_id": "$poolId",
    "host": "$host",
}


class Task(msgspec.Struct, frozen=True, kw_only=True, rename=_XO_NAMES):
    """Times are seconds since the epoch; ``progress`` goes from 0 to 1. ``applies_to``: the uuid of the VM that moves.

    ``host``: XO's pages say on which host a task is; this one is on none, so it is the source's master, where that is known.
    """

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
    host: str | UnsetType = UNSET


def of_report(report: MigrationReport, host: str | None = None) -> Task:
    """The task of a migration as it is now."""
    reference = f"OpaqueRef:{report.id}"
    status = _status(report.phase)
    return Task(
        id=report.id,
        uuid=report.id,
        name_label=label_of(report.vm_name),
        name_description=_description(report),
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
        host=UNSET if host is None else host,
    )


def _description(report: MigrationReport) -> str:
    """What it does and what it waits for, in words that name the methods to call.

    Every user sees it, so why it waits is left out: that may come from a pool's error, which is for administrators.
    """
    now = standing(report)
    words = [str(report.phase).replace("_", " ")]
    if now.paused:
        words.append("paused")
    if now.until is not None:
        words.append(f"until {format_time(now.until, UTC)} UTC")
    if report.phase is Phase.HOLDING and report.predicted_downtime_seconds is not None:
        words.append(f"predicted downtime {format_seconds(report.predicted_downtime_seconds)}")
    if now.steps:
        words.append("waiting for " + " or ".join(f"warmMigration.{step}" for step in now.steps))
    elif now.waiting_for is not WaitingFor.NOTHING:
        words.append(f"waiting for {AWAITED[now.waiting_for]}")
    return f"{report.stage}: {', '.join(words)}"


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
