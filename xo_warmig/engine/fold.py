"""A migration's facts, one by one, into its state. Pure."""

from collections.abc import Iterable
from typing import Any, assert_never

import msgspec

from xo_warmig.engine.state import Frozen, MigrationState, Snapshot
from xo_warmig.model.events import (
    BaseVoided,
    CancelAsked,
    CheckFailed,
    CommitAsked,
    CopyAdopted,
    CopyFact,
    CopyKept,
    CopyReleased,
    CourseFact,
    CutoverAsked,
    CutoverFact,
    Decided,
    DiskCopied,
    DiskReplaced,
    DiskReverted,
    DoorReleased,
    DowntimeMeasured,
    Effect,
    EffectFailed,
    EffectIntended,
    EpochBegun,
    Event,
    Failed,
    FinalReadBack,
    LateHaltWatched,
    LeftBehind,
    PassFact,
    PassFinished,
    PassStarted,
    PauseAsked,
    Paused,
    PhaseChanged,
    Planned,
    PoolTaskFact,
    PoolTaskShown,
    RecordedEvent,
    ResumeAsked,
    RollbackAsked,
    ShutdownAsked,
    SnapshotDestroyed,
    SnapshotTaken,
    SourceBlocking,
    SourceChanged,
    SourceDeleted,
    SourceDeleting,
    SourceHalted,
    SourceRestored,
    SourceStarted,
    SourceStarting,
    SourceUnblocked,
    SteeringFact,
    TargetBooted,
    TargetDiscarded,
    TargetDiskCreated,
    TargetDiskDestroyed,
    TargetFrozen,
    TargetPrepared,
    TargetReleased,
    TargetStarted,
    TargetThawed,
    TargetVmCreated,
    TaskForgotten,
    TrackingBegun,
    TrackingEnded,
    UndoFact,
    WaitingChanged,
    Warned,
)
from xo_warmig.model.passes import PassKind, PassPlan, PassReport, Verdict
from xo_warmig.model.phases import Phase, WaitingFor, advance, is_end
from xo_warmig.model.plans import TargetDisk
from xo_warmig.replication.source_changes import with_change
from xo_warmig.replication.verdicts import with_read_back


def fold(events: Iterable[RecordedEvent]) -> MigrationState | None:
    """The state after these facts of one migration; None without any."""
    state: MigrationState | None = None
    for event in events:
        state = apply(state, event)
    return state


def apply(state: MigrationState | None, recorded: RecordedEvent) -> MigrationState:
    """The state after one more fact.

    Raises:
        IncorrectState: the fact is a phase that may not follow.
    """
    event = recorded.event
    if isinstance(event, Planned):
        return MigrationState(
            id=recorded.migration,
            created=recorded.time,
            request=event.request,
            user=event.user,
            plan=event.plan,
            warnings=list(event.plan.warnings),
        )
    if state is None:
        raise ValueError(f"the first fact of migration {recorded.migration} is {type(event).__name__}, not Planned")
    return msgspec.structs.replace(state, **_changes(state, event, recorded.time))


def _changes(state: MigrationState, event: Event, time: float) -> dict[str, Any]:
    if isinstance(event, CourseFact):
        return _course(state, event, time)
    if isinstance(event, PoolTaskFact):
        return _pool_task(state, event)
    if isinstance(event, SteeringFact):
        return _steering(event)
    if isinstance(event, CopyFact):
        return _copy(state, event)
    if isinstance(event, PassFact):
        return _pass(state, event, time)
    if isinstance(event, CutoverFact):
        return _cutover(event, time)
    return _undo(state, event)


def _course(state: MigrationState, event: CourseFact, time: float) -> dict[str, Any]:
    match event:
        case Planned():
            raise ValueError(f"migration {state.id} is planned twice")
        case SourceChanged(change=change):
            return {"plan": with_change(state.plan, change)}
        case EpochBegun(epoch=epoch, key=key):
            return {"epoch": epoch, "door_key": key}
        case DoorReleased():
            return {"door_key": None}
        case PhaseChanged(phase=phase):
            ended = {"finished": time} if is_end(phase) else {}
            asked = {"start_asked": True} if phase is Phase.STARTING else {}
            waits: dict[str, Any] = {"waiting_for": WaitingFor.NOTHING, "waiting_reason": ""}
            if phase is Phase.AWAITING_COMMIT:
                waits |= {"commit_asked": False}  # what was asked before did not succeed
            return {"phase": advance(state.phase, phase)} | waits | ended | asked
        case WaitingChanged(waiting_for=waiting_for, reason=reason):
            return {"waiting_for": waiting_for, "waiting_reason": reason}
        case Warned(warning=warning):
            return {"warnings": [*state.warnings, warning]}
        case Failed(error=error):
            return {"error": error}
        case Decided(predicted_downtime_seconds=predicted):
            return {
                "decision": event,
                "decided_passes": len(state.passes),
                "predicted_downtime_seconds": predicted,
            } | _with_prediction(state, predicted)
        case LateHaltWatched(on=on):
            return {"late_halt_watched": time if on else None}
        case _:
            assert_never(event)


def _pool_task(state: MigrationState, event: PoolTaskFact) -> dict[str, Any]:
    others = {pool: task for pool, task in state.pool_tasks.items() if pool != event.pool}
    shown = {event.pool: event.task} if isinstance(event, PoolTaskShown) else {}
    return {"pool_tasks": others | shown}


def _steering(event: SteeringFact) -> dict[str, Any]:
    match event:
        case CancelAsked(drop=drop):
            return {"cancel_asked": True, "drop_asked": drop}
        case PauseAsked():
            return {"pause_asked": True}
        case Paused():
            return {"paused": True}
        case ResumeAsked():
            return {"pause_asked": False, "paused": False}
        case CutoverAsked(passes=passes):
            return {"cutover_asked": passes}
        case RollbackAsked():
            return {"rollback_asked": True}
        case CommitAsked():
            return {"commit_asked": True}
        case TaskForgotten():
            return {"task_forgotten": True}
        case _:
            assert_never(event)


def _with_prediction(state: MigrationState, predicted: float | None) -> dict[str, Any]:
    """The prediction was made after the last pass and belongs to its report."""
    if not state.passes:
        return {}
    last = msgspec.structs.replace(state.passes[-1], predicted_downtime_seconds=predicted)
    return {"passes": [*state.passes[:-1], last]}


def _copy(state: MigrationState, event: CopyFact) -> dict[str, Any]:
    match event:
        case EffectIntended():
            return {"unsettled": [*state.unsettled, event]}
        case EffectFailed(effect=effect, subject=subject):
            return {"unsettled": _settled(state, effect, subject)}
        case CopyAdopted(disks=disks):
            bases = {
                each.target.base: Snapshot(disk=each.disk, taken=None, life=each.life)
                for each in disks
                if each.target.base
            }
            targets = {each.disk: each.target for each in disks}
            tracking = [*state.tracking, *(each.disk for each in disks if each.tracked)]
            return {
                "target_disks": state.target_disks | targets,
                "snapshots": state.snapshots | bases,
                "tracking": tracking,
            }
        case TargetVmCreated(vm=vm, blocked=blocked):
            settled = _settled(state, Effect.TARGET_VM, state.plan.vm.uuid)
            return {"target_vm": vm, "target_blocked": blocked, "unsettled": settled}
        case TargetDiskCreated(disk=disk, vdi=vdi, sr=sr):
            targets = state.target_disks | {disk: TargetDisk(vdi=vdi, sr=sr)}
            return {"target_disks": targets, "unsettled": _settled(state, Effect.TARGET_DISK, disk)}
        case TargetPrepared():
            return {"target_prepared": True}
        case DiskReplaced(disk=disk, vdi=vdi):
            replaced = msgspec.structs.replace(state.target_disks[disk], vdi=vdi)
            return {"target_disks": state.target_disks | {disk: replaced}} | _redirected(state, disk, vdi)
        case DiskReverted(disk=disk, vdi=vdi):
            replaced = msgspec.structs.replace(state.target_disks[disk], vdi=vdi)
            return {
                "target_disks": state.target_disks | {disk: replaced},
                "reverted": [*state.reverted, disk],
            }
        case TargetFrozen(disk=disk, snapshot=snapshot, number=number):
            frozen = state.frozen | {disk: Frozen(snapshot=snapshot, number=number)}
            return {"frozen": frozen, "unsettled": _settled(state, Effect.TARGET_SNAPSHOT, disk)}
        case TargetThawed(snapshot=snapshot):
            return {"frozen": {disk: each for disk, each in state.frozen.items() if each.snapshot != snapshot}}
        case BaseVoided(disk=disk):
            voided = msgspec.structs.replace(state.target_disks[disk], base=None)
            return {"target_disks": state.target_disks | {disk: voided}}
        case _:
            assert_never(event)


def _pass(state: MigrationState, event: PassFact, time: float) -> dict[str, Any]:
    match event:
        case TrackingBegun(disk=disk):
            return {"tracking": [*state.tracking, disk]}
        case TrackingEnded(disk=disk):
            return {"tracking": [each for each in state.tracking if each != disk]}
        case SnapshotTaken(disk=disk, snapshot=snapshot):
            taken = state.snapshots | {snapshot: Snapshot(disk=disk, taken=time)}
            return {"snapshots": taken, "unsettled": _settled(state, Effect.SNAPSHOT, disk)}
        case SnapshotDestroyed(snapshot=snapshot):
            return {"snapshots": {uuid: each for uuid, each in state.snapshots.items() if uuid != snapshot}}
        case PassStarted(plan=plan, snapshot_seconds=snapshot_seconds, life=life):
            written = _written(state.target_disks, plan)
            read = {each.read_vdi for each in plan.disks}
            return {
                "snapshots": {
                    uuid: msgspec.structs.replace(each, life=life) if uuid in read else each
                    for uuid, each in state.snapshots.items()
                },
                "pass_plan": plan,
                "pass_started": time,
                "snapshot_seconds": snapshot_seconds,
                "copied": {},
                "target_disks": written,
                "waiting_for": WaitingFor.NOTHING,
                "waiting_reason": "",
            }
        case DiskCopied(number=number, report=report):
            mine = state.open_pass is not None and state.open_pass.number == number
            return {"copied": state.copied | {report.disk: report}} if mine else {}
        case FinalReadBack(disks=disks):
            return {"passes": [*state.passes[:-1], with_read_back(state.passes[-1], disks)]}
        case PassFinished(report=report):
            return {"passes": [*state.passes, report], "copied": {}, "target_disks": _based(state, report)}
        case _:
            assert_never(event)


def _redirected(state: MigrationState, disk: str, vdi: str) -> dict[str, Any]:
    """The plan of the pass that is open, with another target for a disk."""
    plan = state.open_pass
    if plan is None:
        return {}
    disks = [msgspec.structs.replace(each, target_vdi=vdi) if each.disk == disk else each for each in plan.disks]
    return {"pass_plan": msgspec.structs.replace(plan, disks=disks)}


def _settled(state: MigrationState, effect: Effect, subject: str) -> list[EffectIntended]:
    return [each for each in state.unsettled if (each.effect, each.subject) != (effect, subject)]


def _written(targets: dict[str, TargetDisk], plan: PassPlan) -> dict[str, TargetDisk]:
    """A disk whose pass was begun reads as zero no more, whatever came of the pass (R20)."""
    begun = {each.disk for each in plan.disks}
    return {
        disk: msgspec.structs.replace(target, written=True) if disk in begun else target
        for disk, target in targets.items()
    }


def _based(state: MigrationState, report: PassReport) -> dict[str, TargetDisk]:
    """Only a complete pass makes bases (R4). A final one makes none: what it read goes on changing once somebody starts it."""
    plan = state.pass_plan
    if plan is None or report.verdict is not Verdict.COMPLETE or report.kind is PassKind.FINAL:
        return state.target_disks
    read = {each.disk: each.read_vdi for each in plan.disks}
    return {
        disk: msgspec.structs.replace(target, base=read[disk]) if disk in read else target
        for disk, target in state.target_disks.items()
    }


def _cutover(event: CutoverFact, time: float) -> dict[str, Any]:
    match event:
        case SourceBlocking():
            return {"blocking": event}
        case SourceUnblocked():
            return {"blocking": None}
        case ShutdownAsked():
            return {"shutdown_asked": time}
        case SourceHalted():
            return {"source_halted": True}
        case TargetStarted():
            return {"target_started": True}
        case DowntimeMeasured(downtime=downtime):
            return {"downtime": downtime}
        case TargetBooted():
            return {"booted": time}
        case CheckFailed():
            return {"check_failed": event}
        case TargetReleased():
            return {"target_released": True}
        case SourceDeleting():
            return {"source_deleting": True}
        case SourceDeleted():
            return {"source_deleted": True}
        case _:
            assert_never(event)


def _undo(state: MigrationState, event: UndoFact) -> dict[str, Any]:
    match event:
        case SourceStarting():
            return {"source_starting": True}
        case SourceStarted():
            return {"source_started_again": True}
        case SourceRestored():
            return {"source_restored": True}
        case CopyKept(disks=disks, until=until):
            kept = {each.disk for each in disks if each.tracked}
            tracking = [disk for disk in state.tracking if disk not in kept]
            return {"kept": disks, "kept_until": until, "tracking": tracking}
        case CopyReleased(to=to, in_use=in_use):
            gone: dict[str, Any] = {"kept": [], "kept_until": None}
            if in_use:
                gone |= {"given_away": [state.target_vm or "", *(each.target.vdi for each in state.kept)]}
            return gone if to is None else gone | {"target_vm": None, "target_disks": {}, "snapshots": {}}
        case TargetDiskDestroyed(vdi=vdi):
            return {"target_disks": {disk: each for disk, each in state.target_disks.items() if each.vdi != vdi}}
        case TargetDiscarded():
            return {"target_vm": None}
        case LeftBehind(objects=objects):
            return {"left": objects}
        case _:
            assert_never(event)
