"""In which phases each word counts; elsewhere it is refused, and the refusal names the phase. Each guard raises IncorrectState."""

from collections.abc import Callable, Iterable

from xo_warmig.engine.state import MigrationState
from xo_warmig.errors import IncorrectState
from xo_warmig.model.phases import (
    CAN_COMMIT,
    CAN_CUT_OVER,
    CAN_PAUSE,
    CAN_ROLL_BACK_STARTED,
    TRANSITIONS,
    Phase,
    can_cancel,
    is_end,
)


class AskedAlready(Exception):
    """The same word was said before, and counts: saying it again changes nothing."""


def demand_cancellable(state: MigrationState) -> None:
    if state.cancel_asked:
        raise AskedAlready
    if not can_cancel(state.phase):
        raise _refused(
            state, "be cancelled any more", "TOO_LATE_TO_CANCEL", (phase for phase in TRANSITIONS if can_cancel(phase))
        )


def demand_pausable(state: MigrationState) -> None:
    if state.pause_asked and not state.ended:
        raise AskedAlready
    if state.phase not in CAN_PAUSE or state.cancel_asked:
        raise _refused(state, "be paused", "CANNOT_PAUSE", CAN_PAUSE)


def demand_resumable(state: MigrationState) -> None:
    if state.ended or state.cancel_asked:
        raise _refused(state, "go on", "CANNOT_RESUME", CAN_PAUSE)
    if not state.pause_asked:
        raise AskedAlready


def demand_cut_over(state: MigrationState) -> None:
    if state.cutover_asked is not None and not state.ended:
        raise AskedAlready
    if state.phase not in CAN_CUT_OVER or state.cancel_asked:
        raise _refused(state, "be told to cut over", "CANNOT_CUT_OVER", CAN_CUT_OVER)
    if state.pause_asked:
        raise IncorrectState(
            "the migration is paused",
            code="PAUSED",
            evidence={"object": state.id, "property": "paused", "actual": True, "expected": False},
            remedy="resume it first",
        )


def demand_committable(state: MigrationState) -> None:
    if state.phase is Phase.DONE or state.commit_asked:
        raise AskedAlready
    if state.phase not in CAN_COMMIT or state.rollback_asked:
        raise _refused(state, "be committed", "CANNOT_COMMIT", CAN_COMMIT)


def demand_forgettable(state: MigrationState) -> None:
    """Of the task, not of the migration."""
    if state.task_forgotten:
        raise AskedAlready
    if not state.ended:
        raise _refused(state, "leave the list of tasks", "MIGRATION_TASK", filter(is_end, TRANSITIONS))


def rollback_guard(*, discard_target_changes: bool) -> Callable[[MigrationState], None]:
    """After the target's start: only with the caller's word that what it wrote may be lost."""

    def demand(state: MigrationState) -> None:
        if state.rollback_asked:
            raise AskedAlready
        if state.phase not in CAN_ROLL_BACK_STARTED or state.commit_asked:
            raise _refused(state, "be rolled back", "CANNOT_ROLL_BACK", CAN_ROLL_BACK_STARTED)
        if not discard_target_changes:
            since = (
                None
                if state.downtime is None or state.shutdown_asked is None
                else (state.shutdown_asked + state.downtime.seconds)
            )
            raise IncorrectState(
                "the target was started; what it wrote since then would be lost",
                code="TARGET_HAS_CHANGES",
                evidence={
                    "object": state.id,
                    "property": "discardTargetChanges",
                    "actual": False,
                    "expected": True,
                    "since": since,
                },
                remedy="give discardTargetChanges: true if that is meant",
            )

    return demand


def not_committed(state: MigrationState) -> IncorrectState:
    """The source could not be settled; what stood against it is in the warnings."""
    why = state.warnings[-1].message if state.warnings else "see the migration's warnings"
    return IncorrectState(
        f"the migration waits again: {why}",
        code="NOT_COMMITTED",
        evidence={"object": state.id, "property": "phase", "actual": str(state.phase), "expected": str(Phase.DONE)},
        remedy=state.warnings[-1].remedy if state.warnings else "",
    )


def _refused(state: MigrationState, what: str, code: str, phases: Iterable[Phase]) -> IncorrectState:
    return IncorrectState(
        f"the migration is {state.phase} and cannot {what}",
        code=code,
        evidence={
            "object": state.id,
            "property": "phase",
            "actual": str(state.phase),
            "expected": sorted(map(str, phases)),
        },
    )
