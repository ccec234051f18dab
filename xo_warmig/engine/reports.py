"""State and live figures as the one report that the API, the command line and the pages show."""

from xo_warmig.engine.live import PREPARED, STARTED, SYNCED, LivePass
from xo_warmig.engine.state import MigrationState
from xo_warmig.model.phases import STAGES, Phase, can_cancel
from xo_warmig.model.reports import MigrationReport
from xo_warmig.replication.holding import parse_wish

# The least progress that a phase stands for; within a pass, its bytes decide.
_FLOORS = {
    Phase.PREPARING: 0.0,
    Phase.COPYING: PREPARED,
    Phase.FINALISING: SYNCED,
    Phase.VERIFYING: 0.98,
    Phase.STARTING: 0.98,
    Phase.CHECKING: STARTED,
    Phase.AWAITING_COMMIT: STARTED,
    Phase.COMMITTING: STARTED,
    Phase.DONE: 1.0,
}


def progress_now(state: MigrationState, live: LivePass | None, before: float) -> float:
    """The progress, never less than ``before``."""
    floor = _FLOORS.get(state.phase, 0.0)
    if state.phase is Phase.FINALISING and not state.source_was_running:
        floor = PREPARED  # its only pass is yet to come
    return max(before, floor, live.progress() if live is not None else 0.0)


def phase_shown(state: MigrationState) -> Phase:
    """From the word on it is being cancelled, although a call that must not be broken off may have to return before anything is undone."""
    return Phase.CANCELLING if state.cancel_asked and can_cancel(state.phase) else state.phase


def make_report(
    state: MigrationState, live: LivePass | None, progress: float, predicted: float | None
) -> MigrationReport:
    """The report of one migration."""
    plan, phase = state.plan, phase_shown(state)
    return MigrationReport(
        id=state.id,
        vm=plan.vm.uuid,
        vm_name=plan.vm.name_label,
        source_pool=plan.source_pool,
        source_pool_name=plan.source_pool_name,
        target_pool=plan.target_pool,
        target_pool_name=plan.target_pool_name,
        sr=state.request.sr,
        target_vm=state.target_vm,
        request=state.request,
        user=state.user,
        phase=phase,
        stage=STAGES[phase],
        waiting_for=state.waiting_for,
        waiting_reason=state.waiting_reason,
        paused=state.pause_asked,
        task_forgotten=state.task_forgotten,
        epoch=max(1, state.epoch),
        cutover_time=parse_wish(state.request.cutover).time,
        commit_time=_commit_time(state),
        kept_until=state.kept_until if state.kept else None,
        progress=progress,
        created=state.created,
        finished=state.finished,
        current_pass=live.current() if live is not None else None,
        passes=state.passes,
        predicted_downtime_seconds=predicted,
        downtime=state.downtime,
        warnings=state.warnings,
        error=state.error,
    )


def _commit_time(state: MigrationState) -> float | None:
    seconds = state.request.commit
    waits = state.phase is Phase.AWAITING_COMMIT and state.check_failed is None
    return state.booted + seconds if waits and isinstance(seconds, int) and state.booted is not None else None
