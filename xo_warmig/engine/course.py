"""What a migration does next, from what is known of it. Pure: the same facts always lead to the same next step.

A migration goes forward in turns. Each turn looks here, does one thing, and records what came of it; so after an interruption,
however it came, the next turn goes on from the facts. What is done twice because its record was lost finds what it made before (R11).
"""

from enum import StrEnum

from xo_warmig.engine.state import MigrationState
from xo_warmig.model.events import Decision
from xo_warmig.model.passes import Verdict
from xo_warmig.model.phases import CAN_PAUSE, Phase


class Step(StrEnum):
    """What one turn does."""

    END = "end"
    PAUSE = "pause"
    PREPARE = "prepare"
    BEGIN_PASS = "beginPass"
    COPY = "copy"
    JUDGE = "judge"
    DECIDE = "decide"
    CUT_OVER = "cutOver"
    STOP_SOURCE = "stopSource"
    BEGIN_FINAL = "beginFinal"
    VERIFY = "verify"
    START = "start"
    CHECK = "check"
    AWAIT_COMMIT = "awaitCommit"
    COMMIT = "commit"
    CANCEL = "cancel"
    ROLL_BACK = "rollBack"
    UNDO = "undo"


_BY_PHASE = {
    Phase.PLANNED: Step.PREPARE,
    Phase.PREPARING: Step.PREPARE,
    Phase.STOPPING: Step.STOP_SOURCE,
    Phase.VERIFYING: Step.VERIFY,
    Phase.STARTING: Step.START,
    Phase.CHECKING: Step.CHECK,
    Phase.COMMITTING: Step.COMMIT,
    Phase.ROLLING_BACK: Step.UNDO,
    Phase.CANCELLING: Step.UNDO,
}

# Steps before which a cancel is looked at: all that come before the start of the target was asked for.
BEFORE_THE_DOOR = frozenset(
    {
        Phase.PLANNED,
        Phase.PREPARING,
        Phase.COPYING,
        Phase.SYNCING,
        Phase.HOLDING,
        Phase.STOPPING,
        Phase.FINALISING,
        Phase.VERIFYING,
    }
)


def next_step(state: MigrationState) -> Step:
    """The step that follows the facts so far."""
    if state.ended:
        return Step.END
    if state.cancel_asked and state.phase in BEFORE_THE_DOOR:
        return Step.CANCEL
    if state.pause_asked and state.phase in CAN_PAUSE:
        return Step.PAUSE
    match state.phase:
        case Phase.COPYING | Phase.SYNCING | Phase.HOLDING:
            return _in_passes(state)
        case Phase.FINALISING:
            return _in_pass(state) or Step.BEGIN_FINAL
        case Phase.AWAITING_COMMIT:
            return _at_commit(state)
    return _BY_PHASE[state.phase]


def _in_passes(state: MigrationState) -> Step:
    running = _in_pass(state)
    if running is not None:
        return running
    if not any(each.verdict is Verdict.COMPLETE for each in state.passes) or state.base_missing:
        return Step.BEGIN_PASS
    if state.phase is Phase.HOLDING or state.decision is None or state.decided_passes < len(state.passes):
        return Step.DECIDE
    match state.decision.decision:
        case Decision.CUT_OVER:
            return Step.CUT_OVER
        case Decision.PASS_AGAIN:
            return Step.BEGIN_PASS
        case Decision.HOLD:
            return Step.DECIDE


def _in_pass(state: MigrationState) -> Step | None:
    """What an open pass needs; None without one."""
    plan = state.open_pass
    if plan is None:
        return None
    broken = any(each.verdict is not Verdict.COMPLETE for each in state.copied.values())
    return Step.JUDGE if broken or len(state.copied) == len(plan.disks) else Step.COPY


def _at_commit(state: MigrationState) -> Step:
    if state.rollback_asked:
        return Step.ROLL_BACK
    return Step.COMMIT if state.commit_asked else Step.AWAIT_COMMIT
