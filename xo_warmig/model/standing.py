"""Where a migration stands still, and what somebody may do about it: the same judgement for tasks, the command line and pages."""

from enum import StrEnum
from typing import Final, NamedTuple

from xo_warmig.model.phases import Phase, WaitingFor, can_cancel, is_end
from xo_warmig.model.reports import MigrationReport


class Step(StrEnum):
    """What somebody may say to a migration; the name of the method below ``warmMigration`` and of the command."""

    CUTOVER = "cutover"
    RESUME = "resume"
    COMMIT = "commit"
    ROLLBACK = "rollback"


AWAITED: Final = {
    WaitingFor.SLOT: "a free slot",
    WaitingFor.POOL: "a pool",
    WaitingFor.OPERATOR: "an operator",
    WaitingFor.TIME: "its time",
    WaitingFor.STORAGE: "the storage",
}
"""In words, what is waited for."""


class Standing(NamedTuple):
    """``until``: when it goes on by itself, in seconds since the epoch. ``steps``: any of them ends the waiting."""

    paused: bool
    waiting_for: WaitingFor
    until: float | None
    steps: tuple[Step, ...]


MOVING = Standing(False, WaitingFor.NOTHING, None, ())


def standing(report: MigrationReport) -> Standing:
    """What a migration waits for; ``MOVING`` while it moves or has ended."""
    if is_end(report.phase):
        return MOVING
    if report.paused and can_cancel(report.phase):  # one that is being undone does not go on with anything else
        return Standing(True, WaitingFor.OPERATOR, None, (Step.RESUME,))
    match report.phase:
        case Phase.HOLDING:
            return _awaited(report.cutover_time, (Step.CUTOVER,))
        case Phase.AWAITING_COMMIT:
            return _awaited(report.commit_time, (Step.COMMIT, Step.ROLLBACK))
        case _:
            return Standing(False, report.waiting_for, None, ())


def _awaited(until: float | None, steps: tuple[Step, ...]) -> Standing:
    return Standing(False, WaitingFor.OPERATOR if until is None else WaitingFor.TIME, until, steps)
