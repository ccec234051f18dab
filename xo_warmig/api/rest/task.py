"""A migration as the log of an XO task: itself, its passes, and their disks (@vates/task). Moments are milliseconds since the epoch."""

from typing import Any

from xo_warmig.model.passes import DiskPassReport, PassReport, Verdict
from xo_warmig.model.phases import Phase
from xo_warmig.model.pool_tasks import label_of
from xo_warmig.model.reports import CurrentPass, DiskProgress, MigrationReport
from xo_warmig.xo.objects import XoObject

_STATUS = {Phase.DONE: "success", Phase.FAILED: "failure", Phase.CANCELLED: "failure"}


def task_of(report: MigrationReport) -> XoObject:
    """As it is now."""
    status = _STATUS.get(report.phase, "pending")
    request, now = report.request, report.current_pass
    passes = [_of_pass(each) for each in report.passes] + ([] if now is None else [_of_current(now)])
    task: XoObject = {
        "id": report.id,
        "properties": {
            "name": label_of(report.vm_name),
            "type": "xo_warmig.migration",
            "method": "vm.warmMigration",
            "objectId": report.vm,
            "objectType": "VM",
            "params": {"vm": report.vm, "sr": report.sr, "startDestinationVm": request.start_destination_vm},
            "progress": _percent(1.0 if status == "success" else report.progress),
            "phase": str(report.phase),
            "stage": str(report.stage),
        },
        "start": _ms(report.created),
        "status": status,
        "infos": _infos(report),
        "warnings": [
            {"message": each.message, "data": {"code": each.code, "evidence": each.evidence, "remedy": each.remedy}}
            for each in report.warnings
        ],
        "tasks": passes,
    }
    if report.finished is not None:
        task["end"] = _ms(report.finished)
    result = report.error if report.error is not None else report.target_vm if status == "success" else None
    return task | ({} if result is None else {"result": result})


def _infos(report: MigrationReport) -> list[XoObject]:
    infos: list[XoObject] = []
    if report.predicted_downtime_seconds is not None:
        infos.append({"message": "predicted downtime", "data": {"seconds": report.predicted_downtime_seconds}})
    if report.downtime is not None:
        parts = {part.name: part.seconds for part in report.downtime.parts}
        infos.append({"message": "downtime", "data": {"seconds": report.downtime.seconds, "parts": parts}})
    return infos


def _of_pass(report: PassReport) -> XoObject:
    return {
        "id": f"pass-{report.number}",
        "properties": {"name": f"pass {report.number} ({report.kind})", "progress": 100},
        "start": _ms(report.started),
        "end": _ms(report.started + report.seconds),
        "status": "success" if report.verdict is Verdict.COMPLETE else "failure",
        "result": {"size": report.written_bytes},
        "tasks": [_of_disk(report, each) for each in report.disks],
    }


def _of_disk(of: PassReport, disk: DiskPassReport) -> XoObject:
    task: dict[str, Any] = {
        "id": f"pass-{of.number}-{disk.disk}",
        "properties": {"name": "transfer", "id": disk.disk, "type": "VDI", "progress": 100},
        "start": _ms(of.started),
        "end": _ms(of.started + of.seconds),
        "status": "success" if disk.error is None else "failure",
        "result": {"size": disk.written_bytes} if disk.error is None else disk.error,
        "infos": [{"message": note.message, "data": {"code": note.code}} for note in disk.notes],
    }
    return task


def _of_current(now: CurrentPass) -> XoObject:
    return {
        "id": f"pass-{now.number}",
        "properties": {"name": f"pass {now.number} ({now.kind})", "progress": _percent(_share(now.disks))},
        "start": _ms(now.started),
        "status": "pending",
        "tasks": [
            {
                "id": f"pass-{now.number}-{disk.disk}",
                "properties": {
                    "name": "transfer",
                    "id": disk.disk,
                    "type": "VDI",
                    "name_label": disk.name_label,
                    "progress": _percent(_share([disk])),
                },
                "start": _ms(now.started),
                "status": "pending",
            }
            for disk in now.disks
        ],
    }


def _share(disks: list[DiskProgress]) -> float:
    return sum(disk.done_bytes for disk in disks) / max(1, sum(disk.total_bytes for disk in disks))


def _percent(share: float) -> int:
    return int(100 * min(1.0, max(0.0, share)))


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
