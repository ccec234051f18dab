"""State and live figures as the one report that the API, the command line and the pages show."""

from xo_warmig.engine.live import PREPARED, STARTED, SYNCED, LivePass
from xo_warmig.engine.state import MigrationState
from xo_warmig.model.phases import STAGES, Phase
from xo_warmig.model.reports import MigrationReport

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


def make_report(state: MigrationState, live: LivePass | None, progress: float) -> MigrationReport:
    """The report of one migration."""
    plan = state.plan
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
        phase=state.phase,
        stage=STAGES[state.phase],
        waiting_for=state.waiting_for,
        progress=progress,
        created=state.created,
        finished=state.finished,
        current_pass=live.current() if live is not None else None,
        passes=state.passes,
        predicted_downtime_seconds=state.predicted_downtime_seconds,
        downtime=state.downtime,
        warnings=state.warnings,
        error=state.error,
    )
