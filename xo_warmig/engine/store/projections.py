"""The rows that follow from facts, written in the facts' own transaction. Nothing is decided by them: the facts are the truth."""

from typing import Any

from sqlalchemy import Connection, Table, insert, update

from xo_warmig.engine.store.tables import disks, migrations, passes
from xo_warmig.model.events import (
    BaseVoided,
    CopyAdopted,
    CopyReleased,
    DiskReplaced,
    DiskReverted,
    Event,
    Failed,
    PassFinished,
    PassStarted,
    PhaseChanged,
    Planned,
    RecordedEvent,
    TargetDiscarded,
    TargetDiskCreated,
    TargetDiskDestroyed,
    TargetVmCreated,
)
from xo_warmig.model.passes import PassKind, PassPlan, PassReport, Verdict
from xo_warmig.model.phases import Phase, is_end


def project(connection: Connection, recorded: RecordedEvent) -> None:
    """Let the rows follow one fact."""
    migration = recorded.migration
    match recorded.event:
        case Planned() as planned:
            _plan(connection, recorded, planned)
        case PhaseChanged(phase=phase):
            ended = {"finished": recorded.time} if is_end(phase) else {}
            _migration(connection, migration, phase=str(phase), **ended)
        case Failed(error=error):
            _migration(connection, migration, error=str(error.get("code", "")))
        case PassStarted(plan=plan):
            _begin_pass(connection, recorded, plan)
        case PassFinished(report=report):
            _end_pass(connection, migration, report)
        case _:
            _project_object(connection, migration, recorded.event)


def _project_object(connection: Connection, migration: str, event: Event) -> None:
    """What stands on the target."""
    match event:
        case TargetVmCreated(vm=vm):
            _migration(connection, migration, target_vm=vm)
        case TargetDiscarded():
            _migration(connection, migration, target_vm=None)
        case TargetDiskCreated(disk=disk, vdi=vdi, sr=sr):
            put_disk(connection, migration, disk, target_vdi=vdi, sr=sr, base=None)
        case CopyAdopted(disks=kept):
            for each in kept:
                target = each.target
                put_disk(connection, migration, each.disk, target_vdi=target.vdi, sr=target.sr, base=target.base)
        case TargetDiskDestroyed(vdi=vdi):
            connection.execute(
                _of(disks, migration).where(disks.c.target_vdi == vdi).values(target_vdi=None, base=None)
            )
        case DiskReplaced(disk=disk, vdi=vdi) | DiskReverted(disk=disk, vdi=vdi):
            put_disk(connection, migration, disk, target_vdi=vdi)
        case BaseVoided(disk=disk):
            put_disk(connection, migration, disk, base=None)
        case CopyReleased(to=str()):
            _migration(connection, migration, target_vm=None)
            connection.execute(_of(disks, migration).values(target_vdi=None, base=None))
        case _:
            pass  # it changes nothing that the rows show


def put_disk(connection: Connection, migration: str, disk: str, **values: Any) -> None:
    """Change a disk's row, or make it with these values."""
    _put(connection, disks, {"migration": migration, "disk": disk}, values)


def _plan(connection: Connection, recorded: RecordedEvent, planned: Planned) -> None:
    plan = planned.plan
    connection.execute(
        insert(migrations).values(
            id=recorded.migration,
            vm=plan.vm.uuid,
            vm_name=plan.vm.name_label,
            source_pool=plan.source_pool,
            target_pool=plan.target_pool,
            sr=planned.request.sr,
            user=planned.user,
            phase=str(Phase.PLANNED),
            created=recorded.time,
        )
    )
    for disk in plan.vm.disks:
        if disk.vdi in plan.srs:
            put_disk(
                connection,
                recorded.migration,
                disk.vdi,
                name_label=disk.name_label,
                virtual_size_bytes=disk.virtual_size_bytes,
                sr=plan.srs[disk.vdi],
            )


def _begin_pass(connection: Connection, recorded: RecordedEvent, plan: PassPlan) -> None:
    """A pass that begins again after an interruption has its number already."""
    key = {"migration": recorded.migration, "number": plan.number}
    nothing_yet = {"verdict": None, "seconds": None, "bytes": None, "written_bytes": None}
    _put(connection, passes, key, {"kind": str(plan.kind), "started": recorded.time} | nothing_yet)
    for each in plan.disks:
        put_disk(connection, recorded.migration, each.disk, reading=each.read_vdi)


def _end_pass(connection: Connection, migration: str, report: PassReport) -> None:
    key = {"migration": migration, "number": report.number}
    values = {
        "kind": str(report.kind),
        "verdict": str(report.verdict),
        "started": report.started,
        "seconds": report.seconds,
        "bytes": report.bytes,
        "written_bytes": report.written_bytes,
    }
    _put(connection, passes, key, values)
    is_base = report.verdict is Verdict.COMPLETE and report.kind is not PassKind.FINAL
    read = _of(disks, migration).where(disks.c.reading.is_not(None))
    connection.execute(read.values(base=disks.c.reading, reading=None) if is_base else read.values(reading=None))


def _migration(connection: Connection, migration: str, **values: Any) -> None:
    connection.execute(update(migrations).where(migrations.c.id == migration).values(**values))


def _of(table: Table, migration: str) -> Any:
    return update(table).where(table.c.migration == migration)


def _put(connection: Connection, table: Table, key: dict[str, Any], values: dict[str, Any]) -> None:
    where = [table.c[name] == value for name, value in key.items()]
    if connection.execute(update(table).where(*where).values(**values)).rowcount == 0:
        connection.execute(insert(table).values(**key, **values))
