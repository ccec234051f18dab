"""What is known of one migration: a fold over its facts, and nothing else."""

from collections.abc import Iterable
from typing import Any, assert_never

import msgspec

from xo_warmig.model.events import (
    CancelAsked,
    CheckFailed,
    CopyAdopted,
    CopyFact,
    CopyKept,
    CopyReleased,
    CourseFact,
    CutoverFact,
    Decided,
    DowntimeMeasured,
    Effect,
    EffectFailed,
    EffectIntended,
    Event,
    Failed,
    LateHaltWatched,
    LeftBehind,
    PassFinished,
    PassStarted,
    PhaseChanged,
    Planned,
    RecordedEvent,
    ShutdownAsked,
    SnapshotDestroyed,
    SnapshotTaken,
    SourceBlocking,
    SourceDeleted,
    SourceHalted,
    SourceRestored,
    SourceStarted,
    TargetBooted,
    TargetDiscarded,
    TargetDiskCreated,
    TargetDiskDestroyed,
    TargetPrepared,
    TargetReleased,
    TargetStarted,
    TargetVmCreated,
    UndoFact,
    WaitingChanged,
    Warned,
)
from xo_warmig.model.passes import PassKind, PassPlan, PassReport, Verdict
from xo_warmig.model.phases import Phase, WaitingFor, advance, is_end
from xo_warmig.model.plans import KeptDisk, Leftover, MigrationPlan, TargetDisk
from xo_warmig.model.reports import Downtime, Warning_
from xo_warmig.model.requests import WarmMigrationRequest
from xo_warmig.model.vm import PowerState


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot of ours that stands on the source. ``taken`` in seconds since the epoch, None when an earlier attempt took it."""

    disk: str
    taken: float | None


class MigrationState(msgspec.Struct, frozen=True, kw_only=True):
    """All that the facts so far say."""

    id: str
    created: float
    request: WarmMigrationRequest
    user: str
    plan: MigrationPlan
    phase: Phase = Phase.PLANNED
    waiting_for: WaitingFor = WaitingFor.NOTHING
    finished: float | None = None
    cancel_asked: bool = False
    error: dict[str, object] | None = None
    warnings: list[Warning_] = []
    # What stands on the pools.
    unsettled: list[EffectIntended] = []  # intended, outcome not known
    target_vm: str | None = None
    target_blocked: dict[str, str] = {}
    target_prepared: bool = False
    target_disks: dict[str, TargetDisk] = {}  # by source disk
    snapshots: dict[str, Snapshot] = {}  # by uuid
    # Passes.
    pass_plan: PassPlan | None = None  # of the last pass that was begun
    passes: list[PassReport] = []
    predicted_downtime_seconds: float | None = None
    decision: Decided | None = None
    # Cutover.
    blocking: SourceBlocking | None = None
    shutdown_asked: bool = False
    source_halted: bool = False
    start_asked: bool = False
    target_started: bool = False
    booted: bool = False
    check_failed: CheckFailed | None = None
    downtime: Downtime | None = None
    target_released: bool = False
    source_deleted: bool = False
    # Undo.
    source_started_again: bool = False
    source_restored: bool = False
    late_halt_watched: bool = False
    kept: list[KeptDisk] = []
    left: list[Leftover] = []

    @property
    def source_was_running(self) -> bool:
        return self.plan.vm.power_state is PowerState.RUNNING

    @property
    def ended(self) -> bool:
        return is_end(self.phase)

    @property
    def moved_data(self) -> bool:
        """Whether there is anything copied that a later attempt could want."""
        return any(disk.written for disk in self.target_disks.values())


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
    if isinstance(event, CopyFact):
        return _copy(state, event, time)
    if isinstance(event, CutoverFact):
        return _cutover(event)
    return _undo(state, event)


def _course(state: MigrationState, event: CourseFact, time: float) -> dict[str, Any]:
    match event:
        case Planned():
            raise ValueError(f"migration {state.id} is planned twice")
        case PhaseChanged(phase=phase):
            ended = {"finished": time} if is_end(phase) else {}
            asked = {"start_asked": True} if phase is Phase.STARTING else {}
            return {"phase": advance(state.phase, phase), "waiting_for": WaitingFor.NOTHING} | ended | asked
        case WaitingChanged(waiting_for=waiting_for):
            return {"waiting_for": waiting_for}
        case Warned(warning=warning):
            return {"warnings": [*state.warnings, warning]}
        case CancelAsked():
            return {"cancel_asked": True}
        case Failed(error=error):
            return {"error": error}
        case Decided(predicted_downtime_seconds=predicted):
            return {"decision": event, "predicted_downtime_seconds": predicted} | _with_prediction(state, predicted)
        case LateHaltWatched(on=on):
            return {"late_halt_watched": on}
        case _:
            assert_never(event)


def _with_prediction(state: MigrationState, predicted: float | None) -> dict[str, Any]:
    """The prediction was made after the last pass and belongs to its report."""
    if not state.passes:
        return {}
    last = msgspec.structs.replace(state.passes[-1], predicted_downtime_seconds=predicted)
    return {"passes": [*state.passes[:-1], last]}


def _copy(state: MigrationState, event: CopyFact, time: float) -> dict[str, Any]:
    match event:
        case EffectIntended():
            return {"unsettled": [*state.unsettled, event]}
        case EffectFailed(effect=effect, subject=subject):
            return {"unsettled": _settled(state, effect, subject)}
        case CopyAdopted(disks=disks):
            bases = {each.target.base: Snapshot(disk=each.disk, taken=None) for each in disks if each.target.base}
            targets = {each.disk: each.target for each in disks}
            return {"target_disks": state.target_disks | targets, "snapshots": state.snapshots | bases}
        case TargetVmCreated(vm=vm, blocked=blocked):
            settled = _settled(state, Effect.TARGET_VM, state.plan.vm.uuid)
            return {"target_vm": vm, "target_blocked": blocked, "unsettled": settled}
        case TargetDiskCreated(disk=disk, vdi=vdi, sr=sr):
            targets = state.target_disks | {disk: TargetDisk(vdi=vdi, sr=sr)}
            return {"target_disks": targets, "unsettled": _settled(state, Effect.TARGET_DISK, disk)}
        case TargetPrepared():
            return {"target_prepared": True}
        case SnapshotTaken(disk=disk, snapshot=snapshot):
            taken = state.snapshots | {snapshot: Snapshot(disk=disk, taken=time)}
            return {"snapshots": taken, "unsettled": _settled(state, Effect.SNAPSHOT, disk)}
        case SnapshotDestroyed(snapshot=snapshot):
            return {"snapshots": {uuid: each for uuid, each in state.snapshots.items() if uuid != snapshot}}
        case PassStarted(plan=plan):
            return {"pass_plan": plan, "target_disks": _written(state.target_disks, plan)}
        case PassFinished(report=report):
            return {"passes": [*state.passes, report], "target_disks": _based(state, report)}
        case _:
            assert_never(event)


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


def _cutover(event: CutoverFact) -> dict[str, Any]:
    match event:
        case SourceBlocking():
            return {"blocking": event}
        case ShutdownAsked():
            return {"shutdown_asked": True}
        case SourceHalted():
            return {"source_halted": True}
        case TargetStarted():
            return {"target_started": True}
        case DowntimeMeasured(downtime=downtime):
            return {"downtime": downtime}
        case TargetBooted():
            return {"booted": True}
        case CheckFailed():
            return {"check_failed": event}
        case TargetReleased():
            return {"target_released": True}
        case SourceDeleted():
            return {"source_deleted": True}
        case _:
            assert_never(event)


def _undo(state: MigrationState, event: UndoFact) -> dict[str, Any]:
    match event:
        case SourceStarted():
            return {"source_started_again": True}
        case SourceRestored():
            return {"source_restored": True}
        case CopyKept(disks=disks):
            return {"kept": disks}
        case CopyReleased(to=to):
            gone: dict[str, Any] = {"kept": []}
            return gone if to is None else gone | {"target_vm": None, "target_disks": {}, "snapshots": {}}
        case TargetDiskDestroyed(vdi=vdi):
            return {"target_disks": {disk: each for disk, each in state.target_disks.items() if each.vdi != vdi}}
        case TargetDiscarded():
            return {"target_vm": None}
        case LeftBehind(objects=objects):
            return {"left": objects}
        case _:
            assert_never(event)
