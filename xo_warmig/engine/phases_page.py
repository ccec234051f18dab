"""``docs/phases.md``: the table of phases and their diagram, made from the tables that the engine goes by.

``python -m xo_warmig.engine.phases_page --write`` writes it, ``--check`` compares.
"""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from xo_warmig.engine import pages
from xo_warmig.engine.course import BEFORE_THE_DOOR
from xo_warmig.model.phases import (
    CAN_COMMIT,
    CAN_CUT_OVER,
    CAN_PAUSE,
    CAN_ROLL_BACK_STARTED,
    STAGES,
    TRANSITIONS,
    Phase,
    can_cancel,
    is_end,
)

FILE: Final = Path(__file__).parents[2] / "docs" / "phases.md"
_COMMAND: Final = "python -m xo_warmig.engine.phases_page --write"

_DOING: Final[dict[Phase, str]] = {
    Phase.PLANNED: "accepted; nothing was touched",
    Phase.PREPARING: "the door key on the source; the target VM, blocked, with its empty disks; an earlier copy taken over",
    Phase.COPYING: "the full copy of a snapshot, the source running",
    Phase.SYNCING: "passes over what changed, and after each the decision what follows; at last the target's imports are opened",
    Phase.HOLDING: "waits for `cutover` or for a time, with passes in between; the predicted downtime is on show",
    Phase.STOPPING: "the source is blocked, then shut down: the downtime begins",
    Phase.FINALISING: "the last delta, read from the halted disks; the VM's own changed state goes with it",
    Phase.VERIFYING: "with `verify` full, what was sent is read back; then all must be as at the first byte: source halted and "
    "blocked, target untouched",
    Phase.STARTING: "the target's start was asked for",
    Phase.CHECKING: "the target runs: the downtime is over. Its boot is watched",
    Phase.AWAITING_COMMIT: "waits for `commit`, for `rollback`, or until the seconds that `commit` gave are over",
    Phase.COMMITTING: "HA as it was; the source kept with a note or deleted; our snapshots and keys removed",
    Phase.DONE: "",
    Phase.ROLLING_BACK: "the source is given back as it was found; the copy is kept or dropped",
    Phase.FAILED: "",
    Phase.CANCELLING: "the same, because somebody asked for it",
    Phase.CANCELLED: "",
}

_INTRODUCTION: Final = f"""# Phases

Made from `xo_warmig/model/phases.py` and `xo_warmig/engine/course.py` (`{_COMMAND}`); do not edit.

A phase says what is being done. What a migration *waits for* (`slot`, `pool`, `storage`, `operator`, `time` or nothing) stands beside it in
every report, and so does `paused`. All of it follows from the migration's recorded facts: after a crash the next server reads them and goes
on in the phase that they say.

The line that matters is the one before `{Phase.STARTING}`. Before it every failure gives the source back by itself. From there on the
target may hold writes that the source has not, and nothing goes back by itself, but for a start that was plainly refused with the target
seen halted.
"""

_WORDS: Final = f"""## What can be said when

A word in another phase is refused, and the refusal names the phase; the same word twice is once. `rollback` is a `cancel` wherever that
counts; in `{Phase.AWAITING_COMMIT}` it needs `discardTargetChanges`, because what the target wrote since its start is lost. `resume` counts
where the migration is paused. A `cancel` is looked at for the last time when `{Phase.VERIFYING}` ends.
"""


def page() -> str:
    """The whole file."""
    return "\n".join([_INTRODUCTION, *_table(), "", _WORDS, "## Diagram", "", *_diagram(), ""])


def _table() -> list[str]:
    head = ["Stage", "Phase", "What is done", "Words that count", "What follows", "A failure"]
    rows = [
        [
            str(STAGES[phase]),
            f"`{phase}`",
            _DOING[phase],
            _listed(words(phase)),
            _listed(_in_order(phase)),
            failure(phase),
        ]
        for phase in TRANSITIONS
    ]
    return [_row(head), _row(["---"] * len(head)), *map(_row, rows)]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _listed(names: Iterable[str]) -> str:
    return " ".join(f"`{name}`" for name in names)


def _in_order(phase: Phase) -> list[Phase]:
    """What may follow, in the order of the table."""
    return [each for each in TRANSITIONS if each in TRANSITIONS[phase]]


def words(phase: Phase) -> list[str]:
    """The calls ``warmMigration.*`` that steer a migration in this phase."""
    counts = {
        "cutover": phase in CAN_CUT_OVER,
        "pause": phase in CAN_PAUSE,
        "resume": phase in CAN_PAUSE,
        "cancel": can_cancel(phase),
        "rollback": can_cancel(phase) or phase in CAN_ROLL_BACK_STARTED,
        "commit": phase in CAN_COMMIT,
    }
    return [word for word, here in counts.items() if here]


def failure(phase: Phase) -> str:
    """What a failure in this phase leads to."""
    if is_end(phase):
        return ""
    if phase in BEFORE_THE_DOOR:
        return "rolls back by itself" if Phase.ROLLING_BACK in TRANSITIONS[phase] else "ends it; nothing was touched"
    if phase is Phase.STARTING:
        return "rolls back only if the start was refused and the target is seen halted with its disks free; else a person decides"
    if phase in (Phase.ROLLING_BACK, Phase.CANCELLING):
        return "ends it as `failed`, and says what a person has to see to"
    return "rolls nothing back: a person decides"


def _diagram() -> list[str]:
    """Mermaid. Phases that lead both ways back are drawn in one box, with one arrow each way for all of them."""
    back = {Phase.ROLLING_BACK, Phase.CANCELLING}
    boxed = {phase for phase, after in TRANSITIONS.items() if back <= after}
    edges = [(phase, to) for phase in TRANSITIONS for to in _in_order(phase) if not (phase in boxed and to in back)]
    inside = [edge for edge in edges if boxed.issuperset(edge)]
    outside = [edge for edge in edges if not boxed.issuperset(edge)]
    return [
        "```mermaid",
        "stateDiagram-v2",
        f"    [*] --> {next(iter(TRANSITIONS))}",
        '    state "undone when it fails or is cancelled" as undoable {',
        *(f"        {phase} --> {to}" for phase, to in inside),
        "    }",
        *(f"    undoable --> {to}" for to in TRANSITIONS if to in back),
        *(f"    {phase} --> {to}" for phase, to in outside),
        *(f"    {phase} --> [*]" for phase in TRANSITIONS if is_end(phase)),
        "```",
    ]


def main(arguments: list[str]) -> int:
    return pages.main(arguments, text=page(), file=FILE, command=_COMMAND)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
