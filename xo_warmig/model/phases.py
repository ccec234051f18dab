"""The phases of a migration, the one table of transitions between them, and the stages that people see.

Two rules of this file. Everything that decides which phase may follow which is the table below: ``advance`` is the only door, and an
illegal step raises, naming both phases. And a phase says *what is being done*; what it *waits for* is an axis of its own
(``WaitingFor``), because a migration that waits for a slot is in the same phase as one that copies.

The line that matters is between ``verifying`` and ``starting``. Before it, any failure leads to ``rolling_back``, which gives the
source back as it was found. From ``starting`` on the target may hold writes that the source has not: nothing rolls back by itself,
save from ``starting``, when the start failed and the target never attached its disks. A phase with an empty row is an end.
"""

from enum import StrEnum

from xo_warmig.errors import IncorrectState


class Phase(StrEnum):
    """What is being done."""

    PLANNED = "planned"
    PREPARING = "preparing"
    COPYING = "copying"
    SYNCING = "syncing"
    HOLDING = "holding"
    STOPPING = "stopping"
    FINALISING = "finalising"
    VERIFYING = "verifying"
    STARTING = "starting"
    CHECKING = "checking"
    AWAITING_COMMIT = "awaiting_commit"
    COMMITTING = "committing"
    DONE = "done"
    ROLLING_BACK = "rolling_back"
    FAILED = "failed"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"


class Stage(StrEnum):
    """What people see."""

    PREPARE = "prepare"
    COPY = "copy"
    SYNC = "sync"
    CUTOVER = "cutover"
    FINISH = "finish"


class WaitingFor(StrEnum):
    """What a phase waits for."""

    NOTHING = "nothing"
    SLOT = "slot"
    POOL = "pool"
    OPERATOR = "operator"
    TIME = "time"
    STORAGE = "storage"


_UNDO = frozenset({Phase.ROLLING_BACK, Phase.CANCELLING})

TRANSITIONS: dict[Phase, frozenset[Phase]] = {
    Phase.PLANNED: frozenset({Phase.PREPARING, Phase.FAILED, Phase.CANCELLED}),
    # A halted source has no passes before its only one: it is blocked, then copied.
    Phase.PREPARING: frozenset({Phase.COPYING, Phase.STOPPING}) | _UNDO,
    Phase.COPYING: frozenset({Phase.SYNCING}) | _UNDO,
    Phase.SYNCING: frozenset({Phase.HOLDING, Phase.STOPPING}) | _UNDO,
    Phase.HOLDING: frozenset({Phase.SYNCING, Phase.STOPPING}) | _UNDO,
    # Back to syncing when the server was away so long that the last pass is old, before the shutdown was asked for.
    Phase.STOPPING: frozenset({Phase.FINALISING, Phase.SYNCING}) | _UNDO,
    Phase.FINALISING: frozenset({Phase.VERIFYING}) | _UNDO,
    # Straight to committing when the target is not to be started.
    Phase.VERIFYING: frozenset({Phase.STARTING, Phase.COMMITTING}) | _UNDO,
    Phase.STARTING: frozenset({Phase.CHECKING, Phase.ROLLING_BACK}),
    Phase.CHECKING: frozenset({Phase.AWAITING_COMMIT, Phase.COMMITTING}),
    Phase.AWAITING_COMMIT: frozenset({Phase.COMMITTING, Phase.ROLLING_BACK}),
    Phase.COMMITTING: frozenset({Phase.DONE, Phase.AWAITING_COMMIT}),
    Phase.ROLLING_BACK: frozenset({Phase.FAILED}),
    Phase.CANCELLING: frozenset({Phase.CANCELLED, Phase.FAILED}),
    Phase.DONE: frozenset(),
    Phase.FAILED: frozenset(),
    Phase.CANCELLED: frozenset(),
}

STAGES: dict[Phase, Stage] = {
    Phase.PLANNED: Stage.PREPARE,
    Phase.PREPARING: Stage.PREPARE,
    Phase.COPYING: Stage.COPY,
    Phase.SYNCING: Stage.SYNC,
    Phase.HOLDING: Stage.SYNC,
    Phase.STOPPING: Stage.CUTOVER,
    Phase.FINALISING: Stage.CUTOVER,
    Phase.VERIFYING: Stage.CUTOVER,
    Phase.STARTING: Stage.CUTOVER,
    Phase.CHECKING: Stage.FINISH,
    Phase.AWAITING_COMMIT: Stage.FINISH,
    Phase.COMMITTING: Stage.FINISH,
    Phase.DONE: Stage.FINISH,
    Phase.ROLLING_BACK: Stage.FINISH,
    Phase.FAILED: Stage.FINISH,
    Phase.CANCELLING: Stage.FINISH,
    Phase.CANCELLED: Stage.FINISH,
}


def is_end(phase: Phase) -> bool:
    """Whether nothing follows."""
    return not TRANSITIONS[phase]


def can_cancel(phase: Phase) -> bool:
    """Whether a cancel is still possible: before the start of the target was asked for, and not under way already."""
    if phase is Phase.CANCELLING:
        return False
    return Phase.CANCELLING in TRANSITIONS[phase] or Phase.CANCELLED in TRANSITIONS[phase]


CAN_PAUSE = frozenset({Phase.PREPARING, Phase.COPYING, Phase.SYNCING, Phase.HOLDING})
CAN_CUT_OVER = frozenset({Phase.PLANNED, Phase.PREPARING, Phase.COPYING, Phase.SYNCING, Phase.HOLDING})
CAN_COMMIT = frozenset({Phase.AWAITING_COMMIT})
CAN_ROLL_BACK_STARTED = frozenset({Phase.AWAITING_COMMIT})


def advance(phase: Phase, to: Phase) -> Phase:
    """The next phase, if the table has it.

    Raises:
        IncorrectState: the table has no such step.
    """
    if to not in TRANSITIONS[phase]:
        raise IncorrectState(
            f"a migration that is {phase} cannot become {to}",
            code="ILLEGAL_PHASE",
            evidence={"property": "phase", "actual": str(phase), "expected": sorted(map(str, TRANSITIONS[phase]))},
        )
    return to
